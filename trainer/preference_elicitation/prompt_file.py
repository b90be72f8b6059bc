"""prompts.jsonl: a line per collected prompt, in the order in which they came."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from long_work.journal import Journal
from preference_elicitation.dialogue import Dialogue
from reward_server.rewards.models.dialogue import Turn

Row = dict[str, Any]


class PromptFile:
    """Rows by scenario and depth; what was appended stays, whenever the command is stopped."""

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            CommandError: the file cannot be read or made.
        """
        self.path, self._journal = path, Journal(path, "scenario", "depth")

    def __contains__(self, key: tuple[str, int]) -> bool:
        return key in self._journal

    def __len__(self) -> int:
        return len(self._journal)

    def rows(self) -> list[Row]:
        return self._journal.records()

    def dialogue(self, scenario: str, depth: int) -> Dialogue | None:
        """Return a conversation as it stood after `depth` questions; None where it was given up before."""
        row = self._journal.get((scenario, depth))
        if row is None:
            return None
        return Dialogue(row["persona"], scenario, [Turn(**turn) for turn in row["transcript"]])

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows; they are on disk when this returns."""
        self._journal.append(rows)
