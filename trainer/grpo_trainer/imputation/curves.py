"""The curves of runs that imputed: reward, calls saved, rank agreement with the gate's interval."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grpo_trainer.display.chart import COLOURS, FAINT, STYLE, series, smoothed

Runs = Mapping[str, Sequence[Mapping[str, Any]]]


def drawn(runs: Runs, thresholds: Mapping[str, float | None]) -> dict[str, str]:
    """Return the reward of all runs, and of each its calls and its rank agreement, as SVG elements by title."""
    found = {"Reward: mean of each step": _figure(partial(_rewards, runs=runs))}
    for name, metrics in runs.items():
        found[f"{name}: calls of the reward per step"] = _figure(partial(_calls, metrics=metrics))
        agreement = partial(_agreement, metrics=metrics, threshold=thresholds.get(name))
        found[f"{name}: rank agreement, and the gate's interval"] = _figure(agreement)
    return found


def _rewards(axes: Axes, runs: Runs) -> None:
    for (name, metrics), colour in zip(runs.items(), COLOURS * len(runs), strict=False):
        steps, mean = series(metrics, "reward", "mean")
        axes.plot(steps, mean, color=colour, alpha=0.2, linewidth=1)
        axes.plot(steps, smoothed(mean), color=colour, linewidth=2, label=name)
    axes.legend()


def _calls(axes: Axes, metrics: Sequence[Mapping[str, Any]]) -> None:
    for name, label, colour in (("completions", "completions", FAINT), ("calls", "of them scored", COLOURS[0])):
        steps, count = series(metrics, "imputation", name)
        axes.plot(steps, count, color=colour, linewidth=1.6, label=label, drawstyle="steps-mid")
    steps, saved = series(metrics, "imputation", "calls_saved")
    axes.plot(steps, saved, color=COLOURS[1], linewidth=1.6, label="saved", drawstyle="steps-mid")
    axes.set_ylim(bottom=0)
    axes.legend()


def _agreement(axes: Axes, metrics: Sequence[Mapping[str, Any]], threshold: float | None) -> None:
    steps, low = series(metrics, "imputation", "gate", "low")
    _, high = series(metrics, "imputation", "gate", "high")
    axes.fill_between(steps, low, high, color=COLOURS[2], alpha=0.15, linewidth=0, label="gate's 95% interval")
    axes.plot(*series(metrics, "imputation", "gate", "mean"), color=COLOURS[2], linewidth=2, label="gate's mean")
    axes.plot(*series(metrics, "imputation", "rank_agreement"), ".", color=FAINT, markersize=4, label="of the step")
    for name, colour in (("predicted", COLOURS[1]), ("used", COLOURS[0])):
        steps, rho = series(metrics, "imputation", "oracle", name)
        if steps:
            axes.plot(steps, smoothed(rho), color=colour, linewidth=1.4, label=f"{name}, against the truth")
    if threshold is not None:
        axes.axhline(threshold, color=FAINT, linewidth=0.9, linestyle=":")
    axes.set_ylim(-0.25, 1.02)
    axes.legend(loc="lower right", ncols=2)


def _figure(draw: Callable[[Axes], None]) -> str:
    out = io.StringIO()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 2.9), layout="constrained")
        draw(figure.subplots())
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()[out.getvalue().index("<svg") :]
