"""The page of `guerdon sqlcot evaluate`: what was found, scatter plots, and the rows that were missed most."""

import html
import io
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from matplotlib.figure import Figure

from grpo_trainer.sql_cot.row_scores import RowScore
from grpo_trainer.sql_cot.rows import Row

PAGE = Template((files("grpo_trainer") / "display/report_template/sqlcot.html").read_text(encoding="utf-8"))
ACCENT, FAINT = "#0f766e", "#9ca3af"
SHOWN = 10
"""Rows that the page shows, those with the largest errors of the last model."""

Scores = Mapping[str, Sequence[RowScore]]
Result = Mapping[str, Any]


def write(result: Result, scores: Scores, truth: Sequence[float], rows: Sequence[Row], out: Path) -> Path:
    """Write scatter.png and evaluation.html; return the page's path."""
    figure = scatter(result, scores, truth)
    figure.savefig(out / "scatter.png", dpi=130)
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    last = list(scores)[-1]
    page = PAGE.substitute(
        models=" and ".join(html.escape(name) for name in scores),
        rows=f"{result['manifest']['rows']['count']} rows of {result['manifest']['queries']} queries",
        target=html.escape(result["manifest"]["target"]),
        table=_table(result),
        gains=_gains(result),
        scatter=svg.getvalue()[svg.getvalue().index("<svg") :],
        missed=_missed(scores[last], truth, rows),
        last=html.escape(last),
        manifest=html.escape(json.dumps(result["manifest"], indent=2, ensure_ascii=False)),
    )
    (out / "evaluation.html").write_text(page, encoding="utf-8")
    return out / "evaluation.html"


def summary(result: Result) -> str:
    """Return what was found, as lines for a terminal."""
    lines = []
    for name, model in result["models"].items():
        found = "  ".join(f"{key} {said(model[key])}" for key in ("spearman", "skill", "mae"))
        lines.append(f"{name}: {found}  valid {model['format_validity']:.1%}")
    for name, gain in result["gains"].items():
        found = "  ".join(f"{key} {said(gain[key], signed=True)}" for key in ("spearman", "skill", "mae"))
        lines.append(f"{name} against {gain['against']}: {found}")
    return "\n".join(lines)


def said(estimate: Mapping[str, Any], *, signed: bool = False) -> str:
    """Return an estimate with its interval, or why there is none."""
    if estimate["value"] is None:
        return f"undefined ({estimate['reason']})"
    form = "{:+.3f}" if signed else "{:.3f}"
    value = form.format(estimate["value"])
    if estimate["low"] is None:
        return value
    return f"{value} [{form.format(estimate['low'])}, {form.format(estimate['high'])}]"


def scatter(result: Result, scores: Scores, truth: Sequence[float]) -> Figure:
    """Return a panel a model: its score of each row against the row's target, all on the same axes."""
    points = {
        name: [(true, row.score) for true, row in zip(truth, found, strict=True) if row.score is not None]
        for name, found in scores.items()
    }
    values = [value for some in points.values() for point in some for value in point]
    low, high = (min(values) - 0.03, max(values) + 0.03) if values else (0.0, 1.0)
    figure = Figure(figsize=(4.3 * len(scores), 4.2), layout="constrained")
    for axes, (name, some) in zip(figure.subplots(1, len(scores), squeeze=False)[0], points.items(), strict=True):
        axes.plot([low, high], [low, high], color=FAINT, lw=1, ls=":")
        axes.axhline(result["targets"]["mean"], color=FAINT, lw=1)
        axes.scatter([x for x, _ in some], [y for _, y in some], s=9, color=ACCENT, alpha=0.45, linewidths=0)
        rho = result["models"][name]["spearman"]["value"]
        axes.set_title(f"{name}: ρ {'undefined' if rho is None else f'{rho:.2f}'}", fontsize=11)
        axes.set(xlabel="target", ylabel="score", xlim=(low, high), ylim=(low, high))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _table(result: Result) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(said(model['spearman']))}</td>"
        f"<td>{html.escape(said(model['skill']))}</td><td>{html.escape(said(model['mae']))}</td>"
        f"<td>{model['format_validity']:.1%}</td><td>{model['scored_rows']} of {model['rows']}</td></tr>"
        for name, model in result["models"].items()
    )
    head = "<tr><th></th><th>Spearman ρ</th><th>skill</th><th>MAE</th><th>valid form</th><th>rows scored</th></tr>"
    return head + rows


def _gains(result: Result) -> str:
    told = (
        f"<p><b>{html.escape(name)}</b> against <b>{html.escape(gain['against'])}</b>, on the {gain['rows']} rows that "
        f"both scored: ρ {html.escape(said(gain['spearman'], signed=True))}, "
        f"skill {html.escape(said(gain['skill'], signed=True))}, MAE {html.escape(said(gain['mae'], signed=True))}.</p>"
        for name, gain in result["gains"].items()
    )
    return "".join(told)


def _missed(scores: Sequence[RowScore], truth: Sequence[float], rows: Sequence[Row]) -> str:
    found = [
        (abs(score.score - true), true, score.score, score.completion, row)
        for score, true, row in zip(scores, truth, rows, strict=True)
        if score.score is not None
    ]
    found.sort(key=lambda one: -one[0])
    head = "<tr><th>target</th><th>score</th><th>row</th><th>first completion</th></tr>"
    return head + "".join(
        f"<tr><td>{true:.2f}</td><td>{score:.2f}</td><td><code>{html.escape(row['sql'])}</code><br>"
        f"{html.escape(row['cot'])}</td><td><code>{html.escape(completion.strip()[:300])}</code></td></tr>"
        for _, true, score, completion, row in found[:SHOWN]
    )
