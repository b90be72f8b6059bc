"""What a SQLite database is about: its tables, their columns with kinds and sample values, and its foreign keys."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grpo_trainer.sql_cot.database import Database
from grpo_trainer.sql_cot.spelling import identifier, words

Value = int | float | str
Kind = Literal["key", "number", "date", "text", "other"]

SAMPLED = 500
MOST_TABLES = 200
FEW = 30
"""A column of at most so many distinct values is tested for equality; others only for being above or below."""
LONGEST_TEXT = 24
TABLES = r"""
SELECT name FROM sqlite_master
WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT LIKE 'CREATE VIRTUAL%'
ORDER BY name LIMIT """


@dataclass(frozen=True)
class Column:
    """`values` are worth comparing with; where `repeats`, each of them is expected in several rows."""

    name: str
    kind: Kind
    values: tuple[Value, ...] = ()
    repeats: bool = False


@dataclass(frozen=True)
class Link:
    """A foreign key of one column: `column` refers to `to` of `table`."""

    column: str
    table: str
    to: str


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    links: tuple[Link, ...]

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def read(database: Database) -> list[Table]:
    found = [name for (name,) in database.rows(TABLES + str(MOST_TABLES)) or [] if name.isprintable()]
    return [_table(database, name, found) for name in found]


def described(name: str, values: Sequence[Any], *, is_key: bool = False) -> Column:
    """Return a column as its sampled values show it; what SQLite's types promise, it does not enforce."""
    if is_key or words(name).split()[-1:] == ["id"]:
        return Column(name, "key")
    distinct = set(values)
    repeats = 2 <= len(distinct) <= min(FEW, len(values) / 2)
    if distinct and all(isinstance(value, int | float) and math.isfinite(value) for value in distinct):
        kind: Kind = "date" if _are_years(name, distinct) else "number"
        return Column(name, kind, tuple(sorted(distinct)) if repeats else _thresholds(distinct), repeats)
    if distinct and all(isinstance(value, str) for value in distinct):
        if all(re.match(r"\d{4}-\d\d-\d\d", value, re.ASCII) for value in distinct):
            return Column(name, "date", _spread(sorted({value[:10] for value in distinct})))
        short = sorted(value for value in distinct if value.strip() and _is_short(value))
        return Column(name, "text", tuple(short) if len(short) > 1 and repeats else (), len(short) > 1 and repeats)
    return Column(name, "other")


def _table(database: Database, name: str, known: Sequence[str]) -> Table:
    links = tuple(_links(database, name, known))
    keys = {link.column for link in links}
    columns = []
    for column, primary in database.rows("SELECT name, pk FROM pragma_table_info(?)", name) or []:
        if column.isprintable():
            sql = f"SELECT {identifier(column)} FROM {identifier(name)} WHERE {identifier(column)} IS NOT NULL"  # noqa: S608
            found = database.rows(f"{sql} LIMIT {SAMPLED}") or []
            columns.append(described(column, [value for (value,) in found], is_key=primary > 0 or column in keys))
    return Table(name, tuple(columns), links)


def _links(database: Database, name: str, known: Sequence[str]) -> list[Link]:
    """Return the foreign keys that a join can follow: of one column, to another table which is there."""
    by_id: dict[int, list[tuple[str, str, str | None]]] = {}
    sql = 'SELECT id, "from", "table", "to" FROM pragma_foreign_key_list(?)'
    for key, column, table, to in database.rows(sql, name) or []:
        by_id.setdefault(key, []).append((column, table, to))
    links = []
    for [(column, table, to), *more] in by_id.values():
        there = next((other for other in known if other.lower() == table.lower()), None)
        if there is None or there == name or more:
            continue
        primary = database.rows("SELECT name FROM pragma_table_info(?) WHERE pk > 0", there) or []
        if to or len(primary) == 1:
            links.append(Link(column, there, to or primary[0][0]))
    return links


def _are_years(name: str, values: set[Any]) -> bool:
    return "year" in words(name) and all(isinstance(value, int) and 1000 <= value <= 3000 for value in values)


def _is_short(value: str) -> bool:
    return len(value) <= LONGEST_TEXT and value.isprintable()


def _thresholds(values: set[Any]) -> tuple[Value, ...]:
    """Return round numbers inside the values' range: 21437 among prices is 21000."""
    ordered = sorted(values)
    width = ordered[-1] - ordered[0]
    if not 1e-9 < width < math.inf:
        return ()
    step = 10.0 ** (math.floor(math.log10(width)) - 1)
    if all(isinstance(value, int) for value in ordered):
        step = max(1.0, step)
    rounded = {round(round(value / step) * step, 9) for value in ordered[len(ordered) // 10 : -len(ordered) // 10]}
    return _spread([int(value) if value.is_integer() else value for value in sorted(map(float, rounded))])


def _spread(values: Sequence[Value]) -> tuple[Value, ...]:
    return tuple(values[:: max(1, len(values) // 40)])
