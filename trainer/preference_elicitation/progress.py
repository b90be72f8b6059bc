"""How far a long command is and how long it will still take: plain lines on stderr, a few a minute."""

import sys
import time

EVERY_S = 10.0


class Progress:
    """Counts units of work; `done` of them were there before."""

    def __init__(self, name: str, total: int, done: int = 0) -> None:
        self._name, self._total, self._done, self._before = name, total, done, done
        self._started = self._said = time.monotonic()
        if done:
            self._line(f"{done}/{total} are there already")

    def advance(self, units: int = 1) -> None:
        self._done += units
        now = time.monotonic()
        if now - self._said < EVERY_S and self._done < self._total:
            return
        self._said = now
        pace = (now - self._started) / max(1, self._done - self._before)
        left = self._total - self._done
        self._line(f"{self._done}/{self._total}, {f'about {pace * left:.0f} s left' if left else 'done'}")

    def _line(self, text: str) -> None:
        print(f"{self._name}: {text}", file=sys.stderr, flush=True)
