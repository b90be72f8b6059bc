"""SQL-CoT rows: a question, SQL that answers it, and reasoning that does or does not lead to that SQL."""

import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grpo_trainer.datasets import car_dealership, schema
from grpo_trainer.datasets.corruptions import CORRUPTIONS, differs
from grpo_trainer.datasets.queries import AGGREGATES, Predicate, Query
from grpo_trainer.datasets.rows import query_id, read
from grpo_trainer.datasets.schema import Column, Link, Result, Schema

Row = dict[str, Any]
FEW_SHOT = (files("grpo_trainer") / "datasets/sql_cot_prompt.txt").read_text(encoding="utf-8").rstrip("\n")
TRIES = 60
"""Queries drawn for each row asked for, before the database counts as exhausted."""


def load(
    path: str | None = None,
    database: str | None = None,
    rows: int = 400,
    validation_share: float = 0.1,
    target: Literal["embedding", "execution"] = "embedding",
    prompt: str | None = None,
    seed: int = 0,
) -> tuple[list[Row], list[Row]]:
    """Return prompts from a JSONL or CSV file, or made from a SQLite database, by default a small car dealership's.

    Target "embedding" leaves rows without a target to the reward server, which compares sentence embeddings of them;
    "execution" is 1 where the reasoning and the SQL give the same result, else 0. `prompt` names a few-shot file.
    """
    if path is not None and database is not None:
        raise ValueError("give either a path with rows, or a database to make them from")
    if target not in ("embedding", "execution"):
        raise ValueError(f"the target is 'embedding' or 'execution', not {target!r}")
    found = read(Path(path)) if path is not None else _built(database, rows, seed)
    if target == "execution":
        found = [row | {"target": _agreement(row, i)} for i, row in enumerate(found, 1)]
    few_shot = FEW_SHOT if prompt is None else Path(prompt).expanduser().read_text(encoding="utf-8").rstrip("\n")
    train, validation = split(found, validation_share, seed)
    return prompts(train, few_shot), prompts(validation, few_shot)


def build(database: Path, rows: int, seed: int) -> list[Row]:
    """Make rows from a database: each query once with its own reasoning, and once with that of a corrupted one.

    Raises:
        ValueError: it is no SQLite database, or too small or too plain for that many rows.
    """
    if rows < 2:
        raise ValueError(f"a query gives two rows: {rows} is too few")
    chance = random.Random(seed)
    with schema.opened(database) as connection:
        pairs = _pairs(connection, schema.introspect(connection), chance, rows * TRIES)
        built = [row for _, pair in zip(range(-(-rows // 2)), pairs, strict=False) for row in pair][:rows]
    if len(built) < rows:
        raise ValueError(f"{database} gives only {len(built)} different rows, not {rows}")
    chance.shuffle(built)
    return built


def split(rows: list[Row], validation_share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (train, validation) with all rows of a query on one side; validation has at least its share, if any.

    Raises:
        ValueError: the share is not in [0, 1).
    """
    if not 0 <= validation_share < 1:
        raise ValueError(f"validation_share must be at least 0 and below 1, not {validation_share}")
    queries = sorted({row["query_id"] for row in rows})
    random.Random(seed).shuffle(queries)
    held: set[str] = set()
    wanted = validation_share * len(rows)
    for query in queries[:-1]:  # the last one stays, so that something is left to train on
        if sum(row["query_id"] in held for row in rows) >= wanted:
            break
        held.add(query)
    return [row for row in rows if row["query_id"] not in held], [row for row in rows if row["query_id"] in held]


def prompts(rows: list[Row], few_shot: str = FEW_SHOT) -> list[Row]:
    """Return what a trainer is given: the few-shot text filled in, and what the reward needs to see."""
    for name in ("{nl}", "{sql}", "{cot}"):
        if name not in few_shot:
            raise ValueError(f"the few-shot prompt has no place for {name}")
    return [
        {
            "prompt": _filled(few_shot, row),
            "sql": row["sql"],
            "cot": row["cot"],
            "nl": row["nl"],
            "reference": row.get("target"),
        }
        for row in rows
    ]


def embedding_targets(rows: list[Row], embed: Callable[[list[str]], NDArray[np.floating[Any]]]) -> list[float]:
    """Return the mean cosine similarity of the reasoning with SQL and question, clipped; `embed` gives unit vectors."""
    cot, sql, nl = (embed([row[name] for row in rows]) for name in ("cot", "sql", "nl"))
    similarity = ((cot * sql).sum(axis=1) + (cot * nl).sum(axis=1)) / 2
    return [float(value) for value in np.clip(similarity, 0, 1)]


def _built(database: str | None, rows: int, seed: int) -> list[Row]:
    if database is not None:
        return build(Path(database).expanduser(), rows, seed)
    with TemporaryDirectory() as folder:
        return build(car_dealership.create(Path(folder) / "car_dealership.sqlite"), rows, seed)
