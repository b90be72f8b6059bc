"""How far a stage is and how long it will still take: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY_S = 15.0
"""Between two plain lines, at least."""


class Stage:
    """A context manager around the work of one stage."""

    def __init__(self, name: str, total: int, done: int = 0, console: Console | None = None) -> None:
        """Begin.

        Args:
            total: units of work.
            done: units that an earlier run did.
        """
        self.name, self.total, self.done, self._before = name, total, done, done
        self.console = console or Console(file=sys.stderr, highlight=False)
        self._started = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=total, completed=done)

    def advance(self, units: int = 1) -> None:
        self.done += units
        self._bar.advance(self._task, units)
        now = time.monotonic()
        if not self.console.is_terminal and (self.done == self.total or now - self._said >= EVERY_S):
            self._said = now
            self._line(f"{self.name}: {self.done}/{self.total}, {self._left(now)}")

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
