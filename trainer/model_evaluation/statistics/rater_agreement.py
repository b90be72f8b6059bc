"""How far two raters agree beyond chance: Cohen's κ and Krippendorff's α, where they exist."""

from collections.abc import Sequence
from typing import Literal

import krippendorff
import numpy as np
from statsmodels.stats.inter_rater import cohens_kappa

from model_evaluation.statistics.interval import LEVEL
from model_evaluation.statistics.statistic import Estimate, Interval


def kappa(first: Sequence[int], second: Sequence[int], categories: int, *, quadratic: bool = False) -> Estimate:
    """Return Cohen's κ with its asymptotic interval (Fleiss, Cohen and Everitt 1969, as in statsmodels).

    Args:
        first, second: the two raters' categories of each item, from 0.
        quadratic: weigh a disagreement by the square of its distance, for grades.
    """
    n = len(first)
    if len({*first, *second}) < 2:
        return Estimate.missing(n, "fewer than two categories were used: chance alone would agree on all")
    table = np.zeros((categories, categories))
    np.add.at(table, (list(first), list(second)), 1)
    with np.errstate(divide="ignore", invalid="ignore"):  # the test of κ = 0 that comes along; it is not used
        found = cohens_kappa(table, wt="quadratic" if quadratic else None)
    value = float(found.kappa)
    if found.var_kappa < 1e-12:  # full agreement, or a rater that never varies: 0, give or take rounding
        return Estimate(value=value, n=n, reason="no interval: the asymptotic variance is zero")
    half = (float(found.kappa_upp) - float(found.kappa_low)) / 2
    return Estimate(value=value, n=n, interval=_clipped(value - half, value + half))


def alpha(first: Sequence[float], second: Sequence[float], level: Literal["nominal", "interval"]) -> Estimate:
    """Return Krippendorff's α of two raters' numbers; for `nominal` only their being equal counts."""
    n = len(first)
    if len({*first, *second}) < 2:
        return Estimate.missing(n, "fewer than two values were used: there is no disagreement to expect")
    return Estimate(value=float(krippendorff.alpha([list(first), list(second)], level_of_measurement=level)), n=n)


def _clipped(low: float, high: float) -> Interval:
    return Interval(low=max(-1.0, low), high=min(1.0, high), level=LEVEL, method="asymptotic")
