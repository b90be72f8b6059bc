"""The charts of `guerdon diversity`: every arm's means, and its quality beside its diversity."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from model_evaluation.report.chart import COLOURS, INK, legend, short, svg

Report = Mapping[str, Any]
DRAWN = ("distinct_2", "semantic", "self_bleu_4.method1", "novelty")


def svgs(report: Report) -> list[str]:
    """Return every chart, in reading order."""
    metrics = [name for name in DRAWN if name in report["metrics"]]
    quality = [name for name in report["metrics"] if name.startswith("quality.")]
    height = 1.2 + 0.34 * len(report["arms"])
    drawn: list[tuple[str, Callable[..., None], float]] = [
        *((_title(report, name), partial(means, metric=name), height) for name in [*metrics, *quality]),
        *(
            (f"{name} against {one}", partial(quality_and_diversity, quality=name, metric=one), 3.2)
            for name in quality
            for one in metrics[:2]
        ),
    ]
    if any(arm["signal_share"] for arm in report["arms"]):
        drawn.append(("What carried the advantage (signal share)", signal_share, height))
    return [svg(title, partial(draw, report=report), tall) for title, draw, tall in drawn]


def means(axes: Axes, report: Report, metric: str) -> None:
    """Each arm's mean with its interval; the baseline's as a line."""
    for row, arm in enumerate(report["arms"]):
        found = arm["metrics"][metric]
        if found["value"] is None:
            continue
        colour = COLOURS[row % len(COLOURS)]
        if found["interval"]:
            axes.plot([found["interval"]["low"], found["interval"]["high"]], [row] * 2, color=colour, linewidth=3)
        axes.plot(found["value"], row, "o", color=colour, markersize=7)
        if arm["name"] == report["baseline"]:
            axes.axvline(found["value"], color=INK, linewidth=1, linestyle=(0, (3, 3)), zorder=0.5)
    _arms(axes, report)
    axes.margins(x=0.12)
    axes.set(xlabel="mean over prompts and seeds, 95% interval")


def quality_and_diversity(axes: Axes, report: Report, quality: str, metric: str) -> None:
    """One point an arm: right is better, up is more varied."""
    for row, arm in enumerate(report["arms"]):
        x, y = arm["metrics"][quality], arm["metrics"][metric]
        if x["value"] is None or y["value"] is None:
            continue
        colour = COLOURS[row % len(COLOURS)]
        for one, place in ((x, "x"), (y, "y")):
            if one["interval"]:
                ends = [one["interval"]["low"], one["interval"]["high"]]
                line = (ends, [y["value"]] * 2) if place == "x" else ([x["value"]] * 2, ends)
                axes.plot(*line, color=colour, linewidth=1.5)
        axes.plot(x["value"], y["value"], "o", color=colour, label=short(arm["name"]))
    axes.set(xlabel=quality, ylabel=metric)
    legend(axes)


def signal_share(axes: Axes, report: Report) -> None:
    rewards = list(dict.fromkeys(name for arm in report["arms"] for name in arm["signal_share"] or {}))
    for row, arm in enumerate(report["arms"]):
        left = 0.0
        for place, reward in enumerate(rewards):
            share = 100 * ((arm["signal_share"] or {}).get(reward) or 0.0)
            label = short(reward) if row == 0 else None
            axes.barh(row, share, left=left, height=0.55, color=COLOURS[place % len(COLOURS)], label=label)
            left += share
    _arms(axes, report)
    axes.set(xlabel="% of the advantage's variance, mean over steps and seeds")
    legend(axes)


def _arms(axes: Axes, report: Report) -> None:
    axes.set_yticks(range(len(report["arms"])), [short(arm["name"]) for arm in report["arms"]])
    axes.set_ylim(len(report["arms"]) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _title(report: Report, metric: str) -> str:
    better = report["metrics"][metric]["better"]
    if better is None:
        return metric
    return f"{metric} ({better} is {'better' if metric.startswith('quality.') else 'more varied'})"
