"""A file of dialogues that a policy replies to: what `guerdon recommender dialogues` writes, and nothing less."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from empathetic_recommender.film_dialogues.seeker import Seeker
from empathetic_recommender.recommender_error import RecommenderError
from long_work.json_file import Row, placed_rows


def read(path: Path, texts: Iterable[str]) -> list[Row]:
    """Return the rows, each with a conversation, a seeker, and the texts that are named.

    Raises:
        CommandError: the file cannot be read; RecommenderError: a row is no dialogue.
    """
    return [_checked(row, place, texts) for place, row in placed_rows(path)]


def _checked(row: Row, place: str, texts: Iterable[str]) -> Row:
    if wrong := [name for name in texts if not isinstance(row.get(name), str)]:
        raise RecommenderError(f"{place}: {wrong[0]} is {row.get(wrong[0])!r}, and not a text")
    if not _is_chat(row.get("conversation")):
        raise RecommenderError(f'{place}: conversation should be [{{"role": "user", "content": "text"}}, …]')
    try:
        Seeker.of(row["seeker"]).fitting()
    except (KeyError, TypeError) as error:
        raise RecommenderError(f"{place}: seeker is none ({type(error).__name__} {error})") from None
    return row


def _is_chat(conversation: Any) -> bool:
    if not isinstance(conversation, list) or not conversation:
        return False
    return all(
        isinstance(turn, dict) and turn.get("role") in ("user", "assistant") and isinstance(turn.get("content"), str)
        for turn in conversation
    )
