"""A SQLite database that is only read, and in which no statement can run long."""

import sqlite3
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Result = list[tuple[Any, ...]]

# Limits are counted in SQLite's own instructions, not in seconds, so that a slow machine builds the same rows.
TICK = 10_000
STATEMENT = 20_000_000
ALL_STATEMENTS = 2_000_000_000
MOST_ROWS = 1000
LONGEST_VALUE = 100_000  # bytes


class Database:
    """A connection to the file at `path`.

    Raises:
        ValueError: there is no SQLite database.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ValueError(f"there is no database at {path}")
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        self._left = 0
        self._left_in_all = ALL_STATEMENTS
        self._connection.text_factory = lambda text: text.decode(errors="replace")
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        self._connection.set_progress_handler(self._tick, TICK)
        try:
            self._connection.execute("PRAGMA trusted_schema = OFF")  # the file's own expressions call nothing unsafe
            self._connection.execute("SELECT COUNT(*) FROM sqlite_master")
        except sqlite3.Error as error:
            self._connection.close()
            raise ValueError(f"{path} cannot be read as a SQLite database: {error}") from None

    def rows(self, sql: str, *parameters: str) -> Result | None:
        """Return the statement's rows; None when it fails, runs into its limit or has too many to compare."""
        self._left = min(STATEMENT, self._left_in_all)
        try:
            found = self._connection.execute(sql, parameters).fetchmany(MOST_ROWS + 1)
        except sqlite3.Error:
            return None
        if len(found) > MOST_ROWS:
            return None
        return [tuple(round(cell, 9) if isinstance(cell, float) else cell for cell in row) for row in found]

    def _tick(self) -> int:
        self._left -= TICK
        self._left_in_all -= TICK
        return self._left <= 0  # true interrupts the statement

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()


def same(first: Result, second: Result, *, ordered: bool) -> bool:
    return first == second if ordered else Counter(first) == Counter(second)
