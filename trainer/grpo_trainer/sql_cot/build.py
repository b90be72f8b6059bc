"""`guerdon sqlcot build`: rows of SQL, question and reasoning from a database, into a file."""

import argparse
import sys
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from grpo_trainer.sql_cot import car_dealership, row_file, rows


def main(argv: list[str]) -> int:
    """Run the command; return its exit status: 2 when the rows cannot be built as asked."""
    arguments = parsed(argv)
    source: AbstractContextManager[Path] = (
        nullcontext(arguments.database) if arguments.database else car_dealership.opened()
    )
    try:
        with source as database:
            built = rows.build(database, arguments.rows, arguments.seed)
        row_file.write(built, arguments.out)
    except (OSError, ValueError) as error:
        print(f"guerdon sqlcot: {error}", file=sys.stderr)
        return 2
    print(summary(built, arguments.out))
    return 0


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="guerdon sqlcot", description="Data for the dataset and reward sql_cot.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    build = commands.add_parser(
        "build",
        help="build rows from a database",
        description="Build rows of SQL, question and reasoning from a SQLite database, half of them with SQL that is "
        'wrong in one place. A run reads the file where it says: [dataset] name = "sql_cot", path = FILE.',
    )
    source = build.add_mutually_exclusive_group()
    source.add_argument("--database", type=Path, metavar="FILE", help="a SQLite database; it is only read")
    source.add_argument("--car-dealership", action="store_true", help="the database that ships (the default)")
    build.add_argument("--rows", type=_positive, default=480, metavar="N", help="how many rows (default: 480)")
    build.add_argument("--seed", type=int, default=0, metavar="S", help="another seed gives other rows (default: 0)")
    build.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="the file to write")
    return parser.parse_args(argv)


def summary(built: list[rows.Row], out: Path) -> str:
    counts = Counter(row["corruption"] or "clean" for row in built)
    queries = len({row["query_id"] for row in built})
    lines = [f"  {kind:<18}{count:>6}" for kind, count in counts.most_common()]
    return "\n".join([f"wrote {len(built)} rows of {queries} queries to {out}", *lines])


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
