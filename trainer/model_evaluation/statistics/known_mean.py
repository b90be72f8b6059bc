"""The mean of the numbers that are known."""

from collections.abc import Sequence
from statistics import fmean


def known_mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that are not None; None where all are."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
