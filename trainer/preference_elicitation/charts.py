"""The charts of a probe's report, as SVG elements for the page; the same numbers draw the same bytes."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Report = Mapping[str, Any]
INK, FAINT = "#1f2937", "#9ca3af"
COLOURS = ("#0f766e", "#b45309", "#4338ca", "#be185d", "#4d7c0f", "#0369a1")
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": "#eef0f3",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "guerdon",
    "text.parse_math": False,
}


def svgs(report: Report) -> list[str]:
    """Return every chart that the report has numbers for."""
    arms, people = len(report["arms"]), len(report["personas"])
    drawn: list[tuple[str, Callable[[Axes, Report], None], float]] = [
        ("Gain of a question, with 95% interval", gains, 1.2 + 0.4 * arms),
        ("Accuracy before and after the answer", accuracy, 1.2 + 0.4 * arms),
        ("Gain by persona", personas, 1.4 + 0.3 * people),
    ]
    if report["calibration"]["pairs"]:
        drawn.append(("Do predictions come true?", reliability, 3.2))
    return [_svg(title, draw, report, height) for title, draw, height in drawn]


def gains(axes: Axes, report: Report) -> None:
    for row, arm in enumerate(report["arms"]):
        gain = arm["gain"]
        if gain["value"] is None:
            continue
        if gain["interval"]:
            axes.plot([gain["interval"]["low"], gain["interval"]["high"]], [row, row], color=_colour(row), linewidth=3)
        axes.plot(gain["value"], row, "o", color=_colour(row), markersize=7)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set(xlabel="nats per pair")
    _rows(axes, [arm["name"] for arm in report["arms"]])


def accuracy(axes: Axes, report: Report) -> None:
    for row, arm in enumerate(report["arms"]):
        if arm["accuracy_before"] is None:
            continue
        axes.plot([arm["accuracy_before"], arm["accuracy_after"]], [row, row], color=FAINT, linewidth=2)
        axes.plot(arm["accuracy_before"], row, "o", color="white", markeredgecolor=_colour(row), markersize=7)
        axes.plot(arm["accuracy_after"], row, "o", color=_colour(row), markersize=7)
    axes.set(xlabel="share of pairs predicted right; ○ before, ● after")
    _rows(axes, [arm["name"] for arm in report["arms"]])


def personas(axes: Axes, report: Report) -> None:
    for place, arm in enumerate(report["arms"]):
        found = [
            (arm["by_persona"][who]["gain"], row)
            for row, who in enumerate(report["personas"])
            if who in arm["by_persona"]
        ]
        offset = 0.16 * (place - (len(report["arms"]) - 1) / 2)
        axes.plot(
            [x for x, _ in found], [row + offset for _, row in found], "o", color=_colour(place), label=arm["name"]
        )
    axes.axvline(0, color=INK, linewidth=1)
    axes.set(xlabel="mean gain, nats per pair")
    _rows(axes, report["personas"])
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.25), ncols=3)


def reliability(axes: Axes, report: Report) -> None:
    bins = report["calibration"]["bins"]
    axes.plot([0.5, 1], [0.5, 1], color=FAINT, linestyle=(0, (3, 3)))
    most = max(one["n"] for one in bins)
    axes.plot([one["predicted"] for one in bins], [one["came_true"] for one in bins], color=COLOURS[0])
    for one in bins:
        axes.plot(
            one["predicted"], one["came_true"], "o", color=COLOURS[0], markersize=3 + 8 * (one["n"] / most) ** 0.5
        )
    axes.set(xlabel="predicted probability of the likelier option", ylabel="share that came true", xlim=(0.48, 1.02))


def _svg(title: str, draw: Callable[[Axes, Report], None], report: Report, height: float) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, height), layout="constrained")
        axes = figure.subplots()
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
        draw(axes, report)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()[out.getvalue().index("<svg") :]


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]
