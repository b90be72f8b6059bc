"""How well scores agree with targets: Spearman's rank correlation, skill and mean absolute error, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats, Floats], float | None]

RESAMPLES = 2000
LEVEL = 0.95
CONSTANT_TARGETS = "all targets are equal: there is nothing to agree with"
CONSTANT_SCORES = "all scores are equal: they order nothing"
TOO_FEW = "fewer than three rows have a score"


@dataclass(frozen=True)
class Estimate:
    """A statistic with its bootstrap interval at 95%; `value` None, with a reason, where it is undefined.

    The interval is None where a twentieth of the resamples, or more, leave the statistic undefined.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


def spearman(scores: Floats, targets: Floats) -> float | None:
    """Return Spearman's ρ in [-1, 1], ties at their mean rank; None where a side is constant."""
    if len(scores) < 3 or np.ptp(scores) == 0 or np.ptp(targets) == 0:
        return None
    first, second = rankdata(scores), rankdata(targets)  # spearmanr adds a p-value, which costs more than all the rest
    return float(np.corrcoef(first, second)[0, 1])


def skill(scores: Floats, targets: Floats) -> float | None:
    """Return 1 - MSE / MSE of the best constant, which is the mean of these very targets; None for equal targets.

    1 is perfect, 0 is as good as that constant, below 0 is worse. It is the R² of the scores as they are, neither
    scaled nor shifted (Murphy 1988, the skill score against climatology).
    """
    variance = float(np.var(targets)) if len(targets) > 1 else 0.0
    if variance < 1e-12:
        return None
    return 1 - float(np.mean((scores - targets) ** 2)) / variance


def mae(scores: Floats, targets: Floats) -> float | None:
    return float(np.mean(np.abs(scores - targets))) if len(scores) else None


STATISTICS: dict[str, Statistic] = {"spearman": spearman, "skill": skill, "mae": mae}


def estimate(statistic: Statistic, scores: Floats, targets: Floats, clusters: Sequence[str], seed: int = 0) -> Estimate:
    """Return the statistic over rows, its interval by resampling whole clusters (the rows of one query)."""
    value = statistic(scores, targets)
    if value is None:
        return Estimate(None, reason=why_undefined(scores, targets))
    drawn = [statistic(scores[rows], targets[rows]) for rows in resamples(clusters, seed)]
    return Estimate(value, *_percentiles(drawn))


def gain(
    statistic: Statistic, before: Floats, after: Floats, targets: Floats, clusters: Sequence[str], seed: int = 0
) -> Estimate:
    """Return statistic(after) - statistic(before) on the same rows, its interval by the same resamples for both."""
    values = statistic(before, targets), statistic(after, targets)
    if values[0] is None or values[1] is None:
        return Estimate(None, reason=why_undefined(before if values[0] is None else after, targets))
    drawn = [
        None if (first := statistic(before[rows], targets[rows])) is None else last - first
        for rows in resamples(clusters, seed)
        if (last := statistic(after[rows], targets[rows])) is not None
    ]
    return Estimate(values[1] - values[0], *_percentiles(drawn))


def why_undefined(scores: Floats, targets: Floats) -> str:
    if len(scores) < 3:
        return TOO_FEW
    return CONSTANT_TARGETS if np.ptp(targets) < 1e-6 else CONSTANT_SCORES


def resamples(clusters: Sequence[str], seed: int) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each bootstrap resample: as many clusters as there are, drawn with replacement."""
    members: dict[str, list[int]] = {}
    for row, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(row)
    groups = [np.array(rows, dtype=np.intp) for rows in members.values()]
    rng = np.random.default_rng(seed)
    return [np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]) for _ in range(RESAMPLES)]


def _percentiles(drawn: Sequence[float | None]) -> tuple[float | None, float | None]:
    defined = [value for value in drawn if value is not None]
    if len(defined) <= 0.95 * RESAMPLES:
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
