"""What every statistic is made of: numbers that are finite, or null with the reason why."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class Statistic(BaseModel):
    """Dumps to plain JSON, the same bytes for the same numbers; NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(Statistic):
    """Bounds that contain the true value in `level` of all experiments."""

    low: float
    high: float
    level: float = 0.95
    method: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def turned(self) -> Self:
        """The interval of the value with the other sign."""
        return self.model_copy(update={"low": 0.0 - self.high, "high": 0.0 - self.low})


class Estimate(Statistic):
    """A number from `n` units (prompts, unless said otherwise), or null with a reason."""

    value: float | None = None
    n: int
    interval: Interval | None = None
    reason: str | None = None

    @classmethod
    def missing(cls, n: int, reason: str) -> Self:
        return cls(n=n, reason=reason)

    @property
    def turned(self) -> Self:
        """The same difference seen from its other side."""
        value = None if self.value is None else 0.0 - self.value  # 0 stays 0, not -0
        return self.model_copy(update={"value": value, "interval": self.interval and self.interval.turned})


class PValue(Statistic):
    """A two-sided p-value over `n` units, or null with a reason."""

    p: float | None = None
    n: int
    method: str
    reason: str | None = None
