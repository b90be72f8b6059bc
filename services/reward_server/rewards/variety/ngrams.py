"""Count the n-grams of a group of texts once, for everything that is measured in them."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

Ratio = Callable[[int, int], float]
"""What becomes of (distinct n-grams, n-grams), the second above 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Ngrams:
    """The n-grams of one n: one entry for every pair of an n-gram and a text that holds it, in the n-grams' order.

    Attributes:
        gram: which n-gram, numbered from 0 without gaps; int64 (P,), ascending.
        text: which text, ascending within an n-gram; int64 (P,).
        count: how often the text holds it; int64 (P,).
        totals: n-grams of each text; int64 (k,).
    """

    gram: "Ints"
    text: "Ints"
    count: "Ints"
    totals: "Ints"

    @property
    def starts(self) -> "Ints":
        """Where each n-gram's entries begin; int64 (distinct n-grams,)."""
        return np.flatnonzero(np.diff(self.gram, prepend=-1))

    @property
    def distinct(self) -> int:
        return int(self.gram[-1]) + 1 if len(self.gram) else 0

    @property
    def total(self) -> int:
        return int(self.totals.sum())

    def per_text(self, entries: "NDArray[np.bool_]") -> "Ints":
        """Return how many of the given entries each text has; int64 (k,)."""
        return np.bincount(self.text[entries], minlength=len(self.totals))

    def alone(self) -> "NDArray[np.bool_]":
        """Return which entries belong to an n-gram that no other text holds; bool (P,)."""
        holders = np.bincount(self.gram, minlength=self.distinct)
        return np.equal(holders[self.gram], 1)


class NgramCounts:
    """The n-gram counts of a group of tokenised texts, for every n; n-grams never cross texts."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self.texts = texts
        self.lengths: Ints = np.fromiter(map(len, texts), np.int64, len(texts))
        codes: defaultdict[str, int] = defaultdict(count().__next__)
        words = chain.from_iterable(texts)
        self._words: Ints = np.fromiter(map(codes.__getitem__, words), np.int64, int(self.lengths.sum()))
        self._owner: Ints = np.repeat(np.arange(len(texts)), self.lengths)
        self._vocabulary = len(codes)
        self._place: Ints = np.arange(len(self._words))
        self._known: list[Ngrams] = []
        self._number = self._counted(self._words)

    def of(self, n: int) -> Ngrams:
        """Return the counts of the n-grams, n ≥ 1; computed once."""
        while len(self._known) < n:
            self._longer()
        return self._known[n - 1]

    def _longer(self) -> None:
        """Go from n to n+1: an (n+1)-gram is the n-gram at its place and the word behind it."""
        ahead = len(self._known)
        fits = np.flatnonzero(self._place < len(self._words) - ahead)
        fits = fits[self._owner[self._place[fits]] == self._owner[self._place[fits] + ahead]]
        self._place = self._place[fits]
        # Both factors are at most the number of words, so that the key stays far below 2^63.
        self._number = self._counted(self._number[fits] * self._vocabulary + self._words[self._place + ahead])

    def _counted(self, keys: "Ints") -> "Ints":
        """Count n-grams by their keys, one for each place; return them numbered without gaps."""
        owner = self._owner[self._place]
        order = np.argsort(keys, kind="stable")  # places ascend, and so do the texts within one n-gram
        sorted_keys, sorted_owner = keys[order], owner[order]
        new_gram = np.ones(len(keys), dtype=bool)
        np.not_equal(sorted_keys[1:], sorted_keys[:-1], out=new_gram[1:])
        new_entry = new_gram.copy()
        new_entry[1:] |= sorted_owner[1:] != sorted_owner[:-1]
        number = np.cumsum(new_gram) - 1
        entries = np.flatnonzero(new_entry)
        totals = np.bincount(owner, minlength=len(self.texts))
        counts = np.diff(entries, append=len(keys))
        self._known.append(Ngrams(number[entries], sorted_owner[entries], counts, totals))
        numbered = np.empty_like(keys)
        numbered[order] = number
        return numbered


def distinct_share(distinct: int, total: int) -> float:
    return distinct / total


def distinct(counts: NgramCounts, n: int) -> float | None:
    """Return distinct n-grams / n-grams over the whole group, in (0, 1]; None without n-grams (Li et al. 2016)."""
    grams = counts.of(n)
    return distinct_share(grams.distinct, grams.total) if grams.total else None


def expectation_adjusted(vocabulary: int) -> Ratio:
    """Return the ratio of distinct n-grams to those expected of C draws from a vocabulary of V (Liu et al. 2022).

    N / (V·(1 - ((V-1)/V)^C)). In that form the denominator loses all its digits for a large V; -V·expm1(C·log1p(-1/V))
    keeps them. The same V serves every n. Unbounded where distinct n-grams outnumber the vocabulary.
    """
    log_miss = math.log1p(-1 / vocabulary)
    return lambda distinct, total: distinct / (-vocabulary * math.expm1(total * log_miss))


def ead(counts: NgramCounts, n: int, vocabulary: int) -> float | None:
    """Return the expectation-adjusted distinct n-grams of the group, above 0; None without n-grams."""
    grams = counts.of(n)
    return expectation_adjusted(vocabulary)(grams.distinct, grams.total) if grams.total else None


def leave_one_out(counts: NgramCounts, n: int, ratio: Ratio = distinct_share) -> list[float | None]:
    """Return per text by how much the ratio of the others lies below that of all; None where it is undefined."""
    grams = counts.of(n)
    left_grams = (grams.distinct - grams.per_text(grams.alone())).tolist()
    left_total = (grams.total - grams.totals).tolist()
    whole = ratio(grams.distinct, grams.total) if grams.total else 0.0
    return [
        whole - ratio(distinct, total) if total else None
        for distinct, total in zip(left_grams, left_total, strict=True)
    ]


def novelty(counts: NgramCounts, n: int = 4) -> list[float]:
    """Return per text the share of its distinct n-grams that no sibling has, in [0, 1]; an empty text has none, 0.

    A text shorter than n is taken as one n-gram of its own length, so that short answers compare as wholes.
    """
    grams = counts.of(n)
    everything = grams.per_text(np.ones(len(grams.text), dtype=bool))
    shares = (grams.per_text(grams.alone()) / np.maximum(everything, 1)).tolist()
    short = {i: tuple(words) for i, words in enumerate(counts.texts) if 0 < len(words) < n}
    owners = Counter(short.values())
    return [float(owners[short[i]] == 1) if i in short else share for i, share in enumerate(shares)]
