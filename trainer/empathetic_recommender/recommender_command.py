"""`guerdon recommender`: dialogues of the project's own, and what a recommender of them is worth."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from long_work import exit_status, quiet
from long_work.real_number import from_zero, share
from long_work.whole_number import positive

RUNS = {name: f"empathetic_recommender.{name}" for name in ("write_data", "evaluate", "measure", "simulate", "report")}


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 2 when it cannot be done as asked, 3 when too much of it failed."""
    options = parser().parse_args(argv)
    quiet.before_imports()

    def run() -> int:
        chosen: Callable[[argparse.Namespace], int] = import_module(RUNS[options.module]).run
        return chosen(options)

    stopped = "the same command goes on with what is in --out"
    return exit_status.of("guerdon recommender", run, "trainer", stopped)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon recommender",
        description="Dialogues about films with replies of known quality; metrics, a simulated user, and a report.",
    )
    commands = options.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _data(commands.add_parser("dialogues", help="write dialogues, labels with known noise, and corpora"))
    _evaluate(commands.add_parser("evaluate", help="let a policy reply to held-out dialogues; all metrics"))
    _measure(commands.add_parser("metrics", help="recommender and generation metrics of a JSONL file"))
    _simulate(commands.add_parser("simulate", help="success rate and turns with a simulated user"))
    _report(commands.add_parser("report", help="before and after training, side by side"))
    return options


def _data(data: argparse.ArgumentParser) -> None:
    data.set_defaults(module="write_data")
    data.add_argument("--out", type=Path, required=True, metavar="DIR")
    data.add_argument("--train", type=positive, default=4000, help="dialogues to train on (default 4000)")
    data.add_argument("--labelled", type=positive, default=1400, help="of other dialogues, with labels (default 1400)")
    data.add_argument("--held-out", type=positive, default=300, help="to evaluate on, with labels (default 300)")
    data.add_argument("--seed", type=int, default=0)


def _evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.set_defaults(module="evaluate")
    _asks(evaluate)
    evaluate.add_argument("--reward-url", metavar="URL", help="a reward server that serves the critic")
    evaluate.add_argument("--reward", default="critic", metavar="NAME", help="its name there (default critic)")


def _measure(measure: argparse.ArgumentParser) -> None:
    measure.set_defaults(module="measure")
    measure.add_argument(
        "file",
        type=Path,
        help='JSONL of {"reply", "reference", "titles": {item: score}, "relevant": [items], "liked": [items]}',
    )


def _simulate(simulate: argparse.ArgumentParser) -> None:
    simulate.set_defaults(module="simulate")
    _asks(simulate)
    simulate.add_argument("--user", required=True, metavar="MODEL", help="a model that plays the seeker, or rule")
    simulate.add_argument("--user-revision", metavar="COMMIT", help="of a hub id, which needs one")
    simulate.add_argument("--user-url", metavar="URL", help="where it is: an OpenAI-compatible endpoint, not here")
    simulate.add_argument("--max-turns", type=positive, default=10, help="replies of a dialogue (default 10)")


def _asks(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", required=True, help="the policy: a directory, with an adapter or without, or hub id"
    )
    command.add_argument(
        "--hub-revision", metavar="COMMIT", help="of a hub id, or of the hub id that an adapter sits on; it needs one"
    )
    command.add_argument("--dialogues", type=Path, required=True, metavar="JSONL", help="held-out dialogues")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument("--rows", type=positive, help="the first so many only")
    command.add_argument(
        "--may-fail",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="of scores, or of dialogues that the user model spoils; more of them, and the exit status is 3: the same "
        "command tries them again (default 0.05)",
    )
    command.add_argument("--max-tokens", type=positive, default=80, help="of a reply (default 80)")
    command.add_argument("--temperature", type=from_zero, default=1.0)
    command.add_argument("--seed", type=int, default=0)


def _report(report: argparse.ArgumentParser) -> None:
    report.set_defaults(module="report")
    help_dir = "directories of `evaluate` and `simulate`"
    report.add_argument("--before", type=Path, required=True, metavar="DIR", help=help_dir)
    report.add_argument("--after", type=Path, required=True, nargs="+", metavar="DIR", help=f"{help_dir}, one a seed")
    report.add_argument(
        "--training", type=Path, nargs="*", default=[], metavar="DIR", help="the training runs, in turn"
    )
    report.add_argument("--out", type=Path, required=True, metavar="DIR")
    report.add_argument("--samples", type=positive, default=12, help="replies shown side by side (default 12)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
