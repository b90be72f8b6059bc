"""How much a preference follows the answers' lengths, and what would remain of it at equal lengths."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from statsmodels.genmod.families import Binomial  # statsmodels.api also loads its plots and time series: 0.4 s
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.tools import add_constant

from model_evaluation.statistics.interval import LEVEL
from model_evaluation.statistics.statistic import Estimate, Interval, Statistic

FEWEST = 10
"""Below this, two coefficients and their spread are read out of noise."""


class Verbosity(Statistic):
    """A logistic regression of preferences on the difference in length, a sensitivity figure: no causal claim."""

    at_equal_length: Estimate
    """The preference for a at no difference in length, 0–1."""
    slope: Estimate
    """Log-odds for a, per unit of tanh(length difference / its standard deviation); above 0: longer is preferred."""


def verbosity(preferences: Sequence[float], lengths: Sequence[tuple[float, float]]) -> Verbosity:
    """Fit P(a preferred) = σ(θ + φ · tanh(Δ / sd(Δ))), with Δ = length_a − length_b.

    The length term of AlpacaEval 2 (Dubois et al. 2024, eq. 1); its difficulty term needs many models. Preferences of
    ½ make it a quasi-likelihood, so the intervals use the sandwich covariance (HC1).

    Args:
        preferences: from 0 (b) to 1 (a), one a prompt.
        lengths: of a's and b's answers.
    """
    n = len(preferences)
    differences = np.asarray([a - b for a, b in lengths], dtype=float)
    if reason := _unfit(preferences, differences):
        return Verbosity(at_equal_length=Estimate.missing(n, reason), slope=Estimate.missing(n, reason))
    x = add_constant(np.tanh(differences / differences.std()), has_constant="add")
    fit = GLM(np.asarray(preferences), x, family=Binomial()).fit(cov_type="HC1")
    if not (fit.converged and np.isfinite(fit.bse).all()):
        reason = "the logistic regression did not converge"
        return Verbosity(at_equal_length=Estimate.missing(n, reason), slope=Estimate.missing(n, reason))
    equal = fit.get_prediction(np.array([[1.0, 0.0]])).summary_frame(alpha=1 - LEVEL).iloc[0]
    low, high = fit.conf_int(alpha=1 - LEVEL)[1]
    return Verbosity(
        at_equal_length=_estimate(equal["mean"], n, equal["mean_ci_lower"], equal["mean_ci_upper"]),
        slope=_estimate(fit.params[1], n, low, high),
    )


def _unfit(preferences: Sequence[float], differences: NDArray[np.float64]) -> str | None:
    if len(preferences) < FEWEST:
        return f"{len(preferences)} prompts with lengths; the regression needs {FEWEST} at least"
    if len(set(differences.tolist())) == 1:
        return "every difference in length is the same"
    values = np.asarray(preferences)
    if len(set(preferences)) == 1:
        return "every prompt has the same outcome: there is nothing for lengths to explain"
    won, lost = differences[values > 0], differences[values < 1]  # a tie is in both
    if won.min() >= lost.max() or lost.min() >= won.max():
        return "length alone separates wins from losses: the logistic regression has no finite solution"
    return None


def _estimate(value: float, n: int, low: float, high: float) -> Estimate:
    interval = Interval(low=float(low), high=float(high), level=LEVEL, method="sandwich covariance (HC1)")
    return Estimate(value=float(value), n=n, interval=interval)
