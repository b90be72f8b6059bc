"""`guerdon judge grade FILE`: a score for every answer of a file, and what they come to."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from guerdon.judge_client import AsyncJudgeClient
from guerdon.judge_messages import Criterion, Grade, GradedAnswer, GradeRequest
from long_work import json_file
from long_work.exit_status import INCOMPLETE
from model_evaluation import judge_options, prompts, row_file
from model_evaluation.content_key import content_key
from model_evaluation.journal import Journal
from model_evaluation.judge import Judge, budget
from model_evaluation.questions import DEADLINE_S, answered
from model_evaluation.report import manifest
from model_evaluation.report.figure import money, number
from model_evaluation.spending import spending
from model_evaluation.statistics.score_difference import distribution


def run(options: argparse.Namespace) -> int:
    """Grade; return the exit status.

    Raises:
        EvaluationError: the file or the judge is not as it should be.
    """
    answers = read(options.file)
    with judge_options.server(options) as url:
        info = judge_options.asked(options, url)
        name = content_key([[one.model_dump() for one in answers], _said(options.criterion), options.samples])
        judge = judge_options.judge(options, url, info, f"grade-{name}")
        grades, calls = graded(judge, answers, options.criterion, options.samples, options.out)
        summary = summarised(judge, grades) | {"usage": spending(budget(judge), calls)}
    rows = [one.model_dump(exclude_none=True) | _told(grade) for one, grade in zip(answers, grades, strict=True)]
    json_file.write_rows(options.out / "grades.jsonl", rows)
    json_file.write(options.out / "summary.json", summary)
    show(summary, Console(highlight=False))
    print(f"\n{(options.out / 'grades.jsonl').resolve()}")
    return 0 if all(grade.score is not None for grade in grades) else INCOMPLETE


def read(file: str) -> list[GradedAnswer]:
    """Return the answers of a file.

    Raises:
        EvaluationError: it cannot be read, or lacks a column.
    """
    rows = row_file.read(Path(file).expanduser())
    row_file.require(rows, ("prompt", "answer"), file)
    return [answer(row, f"{file}, row {place}") for place, row in enumerate(rows, 1)]


def graded(
    judge: Judge, answers: Sequence[GradedAnswer], criteria: Sequence[Criterion], samples: int, out: Path
) -> tuple[list[Grade], int]:
    """Return a grade for every answer, in their order, and the calls behind them.

    Those in `out` are not asked again, unless they failed; the same row twice is asked once.

    Raises:
        EvaluationError: the judge server refuses, or is gone.
    """
    journal = Journal(out / "judgments.jsonl")
    setting = [judge.identity, _said(criteria), samples]
    keys = [content_key([setting, one.model_dump()]) for one in answers]

    async def ask(client: AsyncJudgeClient, some: list[GradedAnswer]) -> list[dict[str, Any]]:
        response = await client.grade(
            GradeRequest(
                answers=some,
                judge=judge.info.name,
                criteria=list(criteria),
                samples=samples,
                run=judge.run,
                allowance=judge.allowance,
                deadline_s=DEADLINE_S,
            )
        )
        return [grade.model_dump(mode="json") for grade in response.grades]

    answered(judge, dict(zip(keys, answers, strict=True)), ask, journal, "grades", calls_each=samples)
    found = {key: journal.read(key, Grade) for key in keys}
    return [found[key] for key in keys], sum(len(grade.samples) for grade in found.values())


def summarised(judge: Judge, grades: Sequence[Grade]) -> dict[str, Any]:
    """Return what the grades come to; failed ones are counted and in no mean."""
    names = list(dict.fromkeys(name for grade in grades for name in grade.criteria))
    by_name = {name: [grade.criteria[name] for grade in grades if name in grade.criteria] for name in names}
    return {
        "judge": manifest.of_judge(judge.info),
        "answers": len(grades),
        "score": distribution([one.score for one in grades if one.score is not None]).model_dump(mode="json"),
        "criteria": {name: distribution(values).model_dump(mode="json") for name, values in by_name.items()},
        "failures": dict(sorted(Counter(one.status for one in grades if one.score is None).items())),
    }


def show(summary: dict[str, Any], console: Console) -> None:
    """Print what the grades come to."""
    if summary["judge"]["warning"]:
        console.print(f"! {summary['judge']['name']}: {summary['judge']['warning']}", style="yellow", markup=False)
    table = Table(title=f"{summary['answers']} answers", title_justify="left", title_style="bold")
    for name in ("criterion", "mean ± sd", "n"):
        table.add_column(name)
    for name, found in {"overall": summary["score"], **summary["criteria"]}.items():
        table.add_row(escape(name), f"{number(found['mean'])} ± {number(found['sd'])}", str(found["n"]))
    console.print(table)
    for status, times in summary["failures"].items():
        console.print(f"Failed: {times} × {status}; the same command tries again", markup=False)
    usage = summary["usage"]
    console.print(
        f"The judge: {usage['calls']} calls, {number(usage['tokens'], 0)} tokens, {money(usage)}.", markup=False
    )


def answer(row: row_file.Row, where: str) -> GradedAnswer:
    """Return a row as the question that it is to a judge.

    Raises:
        EvaluationError: something in it is no text, or no prompt.
    """
    return GradedAnswer.model_validate(
        {
            "prompt": prompts.parsed(row["prompt"], where).wire,
            "answer": row_file.text(row, "answer", where),
            "reference": row_file.optional_text(row, "reference", where),
        }
    )


def _told(grade: Grade) -> dict[str, Any]:
    return grade.model_dump(include={"score", "status", "error", "criteria", "mode", "explanation"})


def _said(criteria: Sequence[Criterion]) -> list[dict[str, Any]]:
    return [one.model_dump() for one in criteria]
