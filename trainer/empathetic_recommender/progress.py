"""How far a long command is, and how long it will still take: a line every few seconds on stderr."""

import sys
import time

EVERY_S = 10.0


class Progress:
    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what, self.total, self.done, self._before = what, total, done, done
        self._started = self._said = time.monotonic()
        if done:
            self._say(f"{done}/{total} are there already")

    def advance(self, units: int = 1) -> None:
        self.done += units
        now = time.monotonic()
        if self.done == self.total or now - self._said >= EVERY_S:
            self._said = now
            left = (now - self._started) / max(1, self.done - self._before) * (self.total - self.done)
            self._say(f"{self.done}/{self.total}, about {left:.0f} s left")

    def _say(self, text: str) -> None:
        print(f"{self.what}: {text}", file=sys.stderr, flush=True)
