"""`guerdon sqlcot filter FILE --threshold T --model DIR --out DIR`: keep the rows that a trained policy scores high.

The folder then holds good.jsonl (score ≥ T), below.jsonl (score < T), unscored.jsonl (no completion had a valid score:
the reason stands in the row, and nothing is counted as 0) and summary.json. Each row has gained `policy_score`.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_trainer import quiet
from grpo_trainer.sql_cot import asking_options, row_file
from grpo_trainer.sql_cot.rows import Row
from long_work import json_file
from long_work.real_number import share


def main(argv: list[str]) -> int:
    """Run the command; it goes on where an interrupted one was.

    Raises:
        ValueError: the rows, the model or the options cannot be used.
        OSError: a file cannot be read or written.
    """
    arguments = parser().parse_args(argv)
    drawing = asking_options.drawing(arguments)
    rows = row_file.read(arguments.rows)
    quiet.before_imports()
    from grpo_trainer.sql_cot import row_scores, scoring_policy  # torch

    quiet.after_imports()
    asking = scoring_policy.asking(arguments.model, **asking_options.said(arguments))
    drawn = row_scores.Drawing(**drawing)
    scores = row_scores.scored("filter", rows, asking, drawn, arguments.out / "scores")
    parts = divided(rows, scores, arguments.threshold)
    for name, part in parts.items():
        json_file.write_rows(arguments.out / f"{name}.jsonl", part)
    asked = {"threshold": arguments.threshold, "model": arguments.model, **drawing}
    json_file.write(arguments.out / "summary.json", counted(parts, scores) | asked)
    counts = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    print(f"{len(rows)} rows: {counts} (threshold {arguments.threshold:g}); they lie in {arguments.out}")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon sqlcot filter",
        description="Keep the rows that a trained policy scores at the threshold or above. Rows that it gave no valid "
        "score are kept apart, with the reason. The same command goes on where an interrupted one was.",
    )
    options.add_argument("rows", type=Path, metavar="FILE", help="JSONL or CSV with the columns sql, cot and nl")
    options.add_argument("--threshold", type=share, required=True, metavar="T", help="in [0, 1]")
    options.add_argument("--model", required=True, metavar="DIR", help="a run, an adapter, a model, or a hub id")
    options.add_argument("--out", type=Path, required=True, metavar="DIR")
    asking_options.add_to(options, samples=1, temperature=0.0)
    return options


def divided(rows: Sequence[Row], scores: Sequence[Any], threshold: float) -> dict[str, list[Row]]:
    """Return the rows as good, below and unscored, each with its `policy_score` and, where that is null, a reason."""
    parts: dict[str, list[Row]] = {"good": [], "below": [], "unscored": []}
    for row, found in zip(rows, scores, strict=True):
        if found.score is None:
            parts["unscored"].append({**row, "policy_score": None, "reason": found.reason})
        else:
            part = "good" if found.score >= threshold else "below"
            parts[part].append({**row, "policy_score": found.score})
    return parts


def counted(parts: dict[str, list[Row]], scores: Sequence[Any]) -> dict[str, Any]:
    """Return how many rows each part has, and why rows have no score."""
    return {
        "rows": len(scores),
        **{name: len(part) for name, part in parts.items()},
        "unscored_reasons": dict(Counter(row["reason"] for row in parts["unscored"])),
        "valid_completions": sum(score.valid for score in scores),
        "completions": sum(score.samples for score in scores),
    }
