"""A window on the completion's length with linear falloff on both sides."""

from typing import Self

from pydantic import Field, model_validator

from reward_server.rewards import Item, Reward


class Length(Reward):
    """1.0 between `low` and `high` characters, falling linearly to 0.0 at no characters and at twice `high`."""

    low: int = Field(default=0, ge=0)
    """Characters below which the score falls."""
    high: int = Field(default=2000, ge=1)
    """Characters above which the score falls; 0.0 from twice as many on."""

    @model_validator(mode="after")
    def _a_window(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low = {self.low} lies above high = {self.high}")
        return self

    def score(self, items: list[Item]) -> list[float]:
        return [self.of(len(item.completion)) for item in items]

    def of(self, length: int) -> float:
        if length < self.low:
            return length / self.low
        return min(1.0, max(0.0, 2 - length / self.high))
