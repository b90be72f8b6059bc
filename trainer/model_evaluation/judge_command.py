"""`guerdon judge grade FILE` scores answers; `guerdon judge audit FILE` holds a judge against human labels."""

import argparse
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from guerdon.judge_messages import MAX_SAMPLES, Criterion
from long_work import exit_status
from long_work.exit_status import INCOMPLETE
from model_evaluation import judge_options, results_folder
from model_evaluation.evaluation_error import EvaluationError

CRITERION = re.compile(r"(?P<name>[a-z][a-z0-9_]{0,39})(?::(?P<weight>\d+(?:\.\d+)?))?=(?P<description>.+)", re.DOTALL)
MAX_CRITERIA = 20
EXPLANATION = "explanation"
"""Where the judge gives its reasons, beside the criteria."""


def parser() -> argparse.ArgumentParser:
    """Return the options of `guerdon judge`."""
    options = argparse.ArgumentParser(
        prog="guerdon judge",
        description="Ask a judge about answers that exist. Verdicts are kept as they come: the same command again goes "
        "on where it was stopped, and asks again what failed.",
        epilog=f"Exit status: 0 everything was judged; {INCOMPLETE} some of it was not; 2 it cannot be done as asked.",
    )
    commands = options.add_subparsers(dest="command", required=True, metavar="COMMAND")
    grade = commands.add_parser("grade", help="score answers from 0 to 10")
    grade.add_argument(
        "file", metavar="FILE", help="JSONL, JSON, CSV or Parquet with prompt, answer and, maybe, reference"
    )
    grade.add_argument(
        "--criterion",
        action="append",
        default=[],
        type=criterion,
        metavar="NAME[:WEIGHT]=TEXT",
        help="what to grade by, repeatedly (default: overall quality)",
    )
    audit = commands.add_parser("audit", help="hold a judge against human labels")
    audit.add_argument(
        "file",
        metavar="FILE",
        help="rows with prompt, answer_a, answer_b and label (a, b or tie), those of LLMBar, or rows with prompt, "
        "answer and grade (0 to 10)",
    )
    audit.add_argument("--criteria", type=judge_options.criteria, metavar="TEXT", help="what the judge is to look at")
    for command in (grade, audit):
        command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results are kept")
        command.add_argument(
            "--samples", type=samples, default=1, help="calls a question; an audit's flip rate needs 2 (default 1)"
        )
        judge_options.add(command)
    return options


def main(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(argv)
    stopped = results_folder.stopped(options.out, "judge", argv)
    return exit_status.of("guerdon judge", partial(run, options), "evaluation", stopped)


def run(options: argparse.Namespace) -> int:
    """Grade or audit; return the exit status.

    Raises:
        EvaluationError: it cannot be done as asked.
    """
    if options.command == "grade":
        check(options.criterion)
    with results_folder.opened(options.out):
        return _chosen(options.command)(options)


def _chosen(command: str) -> Callable[[argparse.Namespace], int]:
    if command == "grade":
        from model_evaluation import grading

        return grading.run
    from model_evaluation import audit

    return audit.run


def criterion(text: str) -> Criterion:
    found = CRITERION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("NAME=TEXT or NAME:WEIGHT=TEXT, the name of small letters, digits and _")
    try:
        return Criterion(name=found["name"], description=found["description"], weight=float(found["weight"] or 1))
    except ValidationError as error:
        problem = error.errors()[0]
        raise argparse.ArgumentTypeError(f"the {problem['loc'][0]}: {problem['msg']}") from None


def check(criteria: Sequence[Criterion]) -> None:
    """Check that a judge server can take these criteria together.

    Raises:
        EvaluationError: there are too many, one is there twice, or one has the name of something else.
    """
    names = [one.name for one in criteria]
    if EXPLANATION in names:
        raise EvaluationError(
            f"--criterion {EXPLANATION}: that is where the judge gives its reasons; choose another name"
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise EvaluationError(f"--criterion {twice} is given more than once; every criterion has a name of its own")
    if len(names) > MAX_CRITERIA:
        raise EvaluationError(f"{len(names)} times --criterion; a judge takes {MAX_CRITERIA} criteria at most")


def samples(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_SAMPLES:
        raise argparse.ArgumentTypeError(f"from 1 to {MAX_SAMPLES}")
    return number
