"""`guerdon openers`: the corpus of a small model, and the prompts that trained policies are compared on."""

import argparse
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from grpo_trainer.openers.demonstrations import REQUIRED, demonstrations, situations
from long_work import exit_status, json_file
from long_work.command_error import CommandError
from long_work.real_number import share
from long_work.whole_number import positive


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 2 when the file cannot be made as asked."""
    run = partial(_write, parsed(argv))
    return exit_status.of("guerdon openers", run, "trainer", "nothing half-made was left behind")


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="guerdon openers", description="Data of the polychromic system: a car seller's first line to a customer."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    corpus = commands.add_parser("corpus", help="demonstrations, some of them careless, for guerdon small-model")
    corpus.add_argument("--rows", type=positive, default=8_000, metavar="N", help="how many (default 8000)")
    corpus.add_argument(
        "--careless",
        type=share,
        default=0.3,
        metavar="SHARE",
        help="of the openers that lack the name, and of those that lack the question (default 0.3)",
    )
    corpus.add_argument("--seed", type=int, default=0, metavar="S", help="another seed gives other rows (default 0)")
    prompts = commands.add_parser("prompts", help="prompts that are in no corpus and no training, and what to mention")
    prompts.add_argument("--rows", type=positive, default=48, metavar="N", help="how many (default 48)")
    for command in (corpus, prompts):
        command.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="the file to write")
    return parser.parse_args(argv)


def _rows(arguments: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
    if arguments.command == "corpus":
        return demonstrations(arguments.rows, arguments.careless, arguments.seed)
    held_out = situations(held_out=True)
    if arguments.rows > len(held_out):
        raise CommandError(f"there are {len(held_out)} prompts of this kind; --rows {len(held_out)} takes them all")
    return [{"prompt": one, "reference": ", ".join(REQUIRED)} for one in held_out[: arguments.rows]]


def _write(arguments: argparse.Namespace) -> int:
    rows = list(_rows(arguments))
    json_file.write_rows(arguments.out, rows)
    print(f"wrote {len(rows)} rows to {arguments.out}")
    return 0
