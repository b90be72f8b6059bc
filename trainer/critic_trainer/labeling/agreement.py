"""How far two labelers agree on an attribute, and where they do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from critic_trainer.reply import EQUAL, Labels

SAME = "all labels equal: α is undefined, and there is nothing to disagree about"


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's α for interval data, and the correlation of the two labelers.

    Attributes:
        alpha: None where it is undefined; `reason` says why.
        merges: whether the labels may be averaged.
        reliability: of the mean of both by Spearman-Brown, 2r/(1+r): the R² that no critic of these labels can
            honestly exceed; None where r is undefined or not above 0.
    """

    attribute: str
    n: int
    alpha: float | None
    merges: bool
    reliability: float | None = None
    reason: str = ""


def agreement(attribute: str, first: Sequence[Labels], second: Sequence[Labels], threshold: float) -> Agreement:
    """Compare two labelers on one attribute, over the replies that both have labelled."""
    pairs = [
        (a, b)
        for one, other in zip(first, second, strict=True)
        if (a := one.get(attribute)) is not None and (b := other.get(attribute)) is not None
    ]
    if len(pairs) < 2:
        return Agreement(attribute, len(pairs), None, False, reason="fewer than two replies labelled by both")
    labels = np.array(pairs).T  # (2, n)
    if np.ptp(labels) <= EQUAL:
        return Agreement(attribute, len(pairs), None, True, reason=SAME)
    alpha = interval_alpha(labels)
    merges = alpha >= threshold
    reason = "" if merges else f"α = {alpha:.2f} is below {threshold:g}: the labels are not merged"
    return Agreement(attribute, len(pairs), alpha, merges, _spearman_brown(labels), reason)


def disagreements(
    ids: Sequence[str], first: Sequence[Labels], second: Sequence[Labels], gap: float
) -> list[dict[str, Any]]:
    """Return where two labelers are `gap` or more apart, the farthest first."""
    found = [
        {"id": name, "attribute": attribute, "labels": [a, b], "gap": round(abs(a - b), 4)}
        for name, one, other in zip(ids, first, second, strict=True)
        for attribute, a in one.items()
        if a is not None and (b := other.get(attribute)) is not None and abs(a - b) >= gap
    ]
    return sorted(found, key=lambda record: (-float(record["gap"]), str(record["id"])))


def interval_alpha(labels: "np.ndarray[Any, np.dtype[np.float64]]") -> float:
    """Return Krippendorff's α for interval data of two labelers without gaps, labels (2, n) that are not all equal.

    The krippendorff package says the same (a test holds them together), but makes an n × V × V table of the V different
    labels: 386 GiB for three thousand replies graded on a continuous scale.
    """
    observed = float(np.mean((labels[0] - labels[1]) ** 2))
    expected = 2 * float(np.var(labels, ddof=1))  # mean squared difference of all pairs, whoever gave them
    return 1 - observed / expected


def _spearman_brown(labels: "np.ndarray[Any, np.dtype[np.float64]]") -> float | None:
    if np.ptp(labels[0]) <= EQUAL or np.ptp(labels[1]) <= EQUAL:
        return None
    r = float(np.corrcoef(labels)[0, 1])
    return 2 * r / (1 + r) if r > 0 else None
