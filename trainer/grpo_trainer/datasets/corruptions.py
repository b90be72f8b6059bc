"""Typed ways in which reasoning goes wrong about a query; each yields queries that a reader would confuse with it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from grpo_trainer.datasets.queries import AGGREGATES, Predicate, Query
from grpo_trainer.datasets.schema import Column, Result, Schema

OPPOSITE = {"=": "<>", "<>": "=", ">": "<", "<": ">"}
DIGITS = 9
"""To which floats of two results are compared: the order of a sum is not a difference."""


def value(query: Query, schema: Schema) -> Iterator[Query]:
    for i, test in enumerate(query.predicates):
        yield from (_with(query, i, replace(test, value=other)) for other in test.column.values if other != test.value)


def column(query: Query, schema: Schema) -> Iterator[Query]:
    if query.column is not None:
        yield from (replace(query, column=other) for other in _siblings(query.column, schema))
    if query.order is not None:
        yield from (replace(query, order=other) for other in _siblings(query.order, schema))
    for i, test in enumerate(query.predicates):
        if test.column.kind == "number":  # the same bound on another text column would match nothing
            yield from (_with(query, i, replace(test, column=other)) for other in _siblings(test.column, schema))


def operator(query: Query, schema: Schema) -> Iterator[Query]:
    if query.order is not None:
        yield replace(query, descending=not query.descending)
    for i, test in enumerate(query.predicates):
        yield _with(query, i, replace(test, operator=OPPOSITE[test.operator]))


def aggregate(query: Query, schema: Schema) -> Iterator[Query]:
    if query.shape == "aggregate":
        yield from (replace(query, aggregate=other) for other in AGGREGATES if other != query.aggregate)
        yield replace(query, shape="count", column=None)


def dropped_predicate(query: Query, schema: Schema) -> Iterator[Query]:
    for i in range(len(query.predicates)):
        kept = query.predicates[:i] + query.predicates[i + 1 :]
        yield replace(query, predicates=kept, link=query.link if kept else None)


def other_table(query: Query, schema: Schema) -> Iterator[Query]:
    if query.link is None:
        moved = (_moved(query, table, schema) for table in schema.tables if table != query.table)
        yield from (other for other in moved if other is not None)


CORRUPTIONS: dict[str, Callable[[Query, Schema], Iterator[Query]]] = {
    function.__name__: function for function in (value, column, operator, aggregate, dropped_predicate, other_table)
}


def differs(one: Result, other: Result) -> bool:
    """Tell whether two results differ as bags of rows: without ORDER BY, SQL promises no order."""
    return _bag(one) != _bag(other)


def _bag(result: Result) -> list[str]:
    rounded = ([round(cell, DIGITS) if isinstance(cell, float) else cell for cell in row] for row in result)
    return sorted(repr(row) for row in rounded)


def _with(query: Query, i: int, test: Predicate) -> Query:
    return replace(query, predicates=(*query.predicates[:i], test, *query.predicates[i + 1 :]))


def _siblings(one: Column, schema: Schema) -> list[Column]:
    return [other for other in schema.columns(one.table, one.kind) if other != one]


def _moved(query: Query, table: str, schema: Schema) -> Query | None:
    """Return the query asked of another table, which must have columns of the same names; or None."""
    there = {(other.name, other.kind): other for other in schema.columns(table)}

    def found(one: Column | None) -> Column | None:
        return None if one is None else there.get((one.name, one.kind))

    if any(found(one) is None for one in (query.column, query.order) if one is not None):
        return None
    tests = [(found(test.column), test) for test in query.predicates]
    moved = tuple(replace(test, column=other) for other, test in tests if other is not None)
    if len(moved) < len(tests):
        return None
    return replace(query, table=table, column=found(query.column), order=found(query.order), predicates=moved)
