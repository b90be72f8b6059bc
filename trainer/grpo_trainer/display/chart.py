"""The curves of a run, drawn from its ledger."""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Metrics = Sequence[Mapping[str, Any]]
Draw = Callable[[Axes, Metrics], None]

INK, FAINT = "#1f2937", "#9ca3af"
COLOURS = ("#0f766e", "#b45309", "#4338ca", "#be185d", "#4d7c0f", "#0369a1", "#7c2d12", "#6b7280")
LINES = ("-", "--", ":", "-.")
WIDTH, HEIGHT = 5.6, 2.9
"""Of a panel, in inches."""
LEGEND_ROW = 0.17
"""Inches that each row of a legend from the third on makes a panel of a page higher."""
LEGEND_LETTERS = 96
"""Letters of a legend that stand beside each other, each entry with ten for its line and the gap behind it."""
STYLE: Any = {  # matplotlib types the keys of its settings one by one
    "axes.edgecolor": "#d1d5db",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": "#eef0f3",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: small files, and the page's own font
    "svg.hashsalt": "guerdon",  # the same run draws the same bytes
    "text.parse_math": False,  # names are text: a$\\frac$b is no formula
    "xtick.color": "#6b7280",
    "ytick.color": "#6b7280",
}


def png(metrics: Metrics, path: Path) -> None:
    """Write all curves on one page."""
    shown = panels(metrics)
    rows = math.ceil(len(shown) / 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2 * WIDTH, HEIGHT * rows), layout="constrained")
        cells = figure.subplots(rows, 2, squeeze=False).flatten()
        for axes, (title, draw) in zip(cells, shown, strict=False):
            _panel(axes, title, draw, metrics)
        for axes in cells[len(shown) :]:
            axes.set_axis_off()
        figure.savefig(path, dpi=150)


def svgs(metrics: Metrics) -> list[str]:
    """Return each panel as an SVG element to put into a page."""
    drawn = []
    with mpl.rc_context(STYLE):
        for title, draw in panels(metrics):
            figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
            axes = figure.subplots()
            _panel(axes, title, draw, metrics)
            labels = axes.get_legend_handles_labels()[1]
            figure.set_figheight(HEIGHT + LEGEND_ROW * max(0, math.ceil(len(labels) / columns(labels)) - 2))
            out = io.StringIO()
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
            drawn.append(out.getvalue()[out.getvalue().index("<svg") :])
    return drawn


def panels(metrics: Metrics) -> list[tuple[str, Draw]]:
    """Return the panels of a page, in reading order."""
    moving = [("Weights that follow a target share", draw_weights)] if moving_weights(metrics) else []
    return [
        ("Reward: mean of each step, ± sd", draw_reward),
        ("Components of the reward", draw_components),
        ("Signal share: who moves the policy", draw_signal),
        *moving,
        ("Lost: dead groups, failed completions", draw_lost),
        ("Share of the step spent waiting for rewards", draw_wait),
        ("How far a step moves the policy", draw_change),
    ]


def draw_reward(axes: Axes, metrics: Metrics) -> None:
    steps, mean = series(metrics, "reward", "mean")
    spread = [record["reward"]["std"] or 0.0 for record in metrics if _at(record, "reward", "mean") is not None]
    low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
    axes.fill_between(steps, low, high, color=COLOURS[0], alpha=0.12, linewidth=0)
    axes.plot(steps, mean, color=COLOURS[0], alpha=0.35, linewidth=1)
    axes.plot(steps, smoothed(mean), color=COLOURS[0], linewidth=2)


def draw_components(axes: Axes, metrics: Metrics) -> None:
    names = list(dict.fromkeys(name for record in metrics for name in record.get("components") or {}))
    for name, style in styled(names):
        steps, mean = series(metrics, "components", name, "mean")
        axes.plot(steps, smoothed(mean), **style, linewidth=1.6, label=_legend(name, names))
    legend_below(axes)


