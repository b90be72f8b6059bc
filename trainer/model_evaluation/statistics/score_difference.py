"""The scores of two models on the same prompts, and their paired difference."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import permutation_test, wilcoxon

from model_evaluation.statistics.interval import RESAMPLES, bca, exact
from model_evaluation.statistics.statistic import Estimate, PValue, Statistic


class ScoreDistribution(Statistic):
    """Mean and sample standard deviation (n − 1) over prompts, 0–10; null where there are too few."""

    mean: float | None
    sd: float | None
    n: int


class ScoreDifference(Statistic):
    """model_a minus model_b, over the prompts where both have a score."""

    model_a: ScoreDistribution
    model_b: ScoreDistribution
    unscored: int
    """Prompts with a verdict but without scores."""
    difference: Estimate
    permutation: PValue
    """Sign-flip permutation test of the mean difference; exact up to 13 prompts, seeded beyond."""
    wilcoxon: PValue
    """Wilcoxon's signed ranks, with zero differences ranked and then dropped (Pratt 1959)."""
    effect_size: Estimate
    """Cohen's d_z: the mean of the differences over their standard deviation."""


def score_difference(scores: Sequence[tuple[float, float] | None], seed: int) -> ScoreDifference:
    """Compare one (score_a, score_b) per prompt; None where the judge gave none."""
    known = [pair for pair in scores if pair is not None]
    differences = [exact(a - b) for a, b in known]
    return ScoreDifference(
        model_a=distribution([a for a, _ in known]),
        model_b=distribution([b for _, b in known]),
        unscored=len(scores) - len(known),
        difference=_difference(differences, seed),
        permutation=_permutation(differences, seed),
        wilcoxon=_wilcoxon(differences),
        effect_size=_effect_size(differences),
    )


def distribution(values: Sequence[float]) -> ScoreDistribution:
    """Return mean and standard deviation."""
    n = len(values)
    mean = float(np.mean(values)) if n else None
    return ScoreDistribution(mean=mean, sd=float(np.std(values, ddof=1)) if n > 1 else None, n=n)


def _difference(differences: Sequence[float], seed: int) -> Estimate:
    n = len(differences)
    if n == 0:
        return Estimate.missing(0, "no prompt has scores for both models")
    interval = bca(differences, seed)
    reason = None if interval else "no interval: fewer than two prompts, or all differences are equal"
    return Estimate(value=float(np.mean(differences)), n=n, interval=interval, reason=reason)


def _permutation(differences: Sequence[float], seed: int) -> PValue:
    method = "sign-flip permutation test of the mean"
    if reason := _untestable(differences):
        return PValue(n=len(differences), method=method, reason=reason)
    found = permutation_test(
        (np.asarray(differences),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, 1_000_000 // len(differences)),
        rng=np.random.default_rng(seed),
    )
    return PValue(p=float(found.pvalue), n=len(differences), method=method)


def _wilcoxon(differences: Sequence[float]) -> PValue:
    method = "Wilcoxon signed-rank, zeros by Pratt"
    if reason := _untestable(differences):
        return PValue(n=len(differences), method=method, reason=reason)
    return PValue(p=float(wilcoxon(differences, zero_method="pratt").pvalue), n=len(differences), method=method)


def _untestable(differences: Sequence[float]) -> str | None:
    if len(differences) < 2:
        return f"{len(differences)} scored prompts; a test needs two at least"
    return None if any(differences) else "every difference is zero"


def _effect_size(differences: Sequence[float]) -> Estimate:
    n = len(differences)
    if n < 2:
        return Estimate.missing(n, f"{n} scored prompts; a standard deviation needs two at least")
    if len(set(differences)) == 1:
        return Estimate.missing(n, "all differences are equal: they have no spread to compare with")
    return Estimate(value=float(np.mean(differences) / np.std(differences, ddof=1)), n=n)
