"""`guerdon judge audit FILE`: how far a judge agrees with people, and what else moves it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from guerdon.judge_messages import Comparison, Criterion, Grade, OrderVerdict, Verdict
from long_work import json_file, written_whole
from long_work.exit_status import INCOMPLETE
from model_evaluation import grading, judge_options, prompts, row_file
from model_evaluation.answers.completion import visible
from model_evaluation.content_key import content_key
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.journal import Journal
from model_evaluation.judge import Judge, budget
from model_evaluation.judging import compared, orders
from model_evaluation.report import manifest, page
from model_evaluation.report.figure import asked, estimate, money, number, percent
from model_evaluation.row_file import Row
from model_evaluation.spending import spending
from model_evaluation.statistics.agreement import Agreement, agree
from model_evaluation.statistics.label import Label, LabelledComparison, LabelledGrade
from model_evaluation.statistics.outcome import Winner

Rows = list[tuple[str, str, str]]
LLMBAR = {"input": "prompt", "output_1": "answer_a", "output_2": "answer_b", "label": "label"}
"""The columns of LLMBar's files, and what they are called here."""
LLMBAR_LABELS = {"1": "a", "2": "b"}


def run(options: argparse.Namespace) -> int:
    """Audit; return the exit status.

    Raises:
        EvaluationError: the file or the judge is not as it should be.
    """
    rows = _known_layout(row_file.read(Path(options.file).expanduser()))
    graded = any("grade" in row for row in rows) and not any("label" in row for row in rows)
    columns = ("prompt", "answer", "grade") if graded else ("prompt", "answer_a", "answer_b", "label")
    row_file.require(rows, columns, options.file)
    places = [f"{options.file}, row {place}" for place in range(1, len(rows) + 1)]
    human = [_grade(row, where) if graded else _label(row, where) for row, where in zip(rows, places, strict=True)]
    with judge_options.server(options) as url:
        info = judge_options.asked(options, url)
        name = content_key([rows, options.criteria, options.samples])
        judge = judge_options.judge(options, url, info, f"audit-{name}")
        labels, calls = (_grades if graded else _verdicts)(judge, rows, places, human, options)
        usage = spending(budget(judge), calls)
    agreement = agree(labels)
    report = {
        "judge": manifest.of_judge(info),
        "file": Path(options.file).name,
        "samples": options.samples,
        "criteria": options.criteria,
        "agreement": agreement.model_dump(mode="json"),
        "usage": usage,
        "packages": manifest.packages(),
    }
    json_file.write(options.out / "audit.json", report)
    written_whole.text(options.out / "audit.html", page.render("audit.html", r=report, rows=figures(agreement)))
    show(report, figures(agreement), Console(highlight=False))
    print(f"\n{(options.out / 'audit.html').resolve()}")
    return 0 if agreement.unjudged == 0 else INCOMPLETE


def figures(found: Agreement) -> Rows:
    """Return an agreement as (name, value, what it means)."""
    value = found.model_dump(mode="json")
    exact = "verdicts that are the person's" if found.kind == "verdicts" else "grades equal when rounded"
    baseline = found.constant_judge_accuracy
    return [
        ("accuracy", estimate(value["accuracy"], share=True), exact),
        ("constant judge", percent(baseline), "accuracy of one that always says what people say most"),
        ("Cohen's κ", estimate(value["kappa"]), "agreement beyond chance; 1 is full, 0 is chance"),
        ("Krippendorff's α", estimate(value["alpha"]), "the same, by another account of chance"),
        ("position consistency", estimate(value["position_consistency"], share=True), "both orders agree"),
        ("first-slot rate", estimate(value["first_slot_rate"], share=True), "50% without position bias"),
        ("verbosity slope", estimate(value["verbosity_slope"]), "how much longer answers are preferred; 0 is none"),
        ("of the people", estimate(value["human_verbosity_slope"]), "the same slope of the human labels"),
        ("repeat flip rate", estimate(value["repeat_flip_rate"], share=True), "repeated judgments that differ"),
    ]


