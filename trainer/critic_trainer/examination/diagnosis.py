"""What the figures of a head mean, in one word and one sentence."""

from dataclasses import dataclass
from typing import Literal

from critic_trainer.examination.ceiling import Ceiling
from critic_trainer.examination.head_statistics import HeadStatistics

Finding = Literal[
    "labels without variance",
    "too few rows",
    "above the ceiling: leak",
    "collapse to the mean",
    "scale or offset",
    "no signal",
    "below the ceiling",
    "sound",
]

FEW = 30
"""Replies below which no figure is trusted."""
COLLAPSED = 0.1
"""Spread of the predictions, as a share of the labels', below which a head says the same of every reply."""
RECALIBRATION = 0.05
"""R² that a straight line through the predictions would add, from which on their scale is wrong."""
NEAR = 0.8
"""Share of the ceiling from which on a head is as good as its labels allow."""
LEAST = 0.05
"""R² below which a head predicts nothing."""


@dataclass(frozen=True)
class Diagnosis:
    finding: Finding
    text: str
    ceiling_share: float | None = None


def diagnosis(found: HeadStatistics, ceiling: Ceiling) -> Diagnosis:
    """Return the first finding that applies, the ones that make the others meaningless first."""
    if found.n < FEW:
        text = f"{found.n} labelled replies; from {FEW} on the figures begin to mean something."
        return Diagnosis("too few rows", text)
    if found.r2 is None:
        why = f"R² is undefined: {found.reasons['r2']}"
        return Diagnosis("labels without variance", f"{why}; there is nothing to learn: give labels that differ.")
    share = found.r2 / ceiling.r2 if ceiling.r2 else None
    return (
        _leak(found, ceiling, share)
        or _collapse(found, share)
        or _scale(found, share)
        or _strength(found, ceiling, share)
    )


def _leak(found: HeadStatistics, ceiling: Ceiling, share: float | None) -> Diagnosis | None:
    low = found.r2_interval[0] if found.r2_interval else None
    if ceiling.r2 is None or low is None or low <= ceiling.r2:
        return None
    text = (
        f"R² {found.r2:.2f} (at least {low:.2f}) is above {ceiling.r2:.2f}, the most that labels with these errors "
        "allow: the critic has seen the labels of these replies, or something that gives them away."
    )
    return Diagnosis("above the ceiling: leak", text, share)


def _collapse(found: HeadStatistics, share: float | None) -> Diagnosis | None:
    assert found.spread is not None
    assert found.label_spread is not None
    if found.spread >= COLLAPSED * found.label_spread:
        return None
    text = (
        f"The predictions spread by {found.spread:.3f}, the labels by {found.label_spread:.3f}: the head says the mean "
        "of every reply. Train longer or at a higher rate, or the texts do not hold what the labels are about."
    )
    return Diagnosis("collapse to the mean", text, share)


def _scale(found: HeadStatistics, share: float | None) -> Diagnosis | None:
    if found.pearson is None or found.r2 is None or found.pearson <= 0 or found.pearson**2 < LEAST:
        return None
    if found.pearson**2 - found.r2 < RECALIBRATION:
        return None
    text = (
        f"Pearson² is {found.pearson**2:.2f} and R² {found.r2:.2f}: the order is right and the scale is not. "
        f"label ≈ {found.offset:.2f} + {found.slope:.2f} · prediction; the mean is off by {found.bias:+.3f}."
    )
    return Diagnosis("scale or offset", text, share)


def _strength(found: HeadStatistics, ceiling: Ceiling, share: float | None) -> Diagnosis:
    assert found.r2 is not None
    if found.r2 < LEAST:
        return Diagnosis("no signal", f"R² {found.r2:.2f}: the labels' mean predicts as well.", share)
    if share is None:
        return Diagnosis("sound", f"R² {found.r2:.2f}; the ceiling is {ceiling.source}.")
    said = f"R² {found.r2:.2f} is {100 * share:.0f}% of the ceiling {ceiling.r2:.2f} ({ceiling.source})."
    return Diagnosis("sound" if share >= NEAR else "below the ceiling", said, share)
