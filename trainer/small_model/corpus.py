"""What a small model is trained on: JSONL rows of a prompt and the completion that follows it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

Turns = list[dict[str, str]]


class CorpusError(Exception):
    """A corpus cannot be used; the message names the file, the line, and what would have worked."""


class Example(NamedTuple):
    """A chat up to the answer, and the answer."""

    prompt: Turns
    completion: str


def read(path: Path) -> list[Example]:
    """Return the rows of a JSONL file: {"prompt": text or chat messages, "completion": text}.

    Raises:
        CorpusError: it cannot be read, or a line is no such row.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read: {error}") from None
    examples = [_example(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if len(examples) < 2:
        raise CorpusError(f"{path} holds {len(examples)} rows; a corpus has two at least, to train on and to hold out")
    return examples


def read_phrases(path: Path) -> list[str]:
    """Return a JSON list of texts.

    Raises:
        CorpusError: it cannot be read, or is no such list.
    """
    try:
        phrases = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path} cannot be read: {error}") from None
    if not isinstance(phrases, list) or not all(isinstance(one, str) and one.strip() for one in phrases):
        raise CorpusError(f'{path}: phrases are a JSON list of texts, e.g. ["What is your budget?"]')
    return phrases


def _example(line: str, where: str) -> Example:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where} is not JSON: {error}") from None
    if not isinstance(row, dict) or not isinstance(row.get("completion"), str) or not row["completion"].strip():
        raise CorpusError(f'{where}: a row is {{"prompt": …, "completion": "a text"}}')
    return Example(_turns(row.get("prompt"), where), row["completion"].strip())


def _turns(prompt: Any, where: str) -> Turns:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if isinstance(prompt, list) and prompt and all(_is_turn(turn) for turn in prompt):
        return prompt
    raise CorpusError(f"{where}: the prompt is a text, or a list of chat messages with role and content")


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and all(isinstance(turn.get(key), str) for key in ("role", "content"))
