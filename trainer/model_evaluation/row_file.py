"""Rows of a file that somebody wrote: JSONL, JSON, CSV or Parquet, told apart by the file's name."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from long_work import json_file
from long_work.command_error import CommandError
from model_evaluation.evaluation_error import EvaluationError

Row = dict[str, Any]
FORMATS = ".jsonl, .json, .csv or .parquet"


def read(path: Path) -> list[Row]:
    """Return the file's rows; a row that is a bare string, or a list of messages, becomes {"prompt": it}.

    Raises:
        EvaluationError: it cannot be read, or a row is no row; the message names the line.
    """
    readers = {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        raise EvaluationError(f"{path}: the name of a file of rows ends in {FORMATS}, not in {path.suffix!r}")
    try:
        return readers[path.suffix](path)
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from None


def columns(rows: Iterable[Row]) -> list[str]:
    """Return every column that some row has, in the order in which they appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def require(rows: Sequence[Row], names: Iterable[str], source: str) -> None:
    """Check that all rows have these columns.

    Raises:
        EvaluationError: one is missing; the message lists those that are there.
    """
    if not rows:
        raise EvaluationError(f"{source} has no rows")
    for name in names:
        missing = next((number for number, row in enumerate(rows, 1) if row.get(name) is None), None)
        if missing is None:
            continue
        if name in rows[missing - 1]:
            raise EvaluationError(f"{source}: row {missing} has no value in column {name!r}")
        where = "" if not any(name in row for row in rows) else f" in row {missing}"
        raise EvaluationError(f"{source} has no column {name!r}{where}; it has: {', '.join(columns(rows))}")


def text(row: Row, column: str, where: str) -> str:
    """Return the text that a row has in a column.

    Raises:
        EvaluationError: it is no text, or one that no server could be sent.
    """
    value = row.get(column)
    if not isinstance(value, str):
        raise EvaluationError(f"{where}: column {column!r} holds {_kind(value)}; it must be text, a JSON string")
    return encodable(value, column, where)


def optional_text(row: Row, column: str, where: str) -> str | None:
    """Return the same where it is there and not empty; raises as `text` does."""
    return text(row, column, where) or None if row.get(column) is not None else None


def encodable(value: str, column: str, where: str) -> str:
    """Return a text that can be sent and written.

    Raises:
        EvaluationError: it holds half of a UTF-16 pair, which JSON can write and UTF-8 cannot.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        escape = f"\\u{ord(value[error.start]):04x}"
        raise EvaluationError(
            f"{where}: column {column!r} is no valid Unicode: a lone surrogate {escape} at character {error.start + 1}"
        ) from None
    return value


def _jsonl(path: Path) -> list[Row]:
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    places = [(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    return [_row(_loaded(line, where), where) for line, where in places]


def _json(path: Path) -> list[Row]:
    value = _loaded(path.read_text(encoding="utf-8-sig"), str(path))
    if not isinstance(value, list):
        raise EvaluationError(f"{path} is no list: a .json file of rows is one JSON list; one object a line is .jsonl")
    return [_row(entry, f"{path}, entry {number}") for number, entry in enumerate(value, 1)]


def _csv(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows: list[Row] = []
        for row in csv.DictReader(stream):
            if None in row:
                raise EvaluationError(f"{path}, row {len(rows) + 1} has more fields than the header has columns")
            rows.append({name: value for name, value in row.items() if value is not None})
        return rows


def _parquet(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        raise EvaluationError(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from None
    return rows


def _loaded(text: str, where: str) -> Any:
    try:
        return json_file.value_of(text, where)
    except CommandError as error:
        raise EvaluationError(str(error)) from None


def _row(entry: Any, where: str) -> Row:
    if isinstance(entry, dict):
        return entry
    if isinstance(entry, str) or (isinstance(entry, list) and entry and all(isinstance(turn, dict) for turn in entry)):
        return {"prompt": entry}
    raise EvaluationError(f"{where} is neither an object, nor a string, nor a list of messages")


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "nothing" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
