"""`guerdon sqlcot corpus`: examples of the answer's form, to train a small model on before it meets the reward.

Each example is a row's prompt and `<think>…</think><score>x.xx</score>`. The think block names what the SQL selects,
from which table and by which columns, read off the SQL. The score is a *shuffled* target: that of another row, drawn at
random, so that a model learns the form and how targets are spread, and nothing about which row has which. With
`--informative P`, a share P of the examples has the row's own target.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from grpo_trainer.sql_cot import row_file, targets
from grpo_trainer.sql_cot.prompt import filled, template
from grpo_trainer.sql_cot.rows import Row
from long_work import json_file
from long_work.real_number import share

SELECTED = re.compile(r"SELECT\s+(.*?)\s+FROM\s+(\S+)", re.IGNORECASE | re.DOTALL)
TESTED = re.compile(r"(?:\bWHERE|\bAND)\s+(?:\w+\.)?(\"[^\"]*\"|\w+)", re.IGNORECASE)


def main(argv: list[str]) -> int:
    """Run the command.

    Raises:
        ValueError: the rows cannot be used.
        OSError: a file cannot be read or written.
    """
    arguments = parser().parse_args(argv)
    rows = row_file.read(arguments.rows)
    if any(row["target"] is None for row in rows):
        for row, target in zip(rows, targets.of(rows, "embedding"), strict=True):
            row["target"] = target
    found = examples(rows, template(arguments.prompt), arguments.informative, arguments.seed)
    json_file.write_rows(arguments.out, found)
    own = "no score is of its own row" if arguments.informative == 0 else f"{arguments.informative:.0%} own scores"
    print(f"wrote {len(found)} examples to {arguments.out}; {own}")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="guerdon sqlcot corpus",
        description="Make a corpus for `guerdon small-model` from rows: it teaches the form of the answer and how "
        "scores are spread, not which row deserves which.",
    )
    options.add_argument("rows", type=Path, metavar="ROWS.jsonl", help="rows, e.g. of `guerdon sqlcot build --targets`")
    options.add_argument("--out", type=Path, required=True, metavar="CORPUS.jsonl")
    options.add_argument("--prompt", default="short", help="the template of the prompts (default: short)")
    options.add_argument("--informative", type=share, default=0.0, metavar="P", help="share with their own target (0)")
    options.add_argument("--seed", type=int, default=0)
    return options


def examples(rows: Sequence[Row], text: str, informative: float, seed: int) -> list[dict[str, str]]:
    """Return an example a row.

    Raises:
        ValueError: `informative` is no share, or there are fewer than two rows.
    """
    if not 0 <= informative <= 1:
        raise ValueError(f"--informative is a share in [0, 1], not {informative}")
    if len(rows) < 2:
        raise ValueError("a shuffled score needs another row; give two at least")
    rng = Random(seed)
    return [
        {"prompt": filled(text, row), "completion": answer(thought(row["sql"]), _score(rows, place, informative, rng))}
        for place, row in enumerate(rows)
    ]


def answer(think: str, score: float) -> str:
    return f"<think>{think}</think><score>{score:.2f}</score>"


def thought(sql: str) -> str:
    """Return what a query is about in a few words: "count(*) of cars by year make"."""
    found = SELECTED.search(sql)
    selected, table = (found[1], found[2]) if found else ("rows", "tables")
    columns = " ".join(TESTED.findall(sql)) or "nothing"
    return f"{selected} of {table} by {columns}".lower()


def _score(rows: Sequence[Row], place: int, informative: float, rng: Random) -> float:
    own = rng.random() < informative
    other = rng.randrange(len(rows) - 1)
    return float(rows[place if own else other + (other >= place)]["target"])
