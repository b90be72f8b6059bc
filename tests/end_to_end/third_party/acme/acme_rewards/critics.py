"""A reward that fails in every way there is, and quotes what it was given."""

import os
from typing import ClassVar

from reward_server.rewards import Item, Reward


class Critic(Reward):
    """The completion names the way to fail; anything else scores 0.5."""

    reads: ClassVar[tuple[str, ...]] = ("prompt", "completion", "reference", "context")

    def score(self, items: list[Item]) -> list[float]:
        return [self.one(item) for item in items]

    def one(self, item: Item) -> float:
        if "raise" in item.completion:
            raise ValueError(f"cannot judge {item.completion!r}, given {item.prompt}, {item.reference}, {item.context}")
        if "nan" in item.completion:
            return float("nan")
        if "text" in item.completion:
            return item.completion  # type: ignore[return-value]
        if "exit" in item.completion:
            raise SystemExit(item.completion)
        if "die" in item.completion:
            os._exit(1)
        return 0.5
