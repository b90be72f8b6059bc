"""Ways in which a query can fail to do what its reasoning says: one part of it exchanged for another."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from grpo_trainer.sql_cot.query import Aggregate, Operator, Predicate, Query
from grpo_trainer.sql_cot.schema import Column, Table, Value
from grpo_trainer.sql_cot.templates import grouping, measures

OPPOSITES: dict[Operator, tuple[Operator, ...]] = {
    "=": ("!=",),
    "!=": ("=",),
    "<": (">", ">="),
    ">": ("<", "<="),
    "<=": (">=", ">"),
    ">=": ("<=", "<"),
}
AGGREGATES: tuple[Aggregate, ...] = ("SUM", "AVG", "MIN", "MAX", "COUNT")


def value(query: Query, tables: Sequence[Table], rng: Random) -> Iterator[Query]:
    for predicate in query.where:
        others = [value for value in predicate.column.values if value != predicate.value]
        for other in rng.sample(others, min(3, len(others))):
            yield _with(query, predicate, replace(predicate, value=other))


def column(query: Query, tables: Sequence[Table], rng: Random) -> Iterator[Query]:
    tested = query.table
    if query.link:
        tested = next(table for table in tables if table.name == query.link.table)
    for predicate in query.where:
        for other in _like(predicate.column, tested):
            if _fits(predicate.value, other):
                yield _with(query, predicate, replace(predicate, column=other))
    used = (query.column, query.group, query.order)
    if query.column:
        for other in _like(query.column, query.table, used):
            yield replace(query, column=other)
    if query.order:
        for other in _like(query.order, query.table, used):
            yield replace(query, order=other)
    if query.group:
        yield from (replace(query, group=other) for other in grouping(query.table) if other not in used)


def operator(query: Query, tables: Sequence[Table], rng: Random) -> Iterator[Query]:
    for predicate in query.where:
        for other in OPPOSITES[predicate.operator]:
            yield _with(query, predicate, replace(predicate, operator=other))
    if query.order:
        yield replace(query, descending=not query.descending)


def aggregate(query: Query, tables: Sequence[Table], rng: Random) -> Iterator[Query]:
    if query.aggregate is None:
        return
    if query.column is None:
        for measure in measures(query.table):
            yield replace(query, aggregate=rng.choice(AGGREGATES[:4]), column=measure)
    elif query.aggregate == "COUNT DISTINCT":
        yield replace(query, aggregate="COUNT")
    else:
        for other in AGGREGATES:
            if other != query.aggregate:
                yield replace(query, aggregate=other)


def dropped_predicate(query: Query, tables: Sequence[Table], rng: Random) -> Iterator[Query]:
    for predicate in query.where:
        kept = tuple(other for other in query.where if other != predicate)
        yield replace(query, where=kept, link=query.link if kept else None)


def other_table(query: Query, tables: Sequence[Table], rng: Random) -> Iterator[Query]:
    """Yield the query about another table that has columns of the same names, or along another foreign key."""
    if query.link is None:
        for table in tables:
            used = [*(predicate.column for predicate in query.where), query.column, query.group, query.order]
            if table != query.table and _has(table, [column for column in used if column]):
                yield replace(query, table=table)
        return
    by_name = {table.name: table for table in tables}
    for link in query.table.links:
        tested = [predicate.column for predicate in query.where]
        if link.table != query.link.table and _has(by_name[link.table], tested):
            yield replace(query, link=link)


KINDS: dict[str, Callable[[Query, Sequence[Table], Random], Iterator[Query]]] = {
    "value": value,
    "column": column,
    "operator": operator,
    "aggregate": aggregate,
    "dropped_predicate": dropped_predicate,
    "other_table": other_table,
}


def candidates(kind: str, query: Query, tables: Sequence[Table], rng: Random) -> list[Query]:
    found = list(KINDS[kind](query, tables, rng))
    rng.shuffle(found)
    return found


def _with(query: Query, predicate: Predicate, other: Predicate) -> Query:
    return replace(query, where=tuple(other if own == predicate else own for own in query.where))


def _like(own: Column, table: Table, used: Sequence[Column | None] = ()) -> list[Column]:
    return [other for other in table.columns if other.kind == own.kind and other != own and other not in used]


def _fits(value: Value, column: Column) -> bool:
    """Return whether someone could mean to compare `column` with this: texts only with what is in it."""
    if column.kind == "text":
        return value in column.values
    return any(isinstance(value, str) == isinstance(own, str) for own in column.values)


def _has(table: Table, columns: Sequence[Column]) -> bool:
    return all((own := table.column(column.name)) and own.kind == column.kind for column in columns)
