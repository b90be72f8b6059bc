"""Which members of a group meet when not all pairs can, and what a member has won."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Result = Literal["won", "tied", "lost"]


def enough(members: int) -> int:
    """Return the fewest pairs in which every member stands."""
    return (members + 1) // 2


def pairs(members: int, most: int) -> list[tuple[int, int]]:
    """Return up to `most` different pairs of members, each of whom stands in about as many.

    They are the first of a round robin (circle method): the numbers of two members' pairs differ by at most 1, and by
    at most 2 where the members are odd and one sits out each round.
    """
    return [pair for pair, _ in zip(_round_robin(members), range(most), strict=False)]


def _round_robin(members: int) -> Iterator[tuple[int, int]]:
    circle = list(range(members + members % 2))  # the member too many is who sits out
    half = len(circle) // 2
    for _ in range(len(circle) - 1):
        for one, other in zip(circle[:half], reversed(circle[half:]), strict=True):
            if max(one, other) < members:
                yield one, other
        circle.insert(1, circle.pop())


@dataclass(frozen=True)
class Standing:
    """What one member won. `share` = (wins + ties/2) / comparisons, in [0, 1]."""

    wins: int
    ties: int
    comparisons: int

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Standing":
        return cls(results.count("won"), results.count("tied"), len(results))

    @property
    def share(self) -> float:
        return (self.wins + self.ties / 2) / self.comparisons
