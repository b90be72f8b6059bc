"""Two ways of training, each tried with one seed or several, on the same prompts: by how much do they differ?

The unit is a prompt of a seed, and seeds are clusters: what one seed's policy does on two prompts is not two trials.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from model_evaluation.statistics.holm import holm
from model_evaluation.statistics.interval import LEVEL, RESAMPLES, bca, exact
from model_evaluation.statistics.statistic import Estimate, Interval, PValue, Statistic

Cells = Sequence[Sequence[float | None]]
"""One number per seed and prompt, (S, P); None where it is undefined or failed."""
Floats = NDArray[np.float64]
TOO_FEW_SEEDS = "one seed: nothing is known of how another run of the same settings would differ"


class ArmDifference(Statistic):
    """Arm a minus arm b in one metric, over the prompts where both have it for every seed."""

    a: str
    b: str
    difference: Estimate
    """With a bootstrap interval that draws seeds and prompts anew; over prompts alone where there is one seed."""
    over_seeds: Estimate
    """With Student's interval of the seeds' means: what another seed would do; wide for three seeds, and honest."""
    permutation: PValue
    """Sign-flip test over prompts, of the differences averaged over seeds."""
    p_holm: float | None = None
    """The test's p, corrected for all pairs of arms in this metric."""

    @property
    def shown(self) -> bool:
        """Whether a difference is shown: by the corrected test, and by every interval that there is."""
        intervals = [one.interval for one in (self.difference, self.over_seeds) if one.interval]
        tested = self.p_holm is not None and self.p_holm < 1 - LEVEL
        return tested and bool(intervals) and all(0.0 not in one for one in intervals)

    @property
    def wider(self) -> Interval | None:
        """The wider of the intervals that there are: that over seeds, as a rule."""
        known = [one.interval for one in (self.difference, self.over_seeds) if one.interval]
        return max(known, key=lambda interval: interval.high - interval.low, default=None)

    def record(self) -> dict[str, Any]:
        """Return it as JSON, with what is concluded from: whether it is shown, and the wider interval."""
        wider = self.wider and self.wider.model_dump(mode="json")
        return self.model_dump(mode="json") | {"shown": self.shown, "wider": wider}

    @property
    def turned(self) -> "ArmDifference":
        """The same pair seen from its other arm."""
        turned = {"difference": self.difference.turned, "over_seeds": self.over_seeds.turned}
        return self.model_copy(update={"a": self.b, "b": self.a, **turned})


def compared(cells: Mapping[str, Cells], seed: int) -> list[ArmDifference]:
    """Compare every pair of arms in one metric; p-values are Holm's over these pairs.

    Args:
        cells: each arm's numbers; an arm of one model is held against every seed of the other.
        seed: of the bootstrap and of the test.
    """
    found = [difference(a, b, cells[a], cells[b], seed) for a, b in combinations(cells, 2)]
    adjusted = holm({f"{one.a}\0{one.b}": one.permutation.p for one in found})
    return [one.model_copy(update={"p_holm": adjusted[f"{one.a}\0{one.b}"]}) for one in found]


def from_baseline(found: Sequence[ArmDifference], baseline: str) -> list[ArmDifference]:
    """Return the pairs with the baseline, each as the other arm minus the baseline."""
    return [one for one in found if one.b == baseline] + [one.turned for one in found if one.a == baseline]


def difference(a: str, b: str, cells_a: Cells, cells_b: Cells, seed: int) -> ArmDifference:
    """Compare two arms; the rows of both are the same seeds, or one of them has a single row."""
    seeds = max(len(cells_a), len(cells_b))
    rows_a, rows_b = (list(one) * seeds if len(one) == 1 else list(one) for one in (cells_a, cells_b))
    table = complete(
        [
            [None if x is None or y is None else exact(x - y) for x, y in zip(row_a, row_b, strict=True)]
            for row_a, row_b in zip(rows_a, rows_b, strict=True)
        ]
    )
    test = sign_flips(table.mean(axis=0).tolist(), seed)
    return ArmDifference(a=a, b=b, difference=mean(table, seed), over_seeds=over_seeds(table), permutation=test)


def arm_mean(cells: Cells, seed: int) -> Estimate:
    """Return one arm's mean over prompts and seeds, with the interval of `mean`."""
    return mean(complete(cells), seed)


def complete(cells: Cells) -> Floats:
    """Return the prompts that every seed has a number for, (S, P')."""
    table = np.array([[np.nan if one is None else one for one in row] for row in cells], dtype=np.float64)
    return table[:, np.isfinite(table).all(axis=0)]


def mean(table: Floats, seed: int) -> Estimate:
    """Return the mean of (S, P) numbers with a bootstrap interval."""
    seeds, prompts = table.shape
    if prompts == 0:
        return Estimate.missing(0, "no prompt has this metric for every seed")
    value = float(table.mean())
    interval = bca([exact(one) for one in table[0]], seed) if seeds == 1 else two_level(table, seed)
    reason = None if interval else "no interval: fewer than two prompts, or all are equal"
    return Estimate(value=value, n=prompts, interval=interval, reason=reason)


def two_level(table: Floats, seed: int) -> Interval | None:
    """Return the percentile interval of a bootstrap that draws rows and columns anew (Owen 2007, pigeonhole bootstrap).

    None for fewer than two columns, or no spread at all.
    """
    seeds, prompts = table.shape
    if prompts < 2 or np.ptp(table) == 0:
        return None
    rng = np.random.default_rng(seed)
    rows = rng.multinomial(seeds, [1 / seeds] * seeds, RESAMPLES)
    columns = rng.multinomial(prompts, [1 / prompts] * prompts, RESAMPLES)
    means = ((rows @ table) * columns).sum(axis=1) / (seeds * prompts)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    method = f"bootstrap over {seeds} seeds and {prompts} prompts, {RESAMPLES} resamples"
    return Interval(low=float(low), high=float(high), method=method)


def over_seeds(table: Floats) -> Estimate:
    """Return the mean of the seeds' means with Student's interval of S - 1 degrees of freedom."""
    seeds, prompts = table.shape
    if prompts == 0:
        return Estimate.missing(0, "no prompt has this metric for every seed")
    means = table.mean(axis=1)
    value = float(means.mean())
    if seeds < 2:
        return Estimate(value=value, n=seeds, reason=TOO_FEW_SEEDS)
    half = float(student_t.ppf((1 + LEVEL) / 2, seeds - 1) * means.std(ddof=1) / np.sqrt(seeds))
    method = f"Student's t over {seeds} seeds"
    return Estimate(value=value, n=seeds, interval=Interval(low=value - half, high=value + half, method=method))


def sign_flips(differences: Sequence[float], seed: int) -> PValue:
    """Return the p-value of a mean of 0 by turning signs at random; a tie with what was seen counts against it.

    (1 + hits) / (1 + resamples), which is never 0 (Phipson & Smyth 2010).
    """
    n, method = len(differences), f"sign-flip permutation over prompts, {RESAMPLES} resamples"
    if n < 2 or not any(differences):
        why = "every difference is zero" if n > 1 else f"{n} prompts; a test needs two at least"
        return PValue(n=n, method=method, reason=why)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(RESAMPLES, n))
    seen = abs(float(np.sum(differences)))
    hits = int((np.abs(signs @ np.asarray(differences)) >= seen * (1 - 1e-12)).sum())
    return PValue(p=(1 + hits) / (1 + RESAMPLES), n=n, method=method)
