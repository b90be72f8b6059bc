"""JSONL files: read with the line that is wrong, written whole, or appended to line by line."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from critic_trainer.critic_error import CriticError

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """Return the rows of a JSONL file.

    Raises:
        CriticError: it cannot be read, is empty, or a line is no JSON object.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CriticError(f"{path} cannot be read: {error}") from None
    rows = [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise CriticError(f"{path} has no rows")
    return rows


def write(path: Path, text: str) -> None:
    """Replace a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write(path, "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n" for row in rows))


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


class Journal:
    """Rows by their `key`, appended as they come; the last of a key counts, and a torn last line is cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.exists() else b""
        whole = data.rfind(b"\n") + 1
        with path.open("ab") as stream:
            stream.truncate(whole)
        self.rows: dict[str, Row] = {row["key"]: row for row in map(json.loads, data[:whole].splitlines())}

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows; they are on disk when this returns."""
        new = list(rows)
        with self.path.open("ab") as stream:
            stream.write("".join(f"{json.dumps(row)}\n" for row in new).encode())
            stream.flush()
            os.fsync(stream.fileno())
        self.rows |= {row["key"]: row for row in new}


def _row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CriticError(f"{where} is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise CriticError(f"{where} is no JSON object")
    return row
