"""A query of one table, or of two along a foreign key, whose parts can be exchanged one by one."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from grpo_trainer.sql_cot.schema import Column, Link, Table, Value
from grpo_trainer.sql_cot.spelling import identifier, literal

Aggregate = Literal["COUNT", "COUNT DISTINCT", "SUM", "AVG", "MIN", "MAX"]
Operator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Predicate:
    column: Column
    operator: Operator
    value: Value


@dataclass(frozen=True)
class Query:
    """What is selected, from where and in which order; no `column` means rows, which only COUNT can take.

    With a `link`, the predicates are about the table it leads to, all else about `table`.
    """

    table: Table
    aggregate: Aggregate | None = None
    column: Column | None = None
    where: tuple[Predicate, ...] = ()
    link: Link | None = None
    group: Column | None = None
    order: Column | None = None
    descending: bool = True
    limit: int = 3

    @property
    def id(self) -> str:
        return sha256(self.sql.encode()).hexdigest()[:12]

    @property
    def sql(self) -> str:
        parts = ["SELECT", self._selected(), "FROM", identifier(self.table.name)]
        if self.link:
            other = identifier(self.link.table)
            parts.append(f"JOIN {other} ON {self._name(self.link.column)} = {other}.{identifier(self.link.to)}")
        if self.where:
            parts.append("WHERE " + " AND ".join(map(self._test, self.where)))
        if self.group:
            parts.append(f"GROUP BY {self._name(self.group.name)}")
        if self.order:
            parts.append(f"ORDER BY {self._name(self.order.name)}{' DESC' if self.descending else ''}")
            parts.append(f"LIMIT {self.limit}")
        return " ".join(parts)

    def _selected(self) -> str:
        name = self._name(self.column.name) if self.column else "*"
        if self.aggregate == "COUNT DISTINCT":
            name = f"COUNT(DISTINCT {name})"
        elif self.aggregate:
            name = f"{self.aggregate}({name})"
        return f"{self._name(self.group.name)}, {name}" if self.group else name

    def _test(self, predicate: Predicate) -> str:
        name = identifier(predicate.column.name)
        if self.link:
            name = f"{identifier(self.link.table)}.{name}"
        return f"{name} {predicate.operator} {literal(predicate.value)}"

    def _name(self, column: str) -> str:
        return f"{identifier(self.table.name)}.{identifier(column)}" if self.link else identifier(column)
