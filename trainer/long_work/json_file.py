"""JSON and JSONL files: what is wrong is named by its line, and what is written is there whole or not at all."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from long_work import written_whole
from long_work.command_error import CommandError

Row = dict[str, Any]


def read(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        CommandError: it cannot be read.
    """
    return value_of(_text(path), str(path))


def read_rows(path: Path, columns: Iterable[str] = ()) -> list[Row]:
    """Return the rows of a JSONL file.

    Raises:
        CommandError: it cannot be read or has no rows, a line is no JSON object, or a row lacks one of the columns.
    """
    placed = placed_rows(path)
    for place, row in placed:
        if missing := [name for name in columns if name not in row]:
            raise CommandError(f"{place} lacks {missing[0]!r}; it has: {', '.join(row)}")
    return [row for _, row in placed]


def placed_rows(path: Path) -> list[tuple[str, Row]]:
    """Return the rows, each with its place, such as "a.jsonl, line 3"; raises as `read_rows` does."""
    lines = _text(path).split("\n")  # splitlines would also split at U+2028, which may stand in a JSON string
    rows = [(f"{path}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise CommandError(f"{path} has no rows")
    return [(place, parsed_row(line, place)) for place, line in rows]


def parsed_row(line: str, place: str) -> Row:
    """Return the row of one line; raises as `read_rows` does."""
    value = value_of(line, place)
    if not isinstance(value, dict):
        raise CommandError(f"{place} is no JSON object")
    return value


def value_of(text: str, place: str) -> Any:
    """Return what a JSON text says.

    Raises:
        CommandError: it is no JSON; the message begins with `place`.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{place} is not JSON: {error}") from None
    except RecursionError:
        raise CommandError(f"{place} is nested too deeply") from None


def write(path: Path, value: Any) -> None:
    """Write a JSON file; raises as `written_whole.text` does, and ValueError where a number is not finite."""
    written_whole.text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSONL file; raises as `write` does."""
    written_whole.text(path, "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n" for row in rows))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
