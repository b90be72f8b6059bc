"""`guerdon sqlcot evaluate ROWS --model NAME=DIR --out DIR`: how well policies' scores agree with the rows' targets."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from grpo_trainer import quiet
from grpo_trainer.record import manifest
from grpo_trainer.sql_cot import agreement, asking_options, row_file, targets
from grpo_trainer.sql_cot.rows import Row
from long_work import json_file


def main(argv: list[str]) -> int:
    """Run the command; it goes on where an interrupted one was.

    Raises:
        ValueError: the rows, a model or the options cannot be used.
        OSError: a file cannot be read or written.
    """
    arguments = parser().parse_args(argv)
    models = named(arguments.model)
    drawing = asking_options.drawing(arguments)
    rows = row_file.read(arguments.rows)
    kind: targets.Target
    kind = arguments.target or ("column" if all(row["target"] is not None for row in rows) else "embedding")
    truth = targets.of(rows, kind)
    quiet.before_imports()
    from grpo_trainer.sql_cot import evaluation_report, row_scores, scoring_policy  # torch

    quiet.after_imports()
    drawn = row_scores.Drawing(**drawing)
    askings = {name: scoring_policy.asking(where, **asking_options.said(arguments)) for name, where in models.items()}
    scores = {
        name: row_scores.scored(name, rows, asking, drawn, arguments.out / "scores" / name)
        for name, asking in askings.items()
    }
    own = {"target": kind, "drawing": drawing, "models": {name: asking.record() for name, asking in askings.items()}}
    result = {
        "manifest": made_of(arguments.rows, rows) | own,
        "targets": {"mean": float(np.mean(truth)), "sd": float(np.std(truth))},
        "models": {name: of_model(found, truth, rows) for name, found in scores.items()},
        "gains": gains(scores, truth, rows),
    }
    json_file.write(arguments.out / "evaluation.json", result)
    page = evaluation_report.write(result, scores, truth, rows, arguments.out)
    print(f"{evaluation_report.summary(result)}\n\n{page}")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon sqlcot evaluate",
        description="Let policies score rows, and compare the scores with the rows' targets: Spearman's rank "
        "correlation, skill against the best constant and mean absolute error, with intervals over queries. Between "
        "the first model and each other one, the difference is taken on the same rows.",
    )
    options.add_argument("rows", type=Path, metavar="ROWS", help="JSONL or CSV with sql, cot, nl; held out, best")
    options.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="NAME=WHERE",
        help="a run's directory, an adapter, a model or a hub id; may be repeated",
    )
    options.add_argument("--out", type=Path, required=True, metavar="DIR")
    options.add_argument(
        "--target",
        choices=get_args(targets.Target),
        help="what scores are held against (default: the column target where all rows have one, else embedding)",
    )
    asking_options.add_to(options, samples=4, temperature=1.0)
    return options


def named(models: Sequence[str]) -> dict[str, str]:
    """Return name -> where; without a name, the last part of the path is one.

    Raises:
        ValueError: two models have one name, or a name is none that a folder can have.
    """
    found: dict[str, str] = {}
    for text in models:
        name, equals, where = text.partition("=")
        name, where = (name, where) if equals else (Path(text).name, text)
        if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
            raise ValueError(f"--model {text!r}: the name is letters, digits, - and _, e.g. after=runs/a")
        if name in found:
            raise ValueError(f"two models are named {name!r}; write --model OTHER-NAME={where}")
        found[name] = where
    return found


def made_of(file: Path, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "made": manifest.now(),
        "rows": {"file": file.name, "digest": row_file.digest(rows), "count": len(rows)},
        "queries": len({row["query_id"] for row in rows}),
        "packages": {name: manifest.installed(name) for name in ("guerdon", *manifest.PACKAGES, "scipy")},
    }


def of_model(scores: Sequence[Any], truth: Sequence[float], rows: Sequence[Row]) -> dict[str, Any]:
    """Return a policy's format validity and, over the rows that it gave a valid score, its agreement."""
    kept = [place for place, score in enumerate(scores) if score.score is not None]
    own = np.array([scores[place].score for place in kept], dtype=np.float64)
    true = np.array([truth[place] for place in kept], dtype=np.float64)
    clusters = [rows[place]["query_id"] for place in kept]
    return {
        "rows": len(rows),
        "scored_rows": len(kept),
        "completions": sum(score.samples for score in scores),
        "format_validity": sum(score.valid for score in scores) / sum(score.samples for score in scores),
        "score_sd": float(own.std()) if len(own) else None,
        **{
            name: vars(agreement.estimate(statistic, own, true, clusters))
            for name, statistic in agreement.STATISTICS.items()
        },
    }


def gains(scores: dict[str, list[Any]], truth: Sequence[float], rows: Sequence[Row]) -> dict[str, Any]:
    """Return what each model gains on the first one, over the rows that both gave a valid score."""
    first, *others = scores
    gained: dict[str, Any] = {}
    for other in others:
        pair = scores[first], scores[other]
        kept = [place for place in range(len(rows)) if all(found[place].score is not None for found in pair)]
        before, after = (np.array([found[place].score for place in kept], dtype=np.float64) for found in pair)
        true = np.array([truth[place] for place in kept], dtype=np.float64)
        clusters = [rows[place]["query_id"] for place in kept]
        gained[other] = {"against": first, "rows": len(kept)} | {
            name: vars(agreement.gain(statistic, before, after, true, clusters))
            for name, statistic in agreement.STATISTICS.items()
        }
    return gained
