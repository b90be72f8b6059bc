"""The R² that a perfect critic would reach, where it is known: labels err, and nothing predicts an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from critic_trainer.reply import EQUAL, Reply


@dataclass(frozen=True)
class Ceiling:
    """`r2` is Var(truth)/Var(label); None where it is unknown, or undefined. `source` says where it is from."""

    r2: float | None
    source: str


def ceiling(attribute: str, replies: Sequence[Reply], agreements: Mapping[str, Any]) -> Ceiling:
    """Return the ceiling of one head: of the declared levels if the replies have them, else of two labelers' agreement.

    Args:
        attribute: the head's name.
        replies: those that have a label of it.
        agreements: what agreement.json says, by attribute.
    """
    pairs = [(one.levels[attribute], one.label(attribute)) for one in replies if attribute in one.levels]
    if pairs and len(pairs) == len(replies):
        levels, labels = np.array(pairs, float).T
        if np.ptp(labels) <= EQUAL or np.ptp(levels) <= EQUAL:
            return Ceiling(None, "the levels or the labels are all equal")
        return Ceiling(float(min(1.0, levels.var() / labels.var())), "declared levels")
    reliability = agreements.get(attribute, {}).get("reliability")
    if reliability is not None:
        return Ceiling(float(reliability), "agreement of two labelers (Spearman-Brown)")
    return Ceiling(None, "unknown: neither levels nor two labelers")
