"""prompts.jsonl: a line per collected prompt, appended whole; a line torn by an interruption is as if never written."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from preference_elicitation.dialogue import Dialogue
from reward_server.rewards.models.dialogue import Turn

Row = dict[str, Any]


class PromptFile:
    """Rows by scenario and depth."""

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            OSError: the file cannot be read or made.
            ValueError: it holds something else than prompts.
        """
        self.path = path
        self._rows: dict[tuple[str, int], Row] = {}
        text = path.read_bytes() if path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        with path.open("ab") as stream:
            stream.truncate(len(whole))
        self._take(json.loads(line) for line in whole.splitlines())

    def __contains__(self, key: tuple[str, int]) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def dialogue(self, scenario: str, depth: int) -> Dialogue | None:
        """Return a conversation as it stood after `depth` questions; None where it was given up before."""
        row = self._rows.get((scenario, depth))
        if row is None:
            return None
        return Dialogue(row["persona"], scenario, [Turn(**turn) for turn in row["transcript"]])

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows; they are on disk when this returns."""
        added = list(rows)
        with self.path.open("ab") as stream:
            stream.write(b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in added))
            stream.flush()
            os.fsync(stream.fileno())
        self._take(added)

    def _take(self, rows: Iterable[Row]) -> None:
        self._rows |= {(row["scenario"], row["depth"]): row for row in rows}
