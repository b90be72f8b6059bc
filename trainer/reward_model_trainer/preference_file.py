"""A file of preferences: JSONL rows {"prompt": text or chat messages, "chosen": text, "rejected": text}."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class PreferenceError(Exception):
    """The preferences cannot be used; the message names the file, the line, and what would have worked."""


def read(path: Path) -> list[dict[str, Any]]:
    """Return the file's rows.

    Raises:
        PreferenceError: it cannot be read, or a line is no preference.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PreferenceError(f"{path} cannot be read: {error}") from None
    rows = [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise PreferenceError(f"{path} has no preferences")
    return rows


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.replace(part, path)


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise PreferenceError(f"{where} is not JSON: {error}") from None
    said = 'a preference is {"prompt": text or chat messages, "chosen": "text", "rejected": "text"}'
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("chosen", "rejected")):
        raise PreferenceError(f"{where}: {said}")
    if not isinstance(row.get("prompt"), str | list) or not row["prompt"]:
        raise PreferenceError(f"{where}: {said}")
    return row
