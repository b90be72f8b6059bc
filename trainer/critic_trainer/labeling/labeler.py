"""Who labels: a judge, a local model, or a column of the file; chosen by one word of the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from critic_trainer.critic_error import CriticError
from critic_trainer.labeling.column_labeler import ColumnLabeler
from critic_trainer.labeling.judge_labeler import JudgeLabeler
from critic_trainer.reply import Reply

FORMS = "judge or judge:NAME, local:MODEL or local:ID@COMMIT, column:NAME"


class Labeler(Protocol):
    """`identity` is what its labels depend on; `chunk` how many replies it takes at a time."""

    name: str
    chunk: int

    @property
    def identity(self) -> list[Any]: ...

    def label(self, replies: Sequence[Reply]) -> list[dict[str, Any]]:
        """Return one record a reply: `status`, `labels` (attribute → [0, 1]), and `error` where it failed."""
        ...


def labeler(word: str, judge_url: str, four_bit: bool, file: Path) -> Labeler:
    """Return the labeler that a word names.

    Raises:
        CriticError: there is no such kind, or no such judge.
    """
    kind, _, name = word.partition(":")
    if kind == "judge":
        return JudgeLabeler(judge_url, name or None)
    if kind == "local" and name:
        from critic_trainer.labeling.local_labeler import LocalLabeler

        return LocalLabeler(name, four_bit)
    if kind == "column" and name:
        return ColumnLabeler(name, file)
    raise CriticError(f"--labeler {word!r}: it is {FORMS}")
