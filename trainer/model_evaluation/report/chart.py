"""One chart as an SVG element to put into a page; the same numbers draw the same bytes."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_evaluation.report.figure import plain

INK, FAINT = "#1f2937", "#9ca3af"
COLOURS = ("#0f766e", "#b45309", "#4338ca", "#be185d", "#4d7c0f", "#0369a1", "#7c2d12", "#6b7280")
STYLE: Any = {  # matplotlib types the keys of its settings one by one
    "axes.axisbelow": True,
    "axes.edgecolor": "#d1d5db",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": "#eef0f3",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: small files, and the page's own font
    "text.parse_math": False,  # names are text: a$\\frac$b is no formula
    "svg.hashsalt": "guerdon",  # the same report draws the same bytes
    "xtick.color": "#6b7280",
    "ytick.color": "#6b7280",
}
WIDTH = 5.6
LEGEND_COLUMNS = 3


def svg(title: str, draw: Callable[[Axes], None], height: float = 2.9) -> str:
    """Return what `draw` draws, as an SVG element of this height in inches."""
    with mpl.rc_context(STYLE), _any_script():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()[out.getvalue().index("<svg") :]


def legend(axes: Axes) -> None:
    """Put the legend beside what is drawn, never on it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    if axes.get_legend_handles_labels()[0]:  # matplotlib warns of an empty one
        figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS)


def nothing(axes: Axes, reason: str) -> None:
    """Say why nothing is drawn."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", color=FAINT, transform=axes.transAxes)
    axes.set_axis_off()


def short(name: str) -> str:
    """Return a name that fits and that matplotlib shows."""
    text = plain(name if len(name) <= 24 else f"…{name[-23:]}")
    return f"\u200b{text}" if text.startswith("_") else text  # matplotlib leaves names with _ out of legends


@contextmanager
def _any_script() -> Iterator[None]:
    """Draw names in scripts that matplotlib's own font lacks: the browser has them, matplotlib only measures."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support")
        yield
