"""Follow a log file for the lines a person at the terminal should see."""

import re
from dataclasses import dataclass
from pathlib import Path

LEVEL = re.compile(r"\b(WARNING|ERROR|CRITICAL|FATAL)\b|^Traceback \(most recent call last\)")
AT_ONCE = 20


@dataclass
class LogWarnings:
    """The warnings and errors written to `log` since the last look."""

    log: Path
    _offset: int = 0
    _partial: bytes = b""

    def new(self) -> list[str]:
        """Return at most AT_ONCE new lines, the last of them a note of how many there were besides."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._offset)
                *complete, self._partial = (self._partial + log.read()).split(b"\n")
                self._offset = log.tell()
        except FileNotFoundError:
            return []
        found = [line for line in (raw.decode(errors="replace").rstrip() for raw in complete) if LEVEL.search(line)]
        if len(found) > AT_ONCE:
            return [*found[: AT_ONCE - 1], f"and {len(found) - AT_ONCE + 1} more warnings and errors in {self.log}"]
        return found
