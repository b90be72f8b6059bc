"""One clock for many machines: Redis' own."""

import time
from collections.abc import Sequence


class SharedClock:
    """Translate between this machine's Unix time and Redis', which every machine sees the same.

    Deadlines travel in Redis' time: a worker whose clock is a minute fast would otherwise find everything expired.
    """

    def __init__(self) -> None:
        self.ahead_s = 0.0
        """How far Redis' clock is ahead of this machine's."""

    def compare(self, asked: float, redis_time: Sequence[int], answered: float) -> None:
        """Learn from one TIME command: when it was sent, (seconds, microseconds), when the answer came."""
        seconds, microseconds = redis_time
        self.ahead_s = seconds + microseconds / 1e6 - (asked + answered) / 2

    def now(self) -> float:
        return self.shared(time.time())

    def shared(self, here: float) -> float:
        return here + self.ahead_s

    def here(self, shared: float) -> float:
        return shared - self.ahead_s
