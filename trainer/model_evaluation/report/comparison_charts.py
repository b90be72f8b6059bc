"""The charts of `guerdon compare`: win rates, scores, lengths, and what turning the order changes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from model_evaluation.report.chart import COLOURS, FAINT, INK, LEGEND_COLUMNS, legend, nothing, short, svg

Report = Mapping[str, Any]

WON, TIED, LOST = "#0f766e", "#d1d5db", "#b45309"
STACKED = 0.4
"""How far from its row's middle a point may be moved; rows are 1 apart."""
POSITION = ("same answer in both orders", "first shown, both times", "second shown, both times", "a tie in one order")


def svgs(report: Report) -> list[str]:
    """Return every chart of a comparison, in reading order."""
    pairs = max(1, len(report["pairs"]))
    rows = 0.18 * -(-len(report["models"]) // LEGEND_COLUMNS)
    drawn: list[tuple[str, Callable[..., None], float]] = [
        ("Win rate, with 95% interval", win_bars, 1.5 + 0.85 * pairs),
        ("Scores by model", score_histogram, 2.7 + rows),
        ("Length and verdict", length_and_verdict, 2.9),
        ("What happens when the order is turned", position_consistency, 2.9),
    ]
    return [svg(title, partial(draw, report=report), height) for title, draw, height in drawn]


def win_bars(axes: Axes, report: Report) -> None:
    """Wins, ties and losses of each pair's first model, and its win rate with the interval below them."""
    labels = []
    for row, pair in enumerate(report["pairs"]):
        rate = pair["win_rate"]
        left, n = 0.0, rate["n"] or 1
        for name, colour in (("wins", WON), ("ties", TIED), ("losses", LOST)):
            share = 100 * rate[name] / n
            axes.barh(row, share, left=left, height=0.42, color=colour)
            if share >= 8:
                ink = INK if name == "ties" else "white"
                axes.text(left + share / 2, row, str(rate[name]), ha="center", va="center", color=ink)
            left += share
        if rate["interval"]:
            low, high = 100 * rate["interval"]["low"], 100 * rate["interval"]["high"]
            axes.plot([low, high], [row + 0.36] * 2, color=INK, linewidth=2, solid_capstyle="butt")
            axes.plot(100 * rate["rate"], row + 0.36, "o", color=INK, markersize=5)
        labels.append(f"{short(pair['model_a'])}\nagainst {short(pair['model_b'])}")
    axes.axvline(50, color=INK, linewidth=1, linestyle=(0, (3, 3)), zorder=0.5)
    axes.set(xlim=(0, 100), ylim=(len(labels) - 0.4, -0.5), xlabel="% of prompts: won, tied, lost; ● win rate")
    axes.set_yticks(range(len(labels)), labels)
    axes.grid(visible=False, axis="y")


def score_histogram(axes: Axes, report: Report) -> None:
    scores = scores_by_model(report)
    if not any(scores.values()):
        return nothing(axes, "the judge gave no scores")
    width = 0.8 / max(1, len(scores))
    for index, (model, values) in enumerate(scores.items()):
        counts = Counter(min(10, int(value + 0.5)) for value in values)
        places = [score - 0.4 + width * (index + 0.5) for score in range(11)]
        heights = [counts[score] for score in range(11)]
        axes.bar(places, heights, width=width, color=COLOURS[index % len(COLOURS)], label=short(model))
    axes.set(xlabel="score, 0 to 10 (rounded)", ylabel="comparisons", xlim=(-0.6, 10.6))
    axes.set_xticks(range(11))
    legend(axes)
    return None


def length_and_verdict(axes: Axes, report: Report) -> None:
    points = [point for sample in report["samples"] for point in _length_points(sample)]
    if not points:
        return nothing(axes, "no comparison has a verdict")
    for winner, middle, colour in (("a", 2, WON), ("tie", 1, FAINT), ("b", 0, LOST)):
        differences = [difference for difference, won_by in points if won_by == winner]
        heights = [middle + offset for offset in stacked(differences, max(abs(one) for one, _ in points))]
        axes.plot(differences, heights, "o", color=colour, markersize=4.5, alpha=0.7)
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (3, 3)))
    first, second = _named(report)
    axes.set_yticks([0, 1, 2], [f"{second} won", "tie", f"{first} won"])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set(ylim=(-0.6, 2.6), xlabel=f"characters that {first} is longer")
    return None


def stacked(values: Sequence[float], widest: float) -> list[float]:
    """Return how far each point is moved up or down so that points of nearly one value do not cover one another.

    Args:
        widest: the largest absolute value of the axis.
    """
    buckets = [round(30 * value / max(1, widest)) for value in values]
    step = min(0.07, 2 * STACKED / max(Counter(buckets).values(), default=1))
    seen: Counter[int] = Counter()
    offsets = []
    for bucket in buckets:
        seen[bucket] += 1
        offsets.append((seen[bucket] // 2) * step * (-1) ** seen[bucket])
    return offsets


def position_consistency(axes: Axes, report: Report) -> None:
    kinds = Counter(
        kind
        for sample in report["samples"]
        for verdict in sample["verdicts"]
        if (kind := order_kind(verdict["orders"]))
    )
    total = sum(kinds.values())
    if not total:
        return nothing(axes, "no comparison has a verdict in both orders")
    colours = (WON, LOST, "#be185d", FAINT)
    for row, (kind, colour) in enumerate(zip(POSITION, colours, strict=True)):
        share = 100 * kinds[kind] / total
        axes.barh(row, share, height=0.6, color=colour)
        axes.text(share + 1.5, row, f"{share:.0f}%  ({kinds[kind]})", va="center", color=INK)
    axes.set_yticks(range(len(POSITION)), POSITION)
    axes.set(xlim=(0, 118), ylim=(len(POSITION) - 0.4, -0.6), xlabel=f"% of {total} comparisons with both orders")
    axes.grid(visible=False, axis="y")
    return None


def order_kind(orders: Sequence[Report]) -> str | None:
    """Return what the judge did with both orders of one comparison; None without a verdict in both."""
    by_first = {one["first"]: one["winner"] for one in orders}
    if None in (shown_a := by_first.get("a"), shown_b := by_first.get("b")):
        return None
    if shown_a == shown_b:
        return POSITION[0]
    if "tie" in (shown_a, shown_b):
        return POSITION[3]
    return POSITION[1] if shown_a == "a" else POSITION[2]


def scores_by_model(report: Report) -> dict[str, list[float]]:
    """Return every score that a model got, one for each prompt and opponent."""
    found: dict[str, list[float]] = {model["name"]: [] for model in report["models"]}
    for sample in report["samples"]:
        for verdict in sample["verdicts"]:
            for side in ("a", "b"):
                if verdict[f"score_{side}"] is not None:
                    found[verdict[f"model_{side}"]].append(verdict[f"score_{side}"])
    return found


def _length_points(sample: Report) -> list[tuple[int, str]]:
    lengths = {answer["model"]: answer["characters"] for answer in sample["answers"]}
    return [
        (lengths[verdict["model_a"]] - lengths[verdict["model_b"]], verdict["winner"])
        for verdict in sample["verdicts"]
        if verdict["winner"]
    ]


def _named(report: Report) -> tuple[str, str]:
    if len(report["pairs"]) == 1:
        return short(report["pairs"][0]["model_a"]), short(report["pairs"][0]["model_b"])
    return "the pair's first", "the second"
