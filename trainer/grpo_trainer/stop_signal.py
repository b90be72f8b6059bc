"""Ctrl-C and SIGTERM: end the run where nothing is half done."""

import os
import signal
from collections.abc import Iterable
from types import FrameType
from typing import Self


class Stopped(KeyboardInterrupt):
    """Someone asked the run to end. Not an Exception, so that no `except Exception` between here and there eats it."""


class StopSignal:
    """Raises Stopped in the main thread as soon as a signal comes, or at release() where it came while held.

    With several ranks nothing is raised: the ranks must leave at the same step, so they tell each other what they
    were `sent`, and `agree`. A second signal raises KeyboardInterrupt at once.

    Attributes:
        sent: the number of the signal that this process was sent, if any.
        asked: that of the signal by which the run ends, the same on all ranks.
    """

    def __init__(self) -> None:
        self.sent: int | None = None
        self.asked: int | None = None
        self._held = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self._always_held = self._held

    @property
    def status(self) -> int:
        """The exit status by convention: 128 + the signal's number."""
        return 128 + (self.asked or self.sent or signal.SIGINT)

    def hold(self) -> None:
        self._held = True

    def agree(self, sent: Iterable[int | None]) -> None:
        """Take up what all ranks were sent, told in the order of the ranks: whoever was sent it, all end by it."""
        self.asked = next((number for number in sent if number is not None), None)

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
        if self.sent is not None:
            raise KeyboardInterrupt
        self.sent = number
        if not self._always_held:
            self.asked = number
        if not self._held:
            raise Stopped