def draw_signal(axes: Axes, metrics: Metrics) -> None:
    names = list(dict.fromkeys(name for record in metrics for name in record.get("signal_share") or {}))
    for name, style in styled(names):
        steps, share = series(metrics, "signal_share", name)
        axes.plot(steps, [100 * one for one in smoothed(share)], **style, linewidth=1.6, label=name)
    low, high = axes.get_ylim()
    axes.set_ylim(min(-2, low), max(102, high))  # a share can be negative, and another then over 100 %
    axes.set_ylabel("%")
    legend_below(axes)


def moving_weights(metrics: Metrics) -> list[str]:
    """Return the rewards whose weight is not the same in every step: those with a target share."""
    names = dict.fromkeys(name for record in metrics for name in record.get("weights") or {})
    return [name for name in names if len(set(series(metrics, "weights", name)[1])) > 1]


def draw_weights(axes: Axes, metrics: Metrics) -> None:
    for name, style in styled(moving_weights(metrics)):
        steps, weight = series(metrics, "weights", name)
        axes.plot(steps, weight, **style, linewidth=1.6, label=name)
    axes.set_ylabel("weight")
    legend_below(axes)


def draw_lost(axes: Axes, metrics: Metrics) -> None:
    _share(axes, metrics, "dead_group_share", COLOURS[2], "groups without spread")
    _share(axes, metrics, "failed_share", COLOURS[3], "completions failed")
    legend_below(axes)


def draw_wait(axes: Axes, metrics: Metrics) -> None:
    steps, share = series(metrics, "reward_time_share")
    axes.plot(steps, [100 * one for one in share], color=COLOURS[1], linewidth=1.6)
    axes.set_ylim(0, max([2.0, *(110 * one for one in share)]))
    axes.set_ylabel("%")


def draw_change(axes: Axes, metrics: Metrics) -> None:
    steps, change = series(metrics, "parameter_change")
    axes.plot(steps, change, color=COLOURS[4], linewidth=1.6)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("‖Δθ‖ / ‖θ‖")


def legend_below(axes: Axes) -> None:
    if labels := axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=columns(labels))


def columns(labels: Sequence[str]) -> int:
    """Return how many of a legend's entries fit beside each other, four at most."""
    longest = max(map(len, labels), default=0)
    return max(1, min(4, LEGEND_LETTERS // (longest + 10)))


def styled(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield each name with a colour and line of its own: the line changes where the colours begin anew."""
    for place, name in enumerate(names):
        line, colour = divmod(place, len(COLOURS))
        yield name, {"color": COLOURS[colour], "linestyle": LINES[line % len(LINES)]}


def series(metrics: Metrics, *place: str) -> tuple[list[int], list[float]]:
    """Return (steps, values) of what is defined; an undefined step has no point."""
    found = [(record["step"], value) for record in metrics if (value := _at(record, *place)) is not None]
    return [step for step, _ in found], [value for _, value in found]


def smoothed(values: Sequence[float]) -> list[float]:
    """Return the centred moving average over a tenth of the run, shorter at the ends."""
    half = len(values) // 20
    windows = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]


def _share(axes: Axes, metrics: Metrics, name: str, colour: str, label: str) -> None:
    steps, share = series(metrics, name)
    axes.plot(steps, [100 * one for one in share], color=colour, linewidth=1.6, label=label)
    axes.set_ylim(-2, 102)
    axes.set_ylabel("%")


def _panel(axes: Axes, title: str, draw: Draw, metrics: Metrics) -> None:
    draw(axes, metrics)
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not any(np.size(line.get_xdata()) for line in axes.lines):
        axes.text(0.5, 0.5, "nothing to show", color=FAINT, ha="center", va="center", transform=axes.transAxes)


def _legend(name: str, names: Sequence[str]) -> str:
    rewards = {other.partition("/")[0] for other in names}
    return name if len(rewards) > 1 else name.partition("/")[2]


def _at(record: Mapping[str, Any], *place: str) -> float | None:
    value: Any = record
    for part in place:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None
