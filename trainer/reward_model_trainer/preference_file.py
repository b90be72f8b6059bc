"""A file of preferences: JSONL rows {"prompt": text or chat messages, "chosen": text, "rejected": text}."""

from pathlib import Path

from long_work.command_error import CommandError
from long_work.json_file import Row, placed_rows


class PreferenceError(CommandError):
    """A row is no preference, or the base cannot be trained on preferences."""


def read(path: Path) -> list[Row]:
    """Return the file's rows.

    Raises:
        CommandError: it cannot be read, or a line is no preference.
    """
    return [_preference(row, place) for place, row in placed_rows(path)]


def _preference(row: Row, place: str) -> Row:
    texts = all(isinstance(row.get(key), str) for key in ("chosen", "rejected"))
    if not texts or not isinstance(row.get("prompt"), str | list) or not row["prompt"]:
        said = 'a preference is {"prompt": text or chat messages, "chosen": "text", "rejected": "text"}'
        raise PreferenceError(f"{place}: {said}")
    return row
