"""What a small model is trained on: JSONL rows of a prompt and the completion that follows it."""

from pathlib import Path
from typing import Any, NamedTuple

from long_work import json_file
from long_work.chat_turns import are_turns
from long_work.command_error import CommandError

Turns = list[dict[str, str]]


class CorpusError(CommandError):
    """A corpus cannot be used; the message names the file, the line, and what would have worked."""


class Example(NamedTuple):
    """A chat up to the answer, and the answer."""

    prompt: Turns
    completion: str


def read(path: Path) -> list[Example]:
    """Return the rows of a JSONL file: {"prompt": text or chat messages, "completion": text}.

    Raises:
        CommandError: it cannot be read, or a line is no such row.
    """
    examples = [_example(row, where) for where, row in json_file.placed_rows(path)]
    if len(examples) < 2:
        raise CorpusError(f"{path} holds {len(examples)} rows; a corpus has two at least, to train on and to hold out")
    return examples


def read_phrases(path: Path) -> list[str]:
    """Return a JSON list of texts.

    Raises:
        CommandError: it cannot be read, or is no such list.
    """
    phrases = json_file.read(path)
    if not isinstance(phrases, list) or not all(isinstance(one, str) and one.strip() for one in phrases):
        raise CorpusError(f'{path}: phrases are a JSON list of texts, e.g. ["What is your budget?"]')
    return phrases


def _example(row: json_file.Row, where: str) -> Example:
    completion = row.get("completion")
    if any("\ud800" <= letter <= "\udfff" for letter in f"{row.get('prompt')}{completion}"):
        raise CorpusError(f"{where} is no valid Unicode: it has half of a UTF-16 pair")
    if not isinstance(completion, str) or not completion.strip():
        raise CorpusError(f'{where}: a row is {{"prompt": …, "completion": "a text"}}')
    return Example(_turns(row.get("prompt"), where), completion.strip())


def _turns(prompt: Any, where: str) -> Turns:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if are_turns(prompt):
        return prompt
    raise CorpusError(f"{where}: the prompt is a text, or a list of chat messages with role and content")
