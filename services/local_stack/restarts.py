"""When a process that died is started again, and when that has become pointless."""

from dataclasses import dataclass


@dataclass
class Restarts:
    """At once after a long life; after short ones later each time, and no more after `limit` of them in a row."""

    limit: int = 5
    short_s: float = 10.0
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0
    short_lives: int = 0

    def wait_s(self, lived_s: float) -> float | None:
        """Return the seconds to wait before the next start of a process that lived that long; None: give up."""
        self.short_lives = self.short_lives + 1 if lived_s < self.short_s else 0
        if self.short_lives >= self.limit:
            return None
        if self.short_lives == 0:
            return 0.0
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** (self.short_lives - 1))
