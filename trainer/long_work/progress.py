"""How far the work is and how long it will still take: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

EVERY_S = 10.0
"""Between two plain lines, at least."""


class Progress:
    """A context manager around the work; it writes to stderr."""

    def __init__(self, name: str, total: int, done: int = 0, console: Console | None = None) -> None:
        """Begin.

        Args:
            total: units of work.
            done: units that an earlier run did.
        """
        self.name, self.total, self.done, self._before = name, total, done, done
        self.console = console or Console(file=sys.stderr, highlight=False)
        self._started = self._said = time.monotonic()
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # else what goes into a file would be shown here instead
        )
        self._task = self._bar.add_task(name, total=total, completed=done)

    def advance(self, units: int = 1, note: str = "") -> None:
        """Count units that are done; a note, such as the loss, is said at once."""
        self.done += units
        shown = f"{self.name}: {note}" if note else None
        self._bar.update(self._task, advance=units, description=shown)
        now = time.monotonic()
        if not self.console.is_terminal and (note or self.done == self.total or now - self._said >= EVERY_S):
            self._said = now
            self._line(f"{self.name}: {self.done}/{self.total}, {f'{note}, ' if note else ''}{self._left(now)}")

    def __enter__(self) -> Self:
        if not self.console.is_terminal and self.done:
            self._line(f"{self.name}: {self.done}/{self.total} are there already")
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._bar.stop()

    def _left(self, now: float) -> str:
        pace = (now - self._started) / max(1, self.done - self._before)
        return f"about {pace * (self.total - self.done):.0f} s left" if self.done < self.total else "done"

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)
