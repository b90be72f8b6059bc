"""What `guerdon rewards` prints: plain tables for people, JSON for machines."""

import json
from collections.abc import Sequence
from typing import get_args

from guerdon.messages import Range, RewardList
from reward_server.catalog import Catalog, Served, info
from reward_server.rewards import Encoder, Reward
from reward_server.trial import Trial, Verdict

GAP = "  "


def listed(catalog: Catalog) -> str:
    """Return a table of everything that is served."""
    head = ["name", "kind", "scope", "runs", "version", "range", "better", "components", "builds on"]
    return table(head, [_described(served) for served in catalog.served.values()])


def listed_json(catalog: Catalog) -> str:
    """Return what GET /v1/rewards answers."""
    return RewardList(rewards=[info(served) for served in catalog.rewards.values()]).model_dump_json(indent=2)


def tried(trials: Sequence[Trial]) -> str:
    """Return a table of trials, every problem, and what it comes to."""
    head = ["name", "kind", "scope", "runs", "version", "load s", "memory", "items/s", "golden items"]
    lines = [table(head, [_row(trial) for trial in trials]), ""]
    for trial in trials:
        lines += [f"[{trial.served.name}] {problem}" for problem in trial.problems]
    verdicts = [trial.verdict for trial in trials]
    counted = [f"{verdicts.count(one)} {one}" for one in get_args(Verdict) if one in verdicts]
    lines.append(f"{len(trials)} served: {', '.join(counted)}")
    if "not tried" in verdicts:
        lines.append('Not tried is what has no golden items; its table can name some: golden = [{completion = "…", …}]')
    return "\n".join(lines)


def tried_json(trials: Sequence[Trial]) -> str:
    """Return the same as JSON; `golden` is what came of the golden items."""
    rows = [
        {
            "name": trial.served.name,
            "kind": trial.served.kind.kind(),
            "scope": _scope(trial.served),
            "runs": trial.served.runs,
            "version": trial.served.version,
            "load_s": trial.load_s,
            "ram_bytes": trial.ram_bytes,
            "accelerator_bytes": trial.accelerator_bytes,
            "items_per_s": trial.items_per_s,
            "golden": trial.verdict,
            "tried": trial.tried,
            "problems": trial.problems,
        }
        for trial in trials
    ]
    return json.dumps({"ok": all(trial.passed for trial in trials), "served": rows}, indent=2)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines with aligned columns, those of numbers to the right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numbers = [all(cell == "-" or cell[:1].isdigit() for cell in column[1:]) for column in columns]
    return "\n".join(
        GAP.join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in (head, *rows)
    )


def _described(served: Served) -> list[str]:
    start = [served.name, served.kind.kind(), _scope(served), served.runs, served.version]
    if not isinstance(served.kind, Reward):
        return [*start, "-", "-", "-", "-"]
    declared, told = served.kind.range, info(served)
    return [
        *start,
        _span(declared),
        declared.better or "neither",
        str(len(told.components)),
        ", ".join(told.needs) or "-",
    ]


def _span(declared: Range) -> str:
    low, high = ("∞" if end is None else f"{end:g}" for end in (declared.low, declared.high))
    return f"{'-' if low == '∞' else ''}{low}…{high}"


def _row(trial: Trial) -> list[str]:
    served = trial.served
    memory = _size(trial.ram_bytes) + (f" + {_size(trial.accelerator_bytes)}" if trial.accelerator_bytes else "")
    load = "-" if trial.load_s is None else f"{trial.load_s:.1f}"
    start = [served.name, served.kind.kind(), _scope(served), served.runs, served.version]
    return [*start, load, memory, _rate(trial), f"{trial.verdict} ({trial.tried})" if trial.tried else trial.verdict]


def _rate(trial: Trial) -> str:
    if trial.items_per_s is None:
        return "-"
    return f"{trial.items_per_s:.0f}" if trial.items_per_s >= 10 else f"{trial.items_per_s:.1f}"


def _scope(served: Served) -> str:
    if isinstance(served.kind, Reward):
        return served.scope
    return "encoder" if isinstance(served.kind, Encoder) else "writer"


def _size(count: int | None) -> str:
    if count is None:
        return "-"
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
