"""`guerdon sqlcot build`: rows of SQL, question and reasoning from a database, into a file."""

import argparse
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from grpo_trainer.sql_cot import car_dealership, row_file, rows, targets
from long_work import json_file
from long_work.whole_number import positive


def main(argv: list[str]) -> int:
    """Run the command.

    Raises:
        ValueError: the rows cannot be built as asked.
        OSError: a file cannot be read or written.
    """
    arguments = parser().parse_args(argv)
    others = {row["query_id"] for file in arguments.without for row in row_file.read(file)}
    source: AbstractContextManager[Path] = (
        nullcontext(arguments.database) if arguments.database else car_dealership.opened()
    )
    with source as database:
        built = rows.build(database, arguments.rows, arguments.seed, without=others)
    if arguments.targets:
        for row, target in zip(built, targets.of(built, "embedding"), strict=True):
            row["target"] = target
    held_out: list[rows.Row] = []
    if arguments.held_out:
        built, held_out = rows.split(built, arguments.held_out_share, arguments.seed)
        json_file.write_rows(arguments.held_out, held_out)
    json_file.write_rows(arguments.out, built)
    print(summary(built, arguments.out))
    if held_out:
        print(f"held out {len(held_out)} rows of {_queries(held_out)} other queries in {arguments.held_out}")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon sqlcot build",
        description="Build rows of SQL, question and reasoning from a SQLite database, half of them with SQL that is "
        'wrong in one place. A run reads the file where it says: [dataset] name = "sql_cot", path = FILE.',
    )
    source = options.add_mutually_exclusive_group()
    source.add_argument("--database", type=Path, metavar="FILE", help="a SQLite database; it is only read")
    source.add_argument("--car-dealership", action="store_true", help="the database that ships (the default)")
    options.add_argument("--rows", type=positive, default=480, metavar="N", help="how many rows (default: 480)")
    options.add_argument("--seed", type=int, default=0, metavar="S", help="another seed gives other rows (default: 0)")
    options.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="the file to write")
    options.add_argument(
        "--targets", action="store_true", help="write the column target: MiniLM's similarity of the texts"
    )
    options.add_argument("--held-out", type=Path, metavar="FILE.jsonl", help="write rows of other queries here")
    options.add_argument(
        "--held-out-share", type=share, default=0.15, metavar="P", help="of the rows, for --held-out (default: 0.15)"
    )
    options.add_argument(
        "--without",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="build no row of the queries in this file; may be repeated",
    )
    return options


def summary(built: list[rows.Row], out: Path) -> str:
    counts = Counter(row["corruption"] or "clean" for row in built)
    lines = [f"  {kind:<18}{count:>6}" for kind, count in counts.most_common()]
    return "\n".join([f"wrote {len(built)} rows of {_queries(built)} queries to {out}", *lines])


def share(text: str) -> float:
    """Return a number in (0, 1)."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def _queries(built: list[rows.Row]) -> int:
    return len({row["query_id"] for row in built})
