"""How large a difference a number of prompts can show, and how many prompts a difference needs."""

from statsmodels.stats.power import NormalIndPower

from model_evaluation.statistics.statistic import Statistic

ALPHA, POWER = 0.05, 0.8
SD = 0.5  # of one prompt's outcome when every prompt is decided: the largest it can be; ties make tests sharper


class DetectableEffect(Statistic):
    """Win rates are told from ½ with power 0.8 at α = 0.05, two-sided, by a one-sample z-test."""

    n: int
    effect: float | None
    """The smallest |win rate − ½| that N prompts would show four times in five: 0.198 for N = 50."""
    reason: str | None = None
    prompts_for_10_points: int
    alpha: float = ALPHA
    power: float = POWER


def detectable_effect(n: int) -> DetectableEffect:
    """Return what `n` prompts can show."""
    enough = prompts_needed(0.5)
    if n <= enough:
        reason = f"{n} prompts: up to {enough}, even a win on every prompt is shown less than four times in five"
        return DetectableEffect(n=n, effect=None, reason=reason, prompts_for_10_points=prompts_needed(0.1))
    # ratio=0 is statsmodels' one-sample test: the second sample has no variance
    size = NormalIndPower(ddof=0).solve_power(nobs1=n, alpha=ALPHA, power=POWER, ratio=0)
    return DetectableEffect(n=n, effect=float(size) * SD, prompts_for_10_points=prompts_needed(0.1))


def prompts_needed(effect: float) -> int:
    """Return how many prompts show a win rate of ½ ± `effect`, to the nearest prompt: 196 for 0.1.

    Args:
        effect: 0 < effect ≤ 0.5.

    Raises:
        ValueError: `effect` is outside that range.
    """
    if not 0 < effect <= 0.5:
        raise ValueError(f"an effect of {effect} on a win rate; it lies above 0 and at 0.5 at most")
    return round(float(NormalIndPower(ddof=0).solve_power(effect_size=effect / SD, alpha=ALPHA, power=POWER, ratio=0)))
