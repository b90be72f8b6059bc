"""A file of preferences: JSONL rows {"prompt": text or chat messages, "chosen": text, "rejected": text}."""

from pathlib import Path
from typing import Any

from long_work.chat_turns import are_turns
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
    if not texts or not _is_prompt(row.get("prompt")):
        said = 'a preference is {"prompt": text or chat messages, "chosen": "text", "rejected": "text"}'
        raise PreferenceError(f"{place}: {said}")
    return row


def _is_prompt(prompt: Any) -> bool:
    """Return whether it is a text or a chat, and not an empty one."""
    return (isinstance(prompt, str) and bool(prompt)) or are_turns(prompt)
