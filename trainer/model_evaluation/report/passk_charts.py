"""The chart of `guerdon passk`: every arm's pass@k over k."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from model_evaluation.report.chart import COLOURS, legend, short, svg

Report = Mapping[str, Any]


def svgs(report: Report) -> list[str]:
    return [svg("pass@k, with 95% intervals", partial(curves, report=report), 3.4)]


def curves(axes: Axes, report: Report) -> None:
    for place, arm in enumerate(report["arms"]):
        known = [(int(name.removeprefix("pass@")), one) for name, one in arm["metrics"].items()]
        points = [(k, one) for k, one in known if one["value"] is not None]
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(
            [k for k, _ in points], [one["value"] for _, one in points], "o-", color=colour, label=short(arm["name"])
        )
        for k, one in points:
            if one["interval"]:
                axes.plot([k, k], [one["interval"]["low"], one["interval"]["high"]], color=colour, linewidth=1.2)
    ks = [int(name.removeprefix("pass@")) for name in report["arms"][0]["metrics"]]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set(xlabel="k", ylabel="pass@k", ylim=(-0.03, 1.03))
    legend(axes)
