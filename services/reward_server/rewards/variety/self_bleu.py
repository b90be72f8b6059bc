"""BLEU of every text of a group against all the others, in linear time."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reward_server.rewards.variety.ngrams import NgramCounts, Ngrams

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reward_server.rewards.variety.ngrams import Ints

SMOOTHING = 0.1
"""What a precision without hits counts as its hits: NLTK's method1 (Chen & Cherry 2014)."""


def self_bleu(scores: Sequence[float]) -> float | None:
    """Return the Self-BLEU of a group, in [0, 1]: the mean of `against_others` (Zhu et al. 2018, Texygen).

    Lower is more diverse. None where there are no scores.
    """
    return math.fsum(scores) / len(scores) if scores else None


def against_others(counts: NgramCounts, order: int) -> list[float]:
    """Return BLEU-`order` of each text with all others as its references, in [0, 1]; none for fewer than two texts.

    Equal to NLTK's sentence_bleu with method1: no shared word at all is 0 before any smoothing, and brevity is measured
    against the closest reference length, the shorter on ties.
    """
    if len(counts.texts) < 2:
        return []
    grams = [counts.of(n) for n in range(1, order + 1)]
    hits = [clipped_hits(one) for one in grams]
    logs = [
        np.log(np.where(hit > 0, hit, SMOOTHING) / np.maximum(one.totals, 1))
        for hit, one in zip(hits, grams, strict=True)
    ]
    geometric = np.exp(sum(logs) / order)
    scores = np.where(hits[0] > 0, geometric * _brevity(counts.lengths.tolist()), 0.0)
    bounded: list[float] = np.minimum(scores, 1.0).tolist()  # exp(log 1) may be a digit too much
    return bounded


def clipped_hits(grams: Ngrams) -> "Ints":
    """Return per text its n-grams that the others have too, each at most as often as one other text has it; (k,).

    That clip is the group's largest count of the n-gram, or the second largest for the text that holds the largest.
    """
    if not len(grams.gram):
        return np.zeros_like(grams.totals)
    starts, sizes = grams.starts, np.bincount(grams.gram)
    largest = np.maximum.reduceat(grams.count, starts).repeat(sizes)
    at_top = np.flatnonzero(grams.count == largest)
    first_at_top = at_top[np.flatnonzero(np.diff(grams.gram[at_top], prepend=-1))]
    rest = grams.count.copy()
    rest[first_at_top] = 0
    second = np.maximum.reduceat(rest, starts).repeat(sizes)
    # Where two texts hold the largest count, the second largest is as large.
    clip = np.where(grams.count < largest, grams.count, second)
    return np.bincount(grams.text, weights=clip, minlength=len(grams.totals)).astype(np.int64)


def _brevity(lengths: Sequence[int]) -> "NDArray[np.float64]":
    """Return each text's brevity penalty against the others, in [0, 1]."""
    ordered = sorted(lengths)
    penalties = {length: _penalty(length, ordered) for length in set(lengths)}
    return np.array([penalties[length] for length in lengths])


def _penalty(length: int, ordered: Sequence[int]) -> float:
    """Return the penalty of a length among the sorted lengths of all texts, its own once among them.

    The closest other length is one of its neighbours there.
    """
    place = bisect_left(ordered, length)
    others = [*ordered[max(0, place - 1) : place], *ordered[place + 1 : place + 2]]
    closest = min(others, key=lambda other: (abs(other - length), other))
    if length > closest:
        return 1.0
    return math.exp(1 - closest / length) if length else 0.0
