"""`guerdon critic label|train|eval`: labels for replies, a critic trained on them, and what it is worth."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from long_work import exit_status, quiet
from long_work.real_number import finite, share, share_above_zero

RUNS: dict[str, str] = {
    "label": "critic_trainer.labeling.label",
    "train": "critic_trainer.learning.train",
    "eval": "critic_trainer.examination.examine",
}


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 2 when it cannot be done as asked, 3 when too much of it failed."""
    options = parser().parse_args(argv)
    quiet.before_imports()

    def run() -> int:
        chosen: Callable[[argparse.Namespace], int] = import_module(RUNS[options.command]).run
        return chosen(options)

    stopped = f"the same command goes on with what is in {options.out}"
    return exit_status.of("guerdon critic", run, "trainer", stopped)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon critic",
        description="Label replies, train a critic of several heads on the labels, and examine it. The result is a "
        'directory that a rewards.toml serves: kind = "critic", model = DIR.',
    )
    commands = options.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _label(commands.add_parser("label", help="label the replies of dialogues; the same command again goes on"))
    _train(commands.add_parser("train", help="train a critic; the same command again goes on after the last epoch"))
    _eval(commands.add_parser("eval", help="examine a critic on labelled replies that it was not trained on"))
    return options


def _label(label: argparse.ArgumentParser) -> None:
    label.add_argument(
        "file", type=Path, help='JSONL of {"conversation", "reply", maybe "reference"}, or ReDial\'s own JSONL'
    )
    label.add_argument("--out", type=Path, required=True, metavar="DIR")
    label.add_argument(
        "--labeler",
        action="append",
        required=True,
        metavar="WHO",
        help="judge or judge:NAME (of the judge server), local:MODEL (a directory, or a hub id as ID@COMMIT), "
        "column:NAME (labels in the file); twice for two labelers, whose agreement is then measured",
    )
    label.add_argument(
        "--judge-url", default="http://127.0.0.1:8001", metavar="URL", help="its token: GUERDON_JUDGE_TOKEN"
    )
    label.add_argument("--four-bit", action="store_true", help="load local labelers in 4 bits (bitsandbytes, GPU)")
    label.add_argument(
        "--alpha",
        type=finite,
        default=0.667,
        help="Krippendorff's α of two labelers below which an attribute's labels are not merged (default 0.667)",
    )
    label.add_argument(
        "--gap",
        type=share_above_zero,
        default=0.3,
        help="labels so far apart are listed as disagreements (default 0.3)",
    )
    label.add_argument(
        "--may-fail",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="of replies that a labeler has no labels for; more of them, and the exit status is 3: the same command "
        "tries them again (default 0.05)",
    )


def _train(train: argparse.ArgumentParser) -> None:
    train.add_argument("file", metavar="CRITIC.toml", help="a critic file, or one that ships: critic")
    size = train.add_mutually_exclusive_group()
    size.add_argument("--size", default="real", help="a [size.NAME] of the file (default: the file as it is)")
    size.add_argument("--smoke", dest="size", action="store_const", const="smoke", help="the same as --size smoke")
    train.add_argument("--labels", type=Path, required=True, metavar="JSONL", help="what `guerdon critic label` wrote")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="the critic's directory")
    train.add_argument("--seed", type=int, help="instead of the file's")


def _eval(examine: argparse.ArgumentParser) -> None:
    examine.add_argument("critic", type=Path, metavar="CRITIC", help="a critic's directory")
    examine.add_argument("--labels", type=Path, required=True, metavar="JSONL", help="labelled replies, held out")
    examine.add_argument("--out", type=Path, required=True, metavar="DIR", help="report.html, report.json")
    examine.add_argument(
        "--agreement",
        type=Path,
        metavar="JSON",
        help="agreement.json of two labelers: how reliable their labels are is the ceiling of R² (labels that were "
        "made say it themselves, by their levels)",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
