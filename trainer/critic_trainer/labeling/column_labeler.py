"""Labels that the file already has: row["labels"][NAME], by attribute."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from critic_trainer.reply import Reply, is_label


class ColumnLabeler:
    chunk = 1000

    def __init__(self, column: str, file: Path) -> None:
        self.name, self._column = f"column-{column}", column
        self._digest = sha256(file.read_bytes()).hexdigest()[:16] if file.exists() else ""

    @property
    def identity(self) -> list[Any]:
        return [self.name, self._digest]

    def label(self, replies: Sequence[Reply]) -> list[dict[str, Any]]:
        return [self._one(reply) for reply in replies]

    def _one(self, reply: Reply) -> dict[str, Any]:
        found = reply.labels.get(self._column)
        if not isinstance(found, dict):
            known = ", ".join(reply.labels) or "none"
            return _failed(f"no labels by {self._column!r}; there are {known}")
        wrong = [name for name, value in found.items() if value is not None and not is_label(value)]
        if wrong:
            return _failed(f"{wrong[0]} is {found[wrong[0]]!r}, not a number from 0 to 1")
        return {"status": "ok", "labels": found}


def _failed(why: str) -> dict[str, Any]:
    return {"status": "invalid_input", "labels": {}, "error": why}
