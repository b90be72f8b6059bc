"""What a member of a group adds to the subsets it is in, over all subsets of one size, without enumerating them."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from fractions import Fraction
from math import comb

Clusters = Sequence[Hashable | None]
"""The cluster of every member; None for a member that stands in none."""


def advantages(quality: Sequence[float], clusters: Clusters, size: int) -> list[float]:
    """Return per member the mean of f over the subsets of `size` that hold it, minus the mean of f over all of them.

    f(G) = (mean quality of G) · (clusters in G / n), n = `size` (Hamid et al. 2025). The n are drawn from N without
    replacement, so that a cluster of m is missed by a subset through i with the hypergeometric probability
    C(N-1-m, n-1)/C(N-1, n-1), and by one through i and j with C(N-2-m, n-2)/C(N-2, n-2). Subsets are counted in whole
    numbers and divided once, so that every value is exact to its last digit, and exactly 0 where it is 0.

    Args:
        quality: finite, (N,).
        clusters: (N,); a member of None has its quality counted and fills a place, but makes no cluster.
        size: n, between 1 and N.

    Raises:
        ValueError: there are no subsets of that size.
    """
    count = len(quality)
    if not 1 <= size <= count:
        raise ValueError(f"a group of {count} has no subsets of {size}")
    whole, unit = as_integers(quality)
    sums = _sums(whole, clusters, size)
    total = sum(sums)
    # f's two denominators, the subsets through one member, the mean over N, and the unit of the qualities.
    scale = size * size * comb(count - 1, size - 1) * count * unit
    return [(count * one - total) / scale for one in sums]


def _sums(whole: Sequence[int], clusters: Clusters, size: int) -> list[int]:
    """Return per member the sum over the subsets through it of (sum of qualities) · (clusters hit)."""
    count = len(whole)
    sizes = Counter(cluster for cluster in clusters if cluster is not None)
    alone = {m: _choose(count - 1 - m, size - 1) for m in set(sizes.values())}
    paired = {m: _choose(count - 2 - m, size - 2) for m in set(sizes.values())}
    through_one, through_two = _choose(count - 1, size - 1), _choose(count - 2, size - 2)
    hits_one = sum(through_one - alone[m] for m in sizes.values())
    hits_two = sum(through_two - paired[m] for m in sizes.values())
    # What a member adds to those hits: the subsets that would have missed its own cluster.
    own_one = [alone[sizes[cluster]] if cluster is not None else 0 for cluster in clusters]
    own_two = [paired[sizes[cluster]] if cluster is not None else 0 for cluster in clusters]
    of_cluster: defaultdict[Hashable | None, int] = defaultdict(int)
    for value, cluster in zip(whole, clusters, strict=True):
        of_cluster[cluster] += value
    total = sum(whole)
    weighted = sum(value * own for value, own in zip(whole, own_two, strict=True))
    return [
        value * (hits_one + alone_i)
        + (total - value) * (hits_two + paired_i)
        + (weighted - value * paired_i)
        - (of_cluster[cluster] - value) * paired_i  # j of the same cluster adds nothing to what i added
        for value, cluster, alone_i, paired_i in zip(whole, clusters, own_one, own_two, strict=True)
    ]


def as_integers(numbers: Sequence[float]) -> tuple[list[int], int]:
    """Return finite numbers as exact multiples of 1/unit, and the unit."""
    ratios = [Fraction(number) for number in numbers]
    unit = max((ratio.denominator for ratio in ratios), default=1)  # powers of two: the largest is a multiple of all
    return [ratio.numerator * (unit // ratio.denominator) for ratio in ratios], unit


def _choose(n: int, k: int) -> int:
    return comb(n, k) if n >= 0 and k >= 0 else 0
