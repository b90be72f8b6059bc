"""The forms of query that any database allows, filled with its tables, columns and values."""

from collections.abc import Sequence
from random import Random

from grpo_trainer.sql_cot.query import Aggregate, Operator, Predicate, Query
from grpo_trainer.sql_cot.schema import Column, Table
from grpo_trainer.sql_cot.spelling import words

EQUALITY: tuple[Operator, ...] = ("=", "=", "=", "!=")
ORDERING: tuple[Operator, ...] = ("<", ">", ">=", "<=")
UNSUMMED = frozenset({"age", "height", "percent", "rank", "rating", "temperature"})
"""Numbers whose sum nobody asks for."""


def count(table: Table, tables: Sequence[Table], rng: Random) -> Query:
    return Query(table, "COUNT", where=predicates(table, rng, rng.choice((0, 1, 1, 2, 2))))


def aggregate(table: Table, tables: Sequence[Table], rng: Random) -> Query | None:
    column = _one(measures(table), rng)
    if column is None:
        return None
    return Query(table, _aggregate(column, rng), column, predicates(table, rng, rng.choice((0, 1, 1, 2))))


def distinct(table: Table, tables: Sequence[Table], rng: Random) -> Query | None:
    column = _one([column for column in table.columns if column.repeats], rng)
    if column is None:
        return None
    return Query(table, "COUNT DISTINCT", column, predicates(table, rng, rng.choice((0, 1, 1)), column))


def listing(table: Table, tables: Sequence[Table], rng: Random) -> Query | None:
    column = _one(shown(table), rng)
    where = predicates(table, rng, rng.choice((1, 1, 2)), column)
    return Query(table, None, column, where) if column and where else None


def top(table: Table, tables: Sequence[Table], rng: Random) -> Query | None:
    column, order = _one(shown(table), rng), _one(ordering(table), rng)
    if column is None or order is None or order == column:
        return None
    where = predicates(table, rng, rng.choice((0, 1, 1)), column)
    return Query(table, None, column, where, order=order, descending=rng.random() < 0.5, limit=rng.randint(2, 5))


def grouped(table: Table, tables: Sequence[Table], rng: Random) -> Query | None:
    group, column = _one(grouping(table), rng), _one(measures(table), rng)
    if group is None:
        return None
    where = predicates(table, rng, rng.choice((0, 1)), group)
    if column is None or rng.random() < 0.5:
        return Query(table, "COUNT", where=where, group=group)
    return Query(table, _aggregate(column, rng), column, where, group=group)


def joined(table: Table, tables: Sequence[Table], rng: Random) -> Query | None:
    if not table.links:
        return None
    link = rng.choice(table.links)
    other = next(other for other in tables if other.name == link.table)
    where = predicates(other, rng, 1)
    if not where:
        return None
    column = _one(measures(table), rng) if rng.random() < 0.4 else None
    return Query(table, _aggregate(column, rng) if column else "COUNT", column, where, link)


FORMS = (count, count, aggregate, distinct, listing, top, grouped, joined)


def predicates(table: Table, rng: Random, most: int, besides: Column | None = None) -> tuple[Predicate, ...]:
    tested = [column for column in table.columns if column.values and column != besides]
    return tuple(_predicate(column, rng) for column in rng.sample(tested, min(most, len(tested))))


def operators(column: Column) -> tuple[Operator, ...]:
    if column.kind == "text":
        return EQUALITY
    return (*ORDERING, "=") if column.repeats else ORDERING


def measures(table: Table) -> list[Column]:
    return [column for column in table.columns if column.kind == "number" and len(column.values) > 2]


def grouping(table: Table) -> list[Column]:
    return [column for column in table.columns if column.repeats and column.kind in ("text", "date")]


def ordering(table: Table) -> list[Column]:
    return [column for column in table.columns if column.kind in ("number", "date") and len(column.values) > 2]


def shown(table: Table) -> list[Column]:
    return [column for column in table.columns if column.kind in ("text", "number", "date")]


def _predicate(column: Column, rng: Random) -> Predicate:
    return Predicate(column, rng.choice(operators(column)), rng.choice(column.values))


def _aggregate(column: Column, rng: Random) -> Aggregate:
    kinds: tuple[Aggregate, ...] = ("AVG", "MIN", "MAX", "SUM")
    return rng.choice(kinds[:3] if words(column.name) in UNSUMMED else kinds)


def _one(columns: Sequence[Column], rng: Random) -> Column | None:
    return rng.choice(columns) if columns else None
