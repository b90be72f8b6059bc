"""Put the texts of a group into clusters of those that count as one."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from reward_server.rewards.variety.ngrams import NgramCounts, Ngrams
from reward_server.rewards.variety.words import tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reward_server.rewards.variety.cosine import Vectors
    from reward_server.rewards.variety.ngrams import Ints

WORD = re.compile(r"\w+")
SHINGLE = 3
"""Words in a shingle."""
ROUNDING = 1e-6
"""By how much a similarity may miss its threshold: copies have a cosine of 1 to seven digits only."""

Near = Callable[[int, set[int]], Iterable[int]]
"""Which of some texts are similar to one."""


def connected(count: int, near: Near) -> list[int]:
    """Return the cluster of each of `count` texts: what is similar to a member belongs to its cluster.

    Connected components are the one such rule that does not depend on the order of the texts. Long chains of similar
    texts become one cluster; where that joins too much, the threshold is too low. A cluster is named by its first text.
    """
    clusters, left = [-1] * count, set(range(count))
    for first in range(count):
        reached = [first] if first in left else []
        left.difference_update(reached)
        while reached:
            one = reached.pop()
            clusters[one] = first
            found = set(near(one, left)) if left else set()
            left -= found
            reached += found
    return clusters


def near_duplicates(texts: Sequence[str], threshold: float) -> list[int]:
    """Return the cluster of each text; two are similar where the Jaccard index of their shingles reaches `threshold`.

    Shingles are every three successive words, without case and punctuation (Broder 1997); a text of fewer words is one
    shingle, and a text without words is taken by its marks. Two sets x and y reach a threshold t above 0 only if they
    share one of their |x| - ⌈t·|x|⌉ + 1 rarest shingles (Bayardo et al. 2007), so that only such pairs are compared.
    """
    if not texts:
        return []
    words = [WORD.findall(text.lower()) or tokens(text) for text in texts]
    sets, common = _rarest_first(NgramCounts(words).of(SHINGLE))
    holders: defaultdict[Hashable, set[int]] = defaultdict(set)
    prefixes: list[list[Hashable]] = []
    for i, one in enumerate(sets):
        prefix = one[: len(one) - math.ceil(threshold * len(one) - ROUNDING) + 1]
        prefixes.append(prefix[common[prefix]].tolist() if len(one) else [tuple(words[i])])
        for shingle in prefixes[i]:
            holders[shingle].add(i)

    def near(i: int, left: set[int]) -> set[int]:
        candidates = set[int]().union(*(holders[shingle] & left for shingle in prefixes[i]))
        return {j for j in candidates if _jaccard(sets[i], sets[j]) >= threshold - ROUNDING}

    return connected(len(texts), near)


def by_cosine(vectors: "Vectors", threshold: float) -> list[int]:
    """Return the cluster of each unit vector (n, d); two are similar where their cosine reaches `threshold`."""
    similar = vectors @ vectors.T >= threshold - ROUNDING
    return connected(len(vectors), lambda i, left: left.intersection(np.flatnonzero(similar[i]).tolist()))


def _rarest_first(grams: Ngrams) -> "tuple[list[Ints], NDArray[np.bool_]]":
    """Return (the distinct n-grams of each text, the rarest first; which n-grams several texts hold)."""
    held = np.bincount(grams.gram, minlength=grams.distinct)
    order = np.lexsort((grams.gram, held[grams.gram], grams.text))
    ends = np.cumsum(grams.per_text(np.ones(len(grams.text), dtype=bool)))
    return np.split(grams.gram[order], ends[:-1]), held > 1


def _jaccard(one: "Ints", other: "Ints") -> float:
    """Return |one ∩ other| / |one ∪ other| of two candidates; short texts are candidates only of their like."""
    if not len(one):
        return 1.0
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
