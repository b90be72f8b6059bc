"""Rows of SQL, question and reasoning, right and wrong, built from a database; and their split."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from grpo_trainer.sql_cot import schema
from grpo_trainer.sql_cot.corruptions import KINDS, candidates
from grpo_trainer.sql_cot.database import Database, Result, same
from grpo_trainer.sql_cot.query import Query
from grpo_trainer.sql_cot.schema import Table
from grpo_trainer.sql_cot.templates import FORMS
from grpo_trainer.sql_cot.wording import question, reasoning

Row = dict[str, Any]

MOST_MISSES = 300
"""The database is taken to have no more queries after so many drawn in a row that gave no new rows."""


def build(database: Path, rows: int, seed: int, without: Collection[str] = ()) -> list[Row]:
    """Return `rows` rows, half of them corrupted; fewer rows of one seed are among its more, in another order.

    No row is of a query whose id is in `without`.

    Raises:
        ValueError: there is no database, or it gives fewer rows.
    """
    with Database(database) as opened:
        found = list(islice(_rows(opened, Random(seed), without), rows))
    if len(found) < rows:
        raise ValueError(f"{database} gives only {len(found)} distinct rows, not {rows}; ask for fewer")
    Random(seed).shuffle(found)
    return found


def split(rows: Sequence[Row], validation_share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (train, validation): all rows of one query are on one side, and each side has one where it can."""
    sizes = Counter(row["query_id"] for row in rows)
    order = sorted(sizes)
    Random(seed).shuffle(order)
    wanted = validation_share * len(rows)
    held: set[str] = set()
    taken = 0
    for query in order[1:]:  # one always stays for training
        if taken >= wanted:
            break
        held.add(query)
        taken += sizes[query]
    return [row for row in rows if row["query_id"] not in held], [row for row in rows if row["query_id"] in held]


def _rows(database: Database, rng: Random, without: Collection[str]) -> Iterator[Row]:
    tables = [table for table in schema.read(database) if table.columns]
    counts = Counter(dict.fromkeys(KINDS, 0))
    seen: set[str] = set()
    misses = 0
    while tables and misses < MOST_MISSES:
        misses += 1
        query = rng.choice(FORMS)(rng.choice(tables), tables, rng)
        if query is None or query.sql in seen or query.id in without:
            continue
        seen.add(query.sql)
        result = database.rows(query.sql)
        if result is None or _is_trivial(result):
            continue
        kinds = sorted(KINDS, key=lambda kind: counts[kind])  # the rarest so far is tried first
        corrupted = _corrupted(query, result, kinds, database, tables, rng)
        if corrupted is None:
            continue
        misses = 0
        counts[corrupted[0]] += 1
        style = rng.randrange(2)
        yield _row(query, query, style, None)
        yield _row(query, corrupted[1], style, corrupted[0])


def _corrupted(
    query: Query, result: Result, kinds: Sequence[str], database: Database, tables: Sequence[Table], rng: Random
) -> tuple[str, Query] | None:
    """Return (kind, query) of the first corruption that runs and gives another result."""
    for kind in kinds:
        for other in candidates(kind, query, tables, rng):
            found = database.rows(other.sql)
            if found is not None and not same(found, result, ordered=query.order is not None):
                return kind, other
    return None


def _row(query: Query, written: Query, style: int, corruption: str | None) -> Row:
    return {
        "sql": written.sql,
        "cot": reasoning(query, style),
        "nl": question(query, style),
        "target": None,
        "execution_match": corruption is None,
        "corruption": corruption,
        "query_id": query.id,
    }


def _is_trivial(result: Result) -> bool:
    """Return whether a result says nothing: no rows, or only zeros and nulls, as tests that nothing passes give."""
    return not any(cell for row in result for cell in row)
