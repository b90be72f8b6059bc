"""What a SQLite database holds, as far as queries about it can be made up: tables, columns, values, foreign keys."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Value = str | int | float
Result = list[tuple[object, ...]]

SAMPLED = 24
"""Distinct values of a column that predicates choose from."""
LONGEST_VALUE = 40
"""Characters; longer text is prose, which nobody compares with `=`."""
STEPS = 50_000_000
"""Instructions of SQLite's virtual machine after which a query is given up: a large database must not stall us."""


@dataclass(frozen=True)
class Column:
    table: str
    name: str
    kind: Literal["number", "text"]
    values: tuple[Value, ...]
    key: bool
    """Part of a primary or foreign key: it joins rows, and says nothing about them."""

    @property
    def words(self) -> str:
        return words(self.name)


@dataclass(frozen=True)
class Link:
    """A foreign key: `child.column` names the row of `parent` whose `parent_column` is equal."""

    child: str
    column: str
    parent: str
    parent_column: str


@dataclass(frozen=True)
class Schema:
    tables: dict[str, tuple[Column, ...]]
    links: tuple[Link, ...]

    def columns(self, table: str, kind: str | None = None) -> list[Column]:
        """Return the table's columns that describe rows, all of them or those of one kind."""
        return [column for column in self.tables[table] if not column.key and kind in (None, column.kind)]


@contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database to read from it; what is no database is a ValueError."""
    if not database.is_file():
        raise FileNotFoundError(f"there is no database at {database}")
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{database} cannot be read as a SQLite database: {error}") from error


def run(connection: sqlite3.Connection, sql: str) -> Result | None:
    """Return what a query gives, or None when it fails or takes too long."""
    connection.set_progress_handler(lambda: 1, STEPS)
    try:
        return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.set_progress_handler(None, 0)


def introspect(connection: sqlite3.Connection) -> Schema:
    listed = connection.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    names = sorted(name for (name,) in listed if not name.startswith("sqlite_"))
    links = tuple(link for name in names for link in _links(connection, name) if link.parent in names)
    tables = {name: tuple(_columns(connection, name, links)) for name in names}
    return Schema({name: columns for name, columns in tables.items() if columns}, links)


def quoted(name: str) -> str:
    """Return an identifier as SQL takes it: in quotes only where it needs them, since most do not."""
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and _plain(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def words(name: str) -> str:
    """Return an identifier as a reader says it: `unitPrice` and `unit_price` are both "unit price"."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip().lower()


def _plain(name: str) -> bool:
    try:  # SQLite itself knows its reserved words best
        sqlite3.connect(":memory:").execute(f"SELECT 1 AS {name}")
    except sqlite3.OperationalError:
        return False
    return True


def _links(connection: sqlite3.Connection, table: str) -> Iterator[Link]:
    keys = connection.execute("SELECT id, [table], [from], [to] FROM pragma_foreign_key_list(?)", (table,)).fetchall()
    for identity, parent, column, parent_column in keys:
        composite = sum(other == identity for other, *_ in keys) > 1
        if parent_column is not None and not composite:
            yield Link(table, column, parent, parent_column)


def _columns(connection: sqlite3.Connection, table: str, links: tuple[Link, ...]) -> Iterator[Column]:
    joined = {link.column for link in links if link.child == table}
    described = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
    for name, primary in described:
        found = run(
            connection,
            f"SELECT DISTINCT {quoted(name)} FROM {quoted(table)} WHERE {quoted(name)} IS NOT NULL "  # noqa: S608
            f"ORDER BY {quoted(name)} LIMIT 1000",
        )
        values = [value for (value,) in found or []]
        kind = _kind(values)
        if kind is not None:
            spread = values[:: max(1, len(values) // SAMPLED)][:SAMPLED]  # from all over the range, not its low end
            yield Column(table, name, kind, tuple(spread), bool(primary) or name in joined)


def _kind(values: list[object]) -> Literal["number", "text"] | None:
    if values and all(isinstance(value, int | float) for value in values):
        return "number"
    if values and all(isinstance(value, str) and 0 < len(value) <= LONGEST_VALUE for value in values):
        return "text"
    return None