def show(report: dict[str, Any], rows: Rows, console: Console) -> None:
    """Print an audit."""
    judge, agreement = report["judge"], report["agreement"]
    if judge["warning"]:
        console.print(f"! {judge['name']}: {judge['warning']}", style="yellow", markup=False)
    title = f"{judge['name']} ({judge['model']}) on {agreement['n']} labels; {agreement['unjudged']} unjudged"
    table = Table(title=escape(title), title_justify="left", title_style="bold", show_header=False)
    for name, shown, meaning in rows:
        table.add_row(escape(name), escape(shown), escape(meaning))
    console.print(table)
    usage = report["usage"]
    console.print(f"The judge: {asked(usage)}, {number(usage['tokens'], 0)} tokens, {money(usage)}.", markup=False)


def _verdicts(
    judge: Judge, rows: Sequence[Row], places: Sequence[str], human: Sequence[Any], options: argparse.Namespace
) -> tuple[list[Label], int]:
    comparisons = [
        Comparison.model_validate(
            {
                "prompt": prompts.parsed(row["prompt"], where).wire,
                "answer_a": row_file.text(row, "answer_a", where),
                "answer_b": row_file.text(row, "answer_b", where),
                "reference": row_file.optional_text(row, "reference", where),
                "criteria": options.criteria,
            }
        )
        for row, where in zip(rows, places, strict=True)
    ]
    journal = Journal(options.out / "judgments.jsonl")
    keys = [content_key([judge.identity, options.samples, one.model_dump()]) for one in comparisons]
    found = compared(judge, dict(zip(keys, comparisons, strict=True)), journal, options.samples)
    labels: list[Label] = [
        _labelled(str(place), label, one, verdict)
        for place, (label, one, verdict) in enumerate(zip(human, comparisons, (found[k] for k in keys), strict=True), 1)
    ]
    return labels, sum(len(verdict.orders) for verdict in found.values())


def _labelled(name: str, human: Winner, one: Comparison, verdict: Verdict) -> LabelledComparison:
    by_sample = [sample_winner(verdict.orders, sample) for sample in sorted({call.sample for call in verdict.orders})]
    judged, *repeats = by_sample or [verdict.winner]
    lengths = len(visible(one.answer_a)), len(visible(one.answer_b))
    return LabelledComparison(name, human, judged, orders(verdict), tuple(repeats), *lengths)


def sample_winner(calls: Sequence[OrderVerdict], sample: int) -> Winner | None:
    """Return what one sample's two orders come to: the winner that both name, else a tie; None where one failed."""
    winners = {call.winner for call in calls if call.sample == sample}
    if None in winners:
        return None
    return winners.pop() if len(winners) == 1 else "tie"


def _grades(
    judge: Judge, rows: Sequence[Row], places: Sequence[str], human: Sequence[Any], options: argparse.Namespace
) -> tuple[list[Label], int]:
    answers = [grading.answer(row, where) for row, where in zip(rows, places, strict=True)]
    criteria = [Criterion(name="quality", description=options.criteria)] if options.criteria else []
    grades, calls = grading.graded(judge, answers, criteria, options.samples, options.out)
    labels: list[Label] = [
        LabelledGrade(str(place), grade, *_scores(found), length=len(visible(one.answer)))
        for place, (grade, one, found) in enumerate(zip(human, answers, grades, strict=True), 1)
    ]
    return labels, calls


def _scores(grade: Grade) -> tuple[float | None, tuple[float | None, ...]]:
    """Return the first sample's score and those of the others."""
    first, *others = [sample.score for sample in grade.samples] or [grade.score]
    return first, tuple(others)


def _known_layout(rows: list[Row]) -> list[Row]:
    """Return rows of LLMBar with the names and labels of this command, all others as they are."""
    if not rows or not all(LLMBAR.keys() <= row.keys() for row in rows):
        return rows
    renamed = [{LLMBAR.get(name, name): value for name, value in row.items()} for row in rows]
    return [row | {"label": LLMBAR_LABELS.get(str(row["label"]).strip(), row["label"])} for row in renamed]


def _label(row: Row, where: str) -> Winner:
    label = str(row["label"]).strip().lower()
    for known in get_args(Winner):
        if label == known:
            return known  # type: ignore[no-any-return]
    raise EvaluationError(f"{where}: the label is {row['label']!r}; it must be a, b or tie")


def _grade(row: Row, where: str) -> float:
    try:
        grade = float(row["grade"])
    except (TypeError, ValueError):
        grade = -1.0
    if not 0 <= grade <= 10:
        raise EvaluationError(f"{where}: the grade is {row['grade']!r}; it must be a number from 0 to 10")
    return grade
