"""The prompts that every model answers: from a file or a dataset, the same ones for the same seed."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from long_work.chat_turns import are_turns
from model_evaluation import row_file
from model_evaluation.content_key import content_key
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.row_file import Row

DATASET = "dataset:"
COLUMNS = ("prompt", "messages", "instruction", "question", "turns")
"""Where prompts are looked for when no column is named: UltraChat's two, AlpacaEval's, a common one, MT-Bench's."""
SPLITS = ("test", "test_sft", "validation", "train", "train_sft")
"""Which split of a dataset is taken when none is named, the first that it has."""
Turn = dict[str, str]


@dataclass(frozen=True)
class Prompt:
    """One conversation, up to and including what a person said last.

    Attributes:
        turns: its messages; a prompt that is text is one message of the user.
        text: a prompt that is text, as it was given; None for messages.
        reference: what a good answer is, for the judge.
    """

    turns: tuple[tuple[str, str], ...]
    text: str | None = None
    reference: str | None = None

    @cached_property
    def id(self) -> str:
        return content_key([self.turns, self.reference])

    @property
    def wire(self) -> str | list[Turn]:
        """What the judge and an endpoint are sent."""
        return self.text if self.text is not None else self.messages

    @property
    def messages(self) -> list[Turn]:
        return [{"role": role, "content": content} for role, content in self.turns]

    @property
    def shown(self) -> str:
        """As text for a person, and for a model that continues text."""
        return self.text if self.text is not None else "\n".join(f"{role}: {text}" for role, text in self.turns)


def read(source: str, column: str | None = None, reference: str | None = None) -> list[Prompt]:
    """Return every different prompt of a file, or of `dataset:NAME[:SPLIT]`, in its order.

    Raises:
        EvaluationError: it cannot be read, or has no such column; the message lists the columns.
    """
    found = rows(source)
    column = column or next((name for name in COLUMNS if any(name in row for row in found)), COLUMNS[0])
    row_file.require(found, [column, *([reference] if reference else [])], source)
    made = [_prompt(row, column, reference, f"{source}, row {number}") for number, row in enumerate(found, 1)]
    return list({prompt.id: prompt for prompt in made}.values())


def rows(source: str) -> list[Row]:
    """Return the rows of a file, or of `dataset:NAME[:SPLIT]`; raises as `read` does."""
    return dataset(source.removeprefix(DATASET)) if source.startswith(DATASET) else _file(source)


def sampled(prompts: Sequence[Prompt], number: int, seed: int, source: str) -> list[Prompt]:
    """Return `number` of the prompts, drawn without replacement.

    Raises:
        EvaluationError: there are fewer.
    """
    if len(prompts) < number:
        raise EvaluationError(
            f"{source} has {len(prompts)} different prompts and --num asks for {number}; "
            f"--num {len(prompts)} takes them all"
        )
    return random.Random(seed).sample(list(prompts), number)


def dataset(name: str) -> list[Row]:
    """Return the rows of a Hugging Face dataset, or of a local directory in one of its forms: NAME[:SPLIT].

    Raises:
        EvaluationError: there is none, or none with this split.
    """
    try:
        import datasets
    except ModuleNotFoundError:
        raise EvaluationError(
            "a dataset needs the package 'datasets': pip install 'guerdon[trainer]'; a file needs nothing"
        ) from None
    datasets.disable_progress_bars()
    name, _, split = name.partition(":")
    try:
        loaded = datasets.load_dataset(name)
    except (OSError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise EvaluationError(f"dataset {name!r} cannot be loaded: {reason}") from None
    split = split or next((known for known in SPLITS if known in loaded), "")
    if split not in loaded:
        known = ", ".join(loaded)
        raise EvaluationError(f"dataset {name!r} has no split {split!r}; it has: {known} (dataset:{name}:SPLIT)")
    return [dict(row) for row in loaded[split]]


def parsed(value: Any, where: str, reference: str | None = None) -> Prompt:
    """Return what a file has as a prompt: a string, or messages, of which an answer at the end is cut off.

    Of a list of strings, what a person says turn after turn, the first is the prompt: the others speak of its answer.

    Raises:
        EvaluationError: it is none of these, or nobody asks anything.
    """
    if isinstance(value, list) and value and all(isinstance(turn, str) for turn in value):
        value = value[0]
    if isinstance(value, str):
        if not value.strip():
            raise EvaluationError(f"{where}: the prompt is empty")
        messages = _messages(value)
        if messages is None:
            return Prompt((("user", row_file.encodable(value, "prompt", where)),), value, reference)
        value = messages
    if not are_turns(value):
        raise EvaluationError(f"{where}: a prompt is a string or a list of messages, each with role and content")
    turns = [(turn["role"], row_file.encodable(turn["content"], "content", where)) for turn in value]
    while turns and turns[-1][0] != "user":
        turns.pop()
    if not turns:
        raise EvaluationError(f"{where}: no message of the prompt has the role user")
    return Prompt(tuple(turns), None, reference)


def _file(source: str) -> list[Row]:
    path = Path(source).expanduser()
    if not path.is_file():
        raise EvaluationError(f"there is no file {source}; a Hugging Face dataset is written {DATASET}NAME[:SPLIT]")
    return row_file.read(path)


def _prompt(row: Row, column: str, reference: str | None, where: str) -> Prompt:
    return parsed(row[column], where, row_file.text(row, reference, where) if reference else None)


def _messages(text: str) -> list[Turn] | None:
    """Return the messages that a text is the JSON of, as CSV has to hold them; None for any other text."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if are_turns(value) else None
