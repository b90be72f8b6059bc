"""What a run came to: chart.png, a self-contained report.html and a summary, read from the ledger alone."""

import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from string import Template
from typing import Any

from rich.console import Console
from rich.table import Table

from grpo_trainer.display.live_view import duration, number, percent
from grpo_trainer.record import ledger

PAGE = Template((files("grpo_trainer") / "display/report_template/report.html").read_text(encoding="utf-8"))
SHOWN = 6
"""Completions shown at either end."""
NO_COMPONENT = ("version/", "request/", "term/", "weight/", "scored/")
"""What a rollout's columns begin with that are none of the reward's components."""
LONGEST = 1500
"""Characters of a text that the page shows."""

Metrics = Sequence[Mapping[str, Any]]
Row = Mapping[str, Any]


def write(out: Path) -> Path:
    """Write chart.png and report.html into the run's directory; return the page's path.

    Without matplotlib (the extra `evaluation`) the page has no curves, and one line says so.
    """
    metrics, rows = ledger.read_metrics(out), ledger.read_rollouts(out)
    panels = _panels(metrics, out / "chart.png") if metrics else ""
    worth = [(value, row) for row in rows if (value := earned(row)) is not None]
    scored = [row for _, row in sorted(worth, key=itemgetter(0))]
    known = _manifest(out)
    page = PAGE.substitute(
        title=html.escape(f"Run {known.get('name', out.name)}"),
        subtitle=_subtitle(known),
        figures="".join(_figure(*figure) for figure in figures(metrics)),
        panels=panels,
        best=_completions(_distinct(reversed(scored)), "good"),
        worst=_completions(_distinct(scored), "bad"),
        manifest=_manifest_rows(known),
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return out / "report.html"


def summary(out: Path) -> str:
    """Return what the run came to, as a few lines for a terminal."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    for value, name in figures(ledger.read_metrics(out)):
        table.add_row(name, value)
    for name in ("report.html", "chart.png", "metrics.jsonl", "adapter", "model", "merged"):
        if (out / name).exists():
            table.add_row(name, str(out / name))
    text = io.StringIO()
    Console(file=text, width=200, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def figures(metrics: Metrics) -> list[tuple[str, str]]:
    """Return the run in numbers, as (value, what it is); a dash where there is none."""
    first, last = quarters(metrics)
    waited = sum(record["reward_seconds"] for record in metrics)
    took = sum(record["step_seconds"] for record in metrics)
    failed = [record["failed_share"] for record in metrics if record.get("failed_share") is not None]
    return [
        (f"{number(first)} → {number(last)}", "mean reward, first → last quarter"),
        (str(len(metrics)), "steps"),
        (duration(took), "training time"),
        (percent(waited / took if took else None), "of it waiting for rewards"),
        (percent(sum(failed) / len(failed) if failed else None), "of completions failed"),
        *_imputed(metrics),
        *_skills(metrics),
    ]


def _imputed(metrics: Metrics) -> list[tuple[str, str]]:
    """Return the share of completions whose reward was predicted; of ledgers that do not count them, a dash."""
    records = [record["imputation"] for record in metrics if record.get("imputation")]
    if not records:
        return []
    known = all("imputed" in record for record in records)
    imputed, completions = (sum(record.get(name, 0) for record in records) for name in ("imputed", "completions"))
    return [(percent(imputed / completions if known else None), "of completions imputed")]


def _skills(metrics: Metrics) -> list[tuple[str, str]]:
    """Return the first and last skill of every reward whose policy predicts a target; 0 is the best constant's."""
    found: dict[str, list[float]] = {}
    for record in metrics:
        for name, skill in (record.get("skill") or {}).items():
            found.setdefault(name, []).extend([] if skill is None else [skill])
    return [
        (f"{number(skills[0])} → {number(skills[-1])}", f"skill of {name} against the best constant")
        for name, skills in found.items()
        if skills
    ]


def quarters(metrics: Metrics) -> tuple[float | None, float | None]:
    """Return the mean reward of the first and of the last quarter of the steps; None for a run of one step."""
    means = [mean for record in metrics if (mean := (record.get("reward") or {}).get("mean")) is not None]
    size = max(1, len(means) // 4)
    if len(means) < 2:
        return None, None
    return sum(means[:size]) / size, sum(means[-size:]) / size


def earned(row: Row) -> float | None:
    """Return the sum of a row's terms as they were served: its reward, but where a part of the rewards is imputed.

    There the correction gives even scored completions rewards outside the range that the reward itself has. None where
    a term was not asked for or failed.
    """
    terms = [value for name, value in row.items() if name.startswith("term/")]
    return None if not terms or None in terms else math.fsum(terms)


def _panels(metrics: Metrics, chart_path: Path) -> str:
    if find_spec("matplotlib") is None:
        print("no chart: matplotlib is not installed (pip install 'guerdon[evaluation]')")
        return '<p class="parts">No curves: matplotlib was not installed where this page was written.</p>'
    from grpo_trainer.display import chart

    chart.png(metrics, chart_path)
    return "".join(f'<div class="panel">{svg}</div>' for svg in chart.svgs(metrics))


def _distinct(rows: Any) -> list[Row]:
    """Return the first rows, each prompt and completion once."""
    found = {(row["prompt"], row["completion"]): row for row in reversed(list(rows))}
    return list(reversed(found.values()))[:SHOWN]


def _completions(rows: list[Row], kind: str) -> str:
    if not rows:
        return "<tr><td>none was scored</td></tr>"
    head = "<tr><th>reward</th><th>step</th><th>completion</th><th>components</th></tr>"
    return head + "".join(_completion(row, kind) for row in rows)


def _completion(row: Row, kind: str) -> str:
    parts = [
        f"{html.escape(name)} {number(value)}"
        for name, value in row.items()
        if "/" in name and not name.startswith(NO_COMPONENT)
    ]
    return (
        f'<tr><td class="n {kind}">{number(earned(row))}</td><td class="n">{row["step"]}</td>'
        f"<td><pre>{_text(row['completion'])}</pre><details><summary>prompt</summary><pre>{_text(row['prompt'])}</pre>"
        f'</details></td><td class="parts">{"<br>".join(parts)}</td></tr>'
    )


def _text(text: str) -> str:
    return html.escape(text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters)")


def _figure(value: str, name: str) -> str:
    first = " first" if "→" in value else ""
    return f'<div class="figure{first}"><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>'


def _manifest(out: Path) -> dict[str, Any]:
    return ledger.read_manifest(out) if (out / "manifest.json").exists() else {}


def _subtitle(known: Mapping[str, Any]) -> str:
    model = (known.get("policy") or {}).get("model", "unknown policy")
    return html.escape(f"{model} · started {known.get('started', 'at an unknown time')}")


def _manifest_rows(known: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in known.items() if name not in ("name", "config", "exit_status")}
    shown |= {f"[{name}]": value for name, value in (known.get("config") or {}).items()}
    return "".join(f"<tr><th>{html.escape(name)}</th><td>{_value(value)}</td></tr>" for name, value in shown.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{html.escape(str(key))}: {_inline(item)}" for key, item in value.items())
    return _inline(value)


def _inline(value: Any) -> str:
    return html.escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
