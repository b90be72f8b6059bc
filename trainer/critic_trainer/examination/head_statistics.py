"""How one head's predictions compare with its labels; what is undefined is null with a reason."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from critic_trainer.critic_error import CriticError
from critic_trainer.reply import EQUAL

Values = NDArray[np.float64]

RESAMPLES = 1000
NO_VARIANCE = "all labels equal"
CONSTANT = "all predictions equal"
NONE = "no reply has both a label and a prediction"
ALIKE = "in every resample all labels are equal"
OF_VARIED_PREDICTIONS = ("pearson", "spearman", "slope", "offset")
OF_VARIED_LABELS = ("r2", "r2_interval", *OF_VARIED_PREDICTIONS)
"""Figures that labels which are all equal leave undefined."""


@dataclass(frozen=True)
class HeadStatistics:
    """Of one head, in its own units.

    Attributes:
        r2: 1 − Σ(y − ŷ)²/Σ(y − ȳ)²; below 0 where the labels' mean would have predicted better.
        r2_interval: 95%, percentile bootstrap over replies.
        slope, offset: of the line label = offset + slope·prediction: 1 and 0 where the scale is right.
        bias: mean prediction − mean label.
        spread: standard deviation of the predictions; `label_spread` that of the labels.
        reasons: why a figure is null, by its name; each one that is null has one.
    """

    n: int
    r2: float | None = None
    r2_interval: tuple[float, float] | None = None
    pearson: float | None = None
    spearman: float | None = None
    mae: float | None = None
    bias: float | None = None
    slope: float | None = None
    offset: float | None = None
    spread: float | None = None
    label_spread: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)


def statistics(labels: Values, predictions: Values, seed: int = 0) -> HeadStatistics:
    """Return the figures of one head, of as many labels as predictions.

    Raises:
        CriticError: a label or a prediction is no finite number.
    """
    for name, values in (("label", labels), ("prediction", predictions)):
        if wrong := int((~np.isfinite(values)).sum()):
            raise CriticError(f"{wrong} of {len(values)} {name}s are no finite numbers; no figure can be trusted")
    if not len(labels):
        figures = [one.name for one in fields(HeadStatistics) if one.default is None]
        return HeadStatistics(0, reasons=dict.fromkeys(figures, NONE))
    found: dict[str, Any] = {
        "mae": float(np.abs(labels - predictions).mean()),
        "bias": float(predictions.mean() - labels.mean()),
        "spread": float(predictions.std()),
        "label_spread": float(labels.std()),
    }
    if np.ptp(labels) <= EQUAL:
        why = f"{NO_VARIANCE} ({labels[0]:.2f} on {len(labels)} replies)"
        return HeadStatistics(len(labels), **found, reasons=dict.fromkeys(OF_VARIED_LABELS, why))
    interval = _interval(labels, predictions, seed)
    found |= {"r2": r2(labels, predictions), "r2_interval": interval}
    reasons = {} if interval else {"r2_interval": ALIKE}
    if np.ptp(predictions) <= EQUAL:
        reasons |= dict.fromkeys(OF_VARIED_PREDICTIONS, CONSTANT)
    else:
        found |= _related(labels, predictions)
    return HeadStatistics(len(labels), **found, reasons=reasons)


def r2(labels: Values, predictions: Values) -> float:
    """Return the coefficient of determination of labels that are not all equal."""
    return float(1 - ((labels - predictions) ** 2).sum() / ((labels - labels.mean()) ** 2).sum())


def _related(labels: Values, predictions: Values) -> dict[str, float]:
    from scipy import stats

    line = stats.linregress(predictions, labels)
    return {
        "pearson": float(line.rvalue),
        "spearman": float(stats.spearmanr(labels, predictions).statistic),
        "slope": float(line.slope),
        "offset": float(line.intercept),
    }


def _interval(labels: Values, predictions: Values, seed: int) -> tuple[float, float] | None:
    drawn = np.random.default_rng(seed).integers(0, len(labels), (RESAMPLES, len(labels)))
    some, predicted = labels[drawn], predictions[drawn]  # (resamples, n)
    total = ((some - some.mean(1, keepdims=True)) ** 2).sum(1)
    varied = np.ptp(some, axis=1) > EQUAL  # of a few rows a resample may have one label only
    if not varied.any():
        return None
    found = 1 - ((some - predicted) ** 2).sum(1)[varied] / total[varied]
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
