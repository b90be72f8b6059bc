"""Rewards as other packages add them, with what goes wrong in such: crashes, odd values, too little memory."""

import os
import signal
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from guerdon.messages import Score
from reward_server.rewards import Item, Reward


class Odd(Reward):
    """The completion's length; but it does what the completion tells it to."""

    runs: ClassVar[Literal["inline", "worker"]] = "worker"
    seconds: float = 0.0
    """How long a call takes."""
    most: int = 1000
    """More items in one call are too much for the memory."""

    def tokens(self, item: Item) -> int:
        if "unsizable" in item.completion:
            raise ValueError("no idea how long this is")
        return len(item.completion)

    def score(self, items: list[Item]) -> Sequence[float | Score]:
        time.sleep(self.seconds)
        if len(items) > self.most:
            raise MemoryError("too many at once")
        texts = [item.completion for item in items]
        if any("kill" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("raise" in text for text in texts):
            raise RuntimeError("as told")
        if any("shorten" in text for text in texts):
            return [1.0] * (len(items) - 1)
        odd: dict[str, Any] = {"nan": float("nan"), "text": "high", "none": None}
        return [odd.get(text.split()[0], float(len(text))) for text in texts]


class Sleepy(Reward):
    """A model that spends its time waiting, a fixed time per item, as one on a GPU seems to from outside."""

    runs: ClassVar[Literal["inline", "worker"]] = "worker"
    seconds: float = 0.01
    """For each item."""

    def score(self, items: list[Item]) -> Sequence[float]:
        time.sleep(self.seconds * len(items))
        return [float(len(item.completion)) for item in items]


class Together(Reward):
    """What share of its group is as long as each member: a reward of whole groups that needs a worker."""

    runs: ClassVar[Literal["inline", "worker"]] = "worker"
    scope: ClassVar[Literal["item", "group"]] = "group"

    def score(self, items: list[Item]) -> Sequence[float]:
        lengths = [len(item.completion) for item in items]
        return [lengths.count(length) / len(lengths) for length in lengths]
