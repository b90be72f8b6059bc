"""A file of rows, JSONL or CSV: read with every problem named by its place, and written."""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from grpo_trainer.sql_cot.rows import Row

TEXTS = ("sql", "cot", "nl")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class BadRow(ValueError):
    """A file of rows that cannot be used; the message says where and why."""


def read(path: Path) -> list[Row]:
    """Return the file's rows; columns that rows do not have are left out.

    Raises:
        BadRow: a column or value is missing or wrong, or there are no rows.
        OSError: the file cannot be read.
    """
    records = _csv(path) if path.suffix.lower() == ".csv" else _jsonl(path)
    try:
        rows = [_row(record, f"{path}, row {number} (line {line})") for number, (line, record) in enumerate(records, 1)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRow(f"{path} cannot be read: {error}") from None
    if not rows:
        raise BadRow(f"{path} has no rows")
    _identify(rows)
    return rows


def digest(rows: Sequence[Row]) -> str:
    """Return 16 hexadecimal digits, the same for rows that are the same."""
    return sha256(json.dumps(list(rows), sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def _jsonl(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise BadRow(f"{path}, line {number}: not JSON: {error}") from None
            if not isinstance(record, dict):
                raise BadRow(f"{path}, line {number}: a {type(record).__name__}, not an object")
            yield number, record


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        header = next(reader, [])
        _require(header, str(path))
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                said = f"{len(cells)} cells, but the header has {len(header)}"
                raise BadRow(f"{path}, line {reader.line_num}: {said}")
            yield reader.line_num, dict(zip(header, cells, strict=True))


def _require(columns: Sequence[str], place: str) -> None:
    if missing := [name for name in TEXTS if name not in columns]:
        raise BadRow(f"{place}: no column {missing[0]!r}; columns found: {', '.join(columns) or 'none'}")


def _row(record: Mapping[str, Any], place: str) -> Row:
    _require(list(record), place)
    for name in TEXTS:
        if not _is_text(record[name]):
            raise BadRow(f"{place}: {name} is no text: {record[name]!r}")
    return {
        **{name: record[name] for name in TEXTS},
        "target": _target(record.get("target"), place),
        "execution_match": _boolean(record.get("execution_match"), place),
        "corruption": _label(record.get("corruption")),
        "query_id": _label(record.get("query_id")),
    }


def _is_text(value: Any) -> bool:
    # JSON can escape half a surrogate pair, which neither a tokenizer nor the wire takes.
    return isinstance(value, str) and bool(value.strip()) and not re.search("[\ud800-\udfff]", value)


def _label(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _target(value: Any, place: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        target = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        target = math.nan
    if not 0 <= target <= 1:
        raise BadRow(f"{place}: target is a number in [0, 1], not {value!r}")
    return target


def _boolean(value: Any, place: str) -> bool | None:
    if value is None or value == "":
        return None
    if str(value).lower() not in BOOLEANS:
        raise BadRow(f"{place}: execution_match is true or false, not {value!r}")
    return BOOLEANS[str(value).lower()]


def _identify(rows: Sequence[Row]) -> None:
    """Give the rows without a query_id that of all rows which they share a question or SQL with, even at a distance."""
    above: dict[str, str] = {}

    def top(text: str) -> str:
        while above.setdefault(text, text) != text:
            text = above[text] = above[above[text]]
        return text

    own = [row for row in rows if row["query_id"] is None]
    for row in own:
        above[top(f"nl {_plain(row['nl'])}")] = top(f"sql {_plain(row['sql'])}")
    for row in own:
        row["query_id"] = sha256(top(f"sql {_plain(row['sql'])}").encode("utf-8", "replace")).hexdigest()[:12]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
