"""What a group's values have left to teach: how much they differ, and whether they still follow quality."""

import math
from collections.abc import Sequence
from statistics import correlation

UNCORRELATED = 1e-9
"""A correlation closer to 0 than this is rounding."""


def signal(values: Sequence[float]) -> float:
    """Return the sum of the absolute distances of a group's values from their mean: Σ|advantage|."""
    mean = math.fsum(values) / len(values)
    return math.fsum(abs(value - mean) for value in values)


def flipped(values: Sequence[float], quality: Sequence[float]) -> float | None:
    """Return 1 where values and quality correlate negatively, else 0; None where either is the same for all."""
    if len(set(values)) == 1 or len(set(quality)) == 1:
        return None
    return float(correlation(_near_one(values), _near_one(quality)) < -UNCORRELATED)


def _near_one(numbers: Sequence[float]) -> list[float]:
    """Return numbers times the power of two that brings the largest to about 1: no square of them is lost then."""
    _, exponent = math.frexp(max(map(abs, numbers)))
    return [math.ldexp(number, -exponent) for number in numbers]
