"""Recommendation dialogues: the policy writes the next reply. Rows of `guerdon recommender dialogues`, or like them."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from long_work.chat_turns import are_turns

Row = dict[str, Any]


def load(
    *,
    path: str,
    validation_path: str | None = None,
    rows: Annotated[int, Field(ge=1)] | None = None,
    validation_rows: Annotated[int, Field(ge=1)] | None = None,
    use_reference: bool = False,
) -> tuple[list[Row], list[Row]]:
    """Return (train, validation) rows.

    Args:
        path: JSONL of {"conversation": text or chat messages, maybe "reference": text}.
        validation_path: the same, of other dialogues.
        rows: at most so many to train on, the first of the file.
        validation_rows: at most so many to validate on.
        use_reference: send the reference along; the critic then adds the reply's true BLEU as a component.

    Raises:
        ValueError: a file cannot be read, or a line is no such row.
    """
    train = _read(path, use_reference)[:rows]
    return train, _read(validation_path, use_reference)[:validation_rows] if validation_path else []


def _read(path: str, use_reference: bool) -> list[Row]:
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").split("\n")  # not at U+2028, as splitlines would
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}; `guerdon recommender dialogues` writes such files") from None
    rows = [_row(line, f"{path}, line {number}", use_reference) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise ValueError(f"{path} has no rows")
    return rows


def _row(line: str, where: str, use_reference: bool) -> Row:
    try:
        found = json.loads(line)
        conversation = found["conversation"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f'{where} is no {{"conversation": …, "reply": …}}') from None
    prompt = [{"role": "user", "content": conversation}] if isinstance(conversation, str) else conversation
    if not conversation or not are_turns(prompt):
        raise ValueError(f'{where}: conversation is text, or a list of {{"role": …, "content": text}}')
    return {"prompt": prompt, "reference": found.get("reference") if use_reference else None}
