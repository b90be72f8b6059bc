"""`guerdon openers`: the corpus of a small model, and the prompts that trained policies are compared on."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from grpo_trainer.openers.demonstrations import REQUIRED, demonstrations, situations


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 2 when the file cannot be made as asked."""
    arguments = parsed(argv)
    try:
        rows = list(_rows(arguments))
        _write(rows, arguments.out)
    except (OSError, ValueError) as error:
        print(f"guerdon openers: {error}", file=sys.stderr)
        return 2
    print(f"wrote {len(rows)} rows to {arguments.out}")
    return 0


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="guerdon openers", description="Data of the polychromic system: a car seller's first line to a customer."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    corpus = commands.add_parser("corpus", help="demonstrations, some of them careless, for guerdon small-model")
    corpus.add_argument("--rows", type=_positive, default=8_000, metavar="N", help="how many (default 8000)")
    corpus.add_argument(
        "--careless",
        type=_share,
        default=0.3,
        metavar="SHARE",
        help="of the openers that lack the name, and of those that lack the question (default 0.3)",
    )
    corpus.add_argument("--seed", type=int, default=0, metavar="S", help="another seed gives other rows (default 0)")
    prompts = commands.add_parser("prompts", help="prompts that are in no corpus and no training, and what to mention")
    prompts.add_argument("--rows", type=_positive, default=48, metavar="N", help="how many (default 48)")
    for command in (corpus, prompts):
        command.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="the file to write")
    return parser.parse_args(argv)


def _rows(arguments: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
    if arguments.command == "corpus":
        return demonstrations(arguments.rows, arguments.careless, arguments.seed)
    held_out = situations(held_out=True)
    if arguments.rows > len(held_out):
        raise ValueError(f"there are {len(held_out)} prompts of this kind; --rows {len(held_out)} takes them all")
    return [{"prompt": one, "reference": ", ".join(REQUIRED)} for one in held_out[: arguments.rows]]


def _write(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    part.replace(path)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("a share from 0 to below 1")
    return number
