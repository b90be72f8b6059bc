"""What a quantile reward model's outputs say: how good a completion is expected to be, and how sure that is."""

import math
from collections.abc import Sequence
from typing import Literal

Layout = Literal["attribute_major", "quantile_major"]
"""Whether the quantiles of one attribute lie side by side in the outputs, or the attributes of one quantile."""


def by_attribute(outputs: Sequence[float], quantiles: int, layout: Layout) -> list[list[float]]:
    """Return each attribute's quantiles, ascending.

    Each quantile is regressed by itself, so that they may cross; sorting is the rearrangement that makes them a
    distribution again, and never takes them further from the true one (Chernozhukov et al. 2010).

    Raises:
        ValueError: the outputs are not a whole number of attributes.
    """
    attributes, rest = divmod(len(outputs), quantiles)
    if rest or not attributes:
        raise ValueError(f"{len(outputs)} outputs are not a whole number of attributes with {quantiles} quantiles")
    if layout == "attribute_major":
        return [sorted(outputs[a * quantiles : (a + 1) * quantiles]) for a in range(attributes)]
    return [sorted(outputs[a::attributes]) for a in range(attributes)]


def mixed(attributes: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """Return the quantiles of the weighted sum of attributes that rise and fall together, ascending.

    Level by level, Σ weight·quantile, as QRM mixes them (Dorka 2024). Under a negative weight an attribute's lowest
    quantile is the sum's highest.
    """
    scaled = [sorted(weight * one for one in own) for own, weight in zip(attributes, weights, strict=True)]
    return [math.fsum(level) for level in zip(*scaled, strict=True)]


def mean(quantiles: Sequence[float]) -> float:
    """Return the expectation of quantiles at equally spaced levels."""
    return math.fsum(quantiles) / len(quantiles)


def cvar(quantiles: Sequence[float], tau: float) -> float:
    """Return the mean of the lowest share `tau` in (0, 1] of ascending quantiles: the conditional value at risk.

    Each quantile stands for an equal share of the distribution (Rockafellar & Uryasev 2000); the one that `tau` cuts
    counts for the part that lies below, and tau = 1 is the mean.
    """
    share = tau * len(quantiles)
    whole = math.floor(share)
    part = share - whole
    tail = math.fsum(quantiles[:whole]) + (part * quantiles[whole] if part else 0.0)
    return tail / share


def spread(quantiles: Sequence[float]) -> float:
    """Return the standard deviation of quantiles at equally spaced levels: the model's own uncertainty."""
    centre = mean(quantiles)
    return math.sqrt(math.fsum((one - centre) ** 2 for one in quantiles) / len(quantiles))
