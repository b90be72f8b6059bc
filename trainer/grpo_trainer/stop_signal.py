"""Ctrl-C and SIGTERM: end the run where nothing is half done."""

import os
import signal
from types import FrameType
from typing import Self


class Stopped(KeyboardInterrupt):
    """Someone asked the run to end. Not an Exception, so that no `except Exception` between here and there eats it."""


class StopSignal:
    """Raises Stopped in the main thread as soon as a signal comes, or at release() where it came while held.

    With several ranks nothing is raised: the ranks must leave at the same step, so they ask each other (`asked`).
    A second signal raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._held = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self._always_held = self._held

    @property
    def status(self) -> int:
        """The exit status by convention: 128 + the signal's number."""
        return 128 + (self.asked or signal.SIGINT)

    def hold(self) -> None:
        self._held = True

    def release(self) -> None:
        self._held = self._always_held
        if self.asked is not None and not self._held:
            raise Stopped

    def __enter__(self) -> Self:
        self._before = {name: signal.signal(name, self._on_signal) for name in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.asked is not None:
            raise KeyboardInterrupt
        self.asked = number
        if not self._held:
            raise Stopped
