"""Two pictures a head: every reply's label over its prediction, and mean labels of ten groups of like predictions."""

import base64
import io
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
import matplotlib.pyplot as plt

Values = NDArray[np.float64]
GROUPS = 10


def pictures(pairs: Mapping[str, tuple[Values, Values]]) -> dict[str, str]:
    """Return a data URI a head, of its (labels, predictions); none where there is no reply."""
    return {name: _picture(*both) for name, both in pairs.items() if len(both[0])}


def groups(labels: Values, predictions: Values, count: int = GROUPS) -> list[tuple[float, float, int]]:
    """Return (mean prediction, mean label, replies) of groups of like predictions, as even as can be."""
    order = np.argsort(predictions, kind="stable")
    parts = np.array_split(order, min(count, len(order)))
    return [(float(predictions[part].mean()), float(labels[part].mean()), len(part)) for part in parts]


def _picture(labels: Values, predictions: Values) -> str:
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.0), layout="constrained")
    low = float(min(labels.min(), predictions.min())) - 0.03
    high = float(max(labels.max(), predictions.max())) + 0.03
    left.scatter(predictions, labels, s=7, alpha=0.35, linewidths=0, color="#0f766e")
    left.set(title="each reply", xlabel="prediction", ylabel="label")
    xs, ys, _ = zip(*groups(labels, predictions), strict=True)
    right.plot(xs, ys, "o-", color="#b45309", ms=4, lw=1)
    right.set(title="calibration", xlabel="mean prediction", ylabel="mean label")
    for axes in (left, right):
        axes.plot([low, high], [low, high], color="#9ca3af", lw=0.8, ls=":")
        axes.set(xlim=(low, high), ylim=(low, high))
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=7)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
