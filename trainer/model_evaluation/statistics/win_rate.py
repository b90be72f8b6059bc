"""How often model_a's answer is preferred, and how sure that is."""

from collections.abc import Sequence

from scipy.stats import binomtest

from model_evaluation.statistics.interval import RESAMPLES, bca, wilson
from model_evaluation.statistics.statistic import Interval, PValue, Statistic

FEWEST_FOR_BCA = 10
"""Below this, resamples of so few prompts are too alike: BCa covers less than it says, Wilson does not."""


class WinRate(Statistic):
    """(W + ½T) / N of model_a over prompts, from 0 to 1; a prompt compared several times counts with its mean."""

    wins: int
    ties: int
    losses: int
    n: int
    """Prompts with a verdict: wins + ties + losses."""
    incomplete: int
    """Prompts without one; they are in none of the other numbers."""
    rate: float | None
    interval: Interval | None
    """The one to read: BCa, or Wilson where BCa does not exist or has fewer than FEWEST_FOR_BCA prompts."""
    wilson: Interval | None
    sign_test: PValue
    reason: str | None = None
    """Why `rate` is null, or why `interval` is not BCa."""


def win_rate(values: Sequence[float], seed: int, incomplete: int = 0, resamples: int = RESAMPLES) -> WinRate:
    """Return the win rate of one value per prompt, from 0 (lost) to 1 (won)."""
    n = len(values)
    wins, losses = sum(value > 0.5 for value in values), sum(value < 0.5 for value in values)
    beside = wilson(sum(values), n)
    interval, reason = _interval(values, seed, resamples)
    return WinRate(
        wins=wins,
        ties=n - wins - losses,
        losses=losses,
        n=n,
        incomplete=incomplete,
        rate=sum(values) / n if n else None,
        interval=interval or beside,
        wilson=beside,
        sign_test=sign_test(wins, losses),
        reason=reason,
    )


def sign_test(wins: int, losses: int) -> PValue:
    """Test wins against losses, exactly; ties say nothing about which model is better."""
    method = "exact sign test on decided prompts"
    if wins + losses == 0:
        return PValue(n=0, method=method, reason="no prompt was decided")
    return PValue(p=float(binomtest(wins, wins + losses).pvalue), n=wins + losses, method=method)


def _interval(values: Sequence[float], seed: int, resamples: int) -> tuple[Interval | None, str | None]:
    if not values:
        return None, "no complete comparison"
    if len(set(values)) == 1:
        return None, "all outcomes are equal: the bootstrap has nothing to resample, Wilson alone"
    if len(values) < FEWEST_FOR_BCA:
        return None, f"fewer prompts than the {FEWEST_FOR_BCA} that the bootstrap needs: Wilson alone"
    return bca(values, seed, resamples), None
