"""Confidence intervals of a mean over prompts: BCa bootstrap and Wilson."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

from model_evaluation.statistics.statistic import Interval

LEVEL = 0.95
RESAMPLES = 9_999
BATCH_CELLS = 1_000_000
"""Numbers that one batch of resamples holds: 8 MB, however many prompts there are."""


def exact(value: float) -> float:
    """Round to a multiple of 2⁻³⁰, sums of which are exact.

    BCa counts the resamples whose mean equals the observed one. With thirds, rounding would break such ties this way
    or that, and a comparison would no longer mirror when the models are swapped.
    """
    return round(value * 2**30) / 2**30


def bca(values: Sequence[float], seed: int, resamples: int = RESAMPLES) -> Interval | None:
    """Return the bias-corrected and accelerated bootstrap interval of the mean (Efron 1987, as in SciPy).

    None where it does not exist: fewer than two values, or all equal.
    """
    if len(set(values)) < 2:
        return None
    batch = max(1, BATCH_CELLS // len(values))
    rng = np.random.default_rng(seed)
    data = (np.asarray(values),)
    found = bootstrap(data, np.mean, n_resamples=resamples, batch=batch, confidence_level=LEVEL, method="BCa", rng=rng)
    low, high = found.confidence_interval
    return Interval(low=float(low), high=float(high), method=f"BCa bootstrap over prompts, {resamples} resamples")


def wilson(successes: float, n: int) -> Interval | None:
    """Return Wilson's score interval of a share; a tie counts as half a success. None for n = 0."""
    if n == 0:
        return None
    low, high = proportion_confint(successes, n, alpha=1 - LEVEL, method="wilson")
    return Interval(low=max(0.0, float(low)), high=min(1.0, float(high)), method="Wilson")
