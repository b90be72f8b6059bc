"""How alike two rewards rank the members of a group: Spearman's rho within groups, and how sure its mean is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

LEAST = 3
"""Members that a rank correlation needs: of two it is always -1 or 1."""
RESAMPLES = 500


class Interval(NamedTuple):
    """A mean with its 95% interval, in [-1, 1]."""

    mean: float
    low: float
    high: float


def spearman(first: Floats, second: Floats) -> float | None:
    """Return rho of the members that both have a value for; None for too few of them, or where one is constant."""
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < LEAST:
        return None
    x, y = (stats.rankdata(values[both]) - (both.sum() + 1) / 2 for values in (first, second))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0 else None


def within_groups(first: Floats, second: Floats, size: int) -> list[float]:
    """Return rho of each group that has one; the groups of `size` lie one behind the other."""
    found = (spearman(first[at : at + size], second[at : at + size]) for at in range(0, len(first), size))
    return [rho for rho in found if rho is not None]


def mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def interval(values: list[float], seed: int) -> Interval | None:
    """Return the mean over groups with its bootstrap interval, groups resampled; None with fewer than two groups."""
    if len(values) < 2:
        return None
    found = stats.bootstrap(
        (np.array(values),), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    return Interval(float(np.mean(values)), float(found.low), float(found.high))
