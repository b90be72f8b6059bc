"""A window on the completion's length with linear falloff on both sides."""

from reward_server.rewards import Item, Reward


class Length(Reward):
    """1.0 between `low` and `high` characters, falling linearly to 0.0 at no characters and at twice `high`."""

    low: int = 0
    """Characters below which the score falls."""
    high: int = 2000
    """Characters above which the score falls; 0.0 from twice as many on."""

    def score(self, items: list[Item]) -> list[float]:
        return [self.of(len(item.completion)) for item in items]

    def of(self, length: int) -> float:
        if length < self.low:
            return length / self.low
        return min(1.0, max(0.0, 2 - length / self.high))
