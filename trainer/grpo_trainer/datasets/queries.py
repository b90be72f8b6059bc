"""A query as its parts, so that it can be said in SQL, as a question, and as the reasoning that leads to it."""

from dataclasses import dataclass
from typing import Literal

from grpo_trainer.datasets.schema import Column, Link, Value, quoted, words

Shape = Literal["count", "aggregate", "list", "top", "group"]
AGGREGATES = {"AVG": "average", "SUM": "total", "MIN": "lowest", "MAX": "highest"}
COMPARISONS = {"=": "is", "<>": "is not", ">": "is above", "<": "is below"}


@dataclass(frozen=True)
class Predicate:
    column: Column
    operator: str
    value: Value

    def said(self) -> str:
        return f"{self.column.words} {COMPARISONS[self.operator]} {self.value}"


@dataclass(frozen=True)
class Query:
    shape: Shape
    table: str
    column: Column | None = None
    """What is aggregated, listed, or grouped by; a `count` has none."""
    predicates: tuple[Predicate, ...] = ()
    aggregate: str = "AVG"
    """For the shape `aggregate`."""
    order: Column | None = None
    """For the shape `top`: the first row by this column is taken."""
    descending: bool = False
    link: Link | None = None
    """To the table that the predicates are about, when it is not the query's own."""

    def sql(self) -> str:
        return " ".join(part for part in (self._select(), self._from(), self._where(), self._tail()) if part)

    def question(self) -> str:
        rows, column = words(self.table), self.column.words if self.column else ""
        if self.shape == "count":
            return f"How many {rows} are there{self._whose()}?"
        if self.shape == "aggregate":
            return f"What is the {AGGREGATES[self.aggregate]} {column} of {rows}{self._whose()}?"
        if self.shape == "list":
            return f"What is the {column} of the {rows}{self._whose()}?"
        if self.shape == "group":
            return f"How many {rows} are there for each {column}{self._whose()}?"
        return f"Of the {rows}{self._whose()}, what is the {column} of the one with the {self._extreme()}?"

    def reasoning(self) -> str:
        column = self.column.words if self.column else ""
        last = {
            "count": "count them",
            "aggregate": f"take the {AGGREGATES[self.aggregate]} {column}",
            "list": f"list their {column}",
            "group": f"count them by {column}",
            "top": f"take the {column} of the one with the {self._extreme()}",
        }[self.shape]
        rows = words(self.table)
        if self.link is not None:
            return f"Join {rows} with {words(self.link.parent)}, keep those whose {self._said()}, and {last}."
        if self.predicates:
            return f"Keep the {rows} whose {self._said()}, and {last}."
        return f"Look at all {rows}, and {last}."

    def _extreme(self) -> str:
        return f"{'highest' if self.descending else 'lowest'} {self.order.words if self.order else ''}"

    def _said(self) -> str:
        owner = f"{words(self.link.parent)} " if self.link else ""
        return " and ".join(owner + predicate.said() for predicate in self.predicates)

    def _whose(self) -> str:
        return f" whose {self._said()}" if self.predicates else ""

    def _name(self, column: Column) -> str:
        return f"{quoted(column.table)}.{quoted(column.name)}" if self.link else quoted(column.name)

    def _select(self) -> str:
        if self.column is None:
            return "SELECT COUNT(*)"
        name = self._name(self.column)
        if self.shape == "aggregate":
            return f"SELECT {self.aggregate}({name})"
        return f"SELECT {name}, COUNT(*)" if self.shape == "group" else f"SELECT {name}"

    def _from(self) -> str:
        if self.link is None:
            return f"FROM {quoted(self.table)}"
        child, parent = quoted(self.link.child), quoted(self.link.parent)
        keys = f"{child}.{quoted(self.link.column)} = {parent}.{quoted(self.link.parent_column)}"
        return f"FROM {child} JOIN {parent} ON {keys}"

    def _where(self) -> str:
        tests = (f"{self._name(test.column)} {test.operator} {literal(test.value)}" for test in self.predicates)
        return f"WHERE {' AND '.join(tests)}" if self.predicates else ""

    def _tail(self) -> str:
        if self.shape == "group" and self.column:
            return f"GROUP BY {self._name(self.column)}"
        if self.shape == "top" and self.order:
            return f"ORDER BY {self._name(self.order)}{' DESC' if self.descending else ''} LIMIT 1"
        return ""


def literal(value: Value) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
