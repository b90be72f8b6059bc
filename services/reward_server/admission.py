"""Admit work that can be done by its deadline; hold the rest for a while, then refuse it."""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from http_face.refused import Unavailable

Lane = tuple[bool, str]
"""Whether it is bulk, and the run: runs share the workers fairly."""

SHARE = 0.4
"""Of the time left, how much may be spent waiting in the queue by what is known when work is admitted."""


@dataclass
class Pace:
    """How fast workers answer the items of one reward, known only while they are never idle.

    Attributes:
        waiting: items that workers owe an answer for.
        per_s: items a second; None while it is unknown, because the workers could do more than they were given.
        item_s: what an item took lately; a guess for the time until `per_s` is known, on the high side where the
            model does many items at once as fast as one.
    """

    waiting: int = 0
    per_s: float | None = None
    item_s: float = 0.0
    lanes: Counter[Lane] = field(default_factory=Counter)
    _answered: int = 0
    _seconds: float = 0.0
    _idle: bool = True

    def asked(self, lane: Lane, items: int = 1) -> None:
        self.waiting += items
        self.lanes[lane] += items

    def settled(self, lane: Lane, answered: bool) -> None:
        self.waiting -= 1
        self.lanes[lane] -= 1
        if not self.lanes[lane]:
            del self.lanes[lane]
        self._answered += answered
        self._idle = self._idle or not self.waiting

    def tick(self, seconds: float) -> None:
        """Look at the last `seconds`; those without an answer count towards the next answer."""
        self._seconds += seconds
        if self._idle:
            self.per_s, self._seconds = None, 0.0
        elif self._answered:
            now = self._answered / self._seconds
            self.per_s, self._seconds = now if self.per_s is None else (self.per_s + now) / 2, 0.0
        self._answered, self._idle = 0, not self.waiting

    def wait_s(self, lane: Lane, items: int = 1) -> float:
        """Return how long the items of a run would wait if so many were asked for now.

        Runs share the workers: what another run has waiting counts only as far as this run has as much itself. A bulk
        run waits for everything interactive; an interactive one for no bulk run.
        """
        mine, ahead = self.lanes.get(lane, 0), 0
        for (bulk, run), waiting in self.lanes.items():
            if (bulk, run) != lane and bulk <= lane[0]:
                ahead += waiting if bulk < lane[0] else min(waiting, mine + items)
        return (mine + ahead) / self.per_s if self.per_s else (mine + ahead) * self.item_s


@dataclass
class Admission:
    """The door: what does not fit waits in line, in order, for at most `hold_s` and a third of its own deadline.

    Args:
        max_items: items in flight at once.
        max_bytes: and bytes of their content.
        hold_s: how long a request may be held.
        closed: returns why nothing can be admitted for a reward at all, or None.
    """

    max_items: int
    max_bytes: int
    hold_s: float
    closed: Callable[[str], str | None]
    items: int = 0
    bytes: int = 0
    paces: dict[str, Pace] = field(default_factory=dict)
    _lines: dict[tuple[str, Lane], deque[asyncio.Event]] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return sum(map(len, self._lines.values()))

    def pace(self, reward: str) -> Pace:
        return self.paces.setdefault(reward, Pace())

    def enter(self, reward: str, lane: Lane, size: int) -> None:
        """Count an item in; the caller has been admitted."""
        self.items, self.bytes = self.items + 1, self.bytes + size
        self.pace(reward).asked(lane)

    def leave(self, reward: str, lane: Lane, size: int, answered: bool) -> None:
        """Count an item out, answered or given up."""
        self.items, self.bytes = self.items - 1, self.bytes - size
        self.pace(reward).settled(lane, answered)
        self._call_next()

    def tick(self, seconds: float) -> None:
        """Look at the last `seconds`: how fast every reward was, and whether anybody may enter now."""
        for pace in self.paces.values():
            pace.tick(seconds)
        self._call_next()

    async def admit(self, reward: str, lane: Lane, items: int, size: int, deadline: float) -> bool:
        """Return when the work may enter: whether it was held.

        Raises:
            Unavailable: it may not, and has been held as long as makes sense.
        """
        if (reward, lane) not in self._lines and self._refusal(reward, lane, items, size, deadline) is None:
            return False
        line = self._lines.setdefault((reward, lane), deque())
        turn = asyncio.Event()
        line.append(turn)
        now = time.time()
        until = now + min(self.hold_s, (deadline - now) / 3)
        try:
            while not (turn is line[0] and (refusal := self._refusal(reward, lane, items, size, deadline)) is None):
                await self._turn(turn, until, refusal if turn is line[0] else "others came first", reward, lane)
        finally:
            line.remove(turn)
            if not line:
                del self._lines[reward, lane]
            self._call_next()
        return True

    async def _turn(self, turn: asyncio.Event, until: float, refusal: str | None, reward: str, lane: Lane) -> None:
        turn.clear()
        try:
            async with asyncio.timeout(max(0.0, until - time.time())):
                await turn.wait()
        except TimeoutError:
            raise Unavailable(refusal or "", self._retry_after_s(reward, lane)) from None

    def _call_next(self) -> None:
        for line in self._lines.values():
            line[0].set()

    def _refusal(self, reward: str, lane: Lane, items: int, size: int, deadline: float) -> str | None:
        """Return why the work has to wait.

        Raises:
            Unavailable: waiting would not help.
        """
        if (closed := self.closed(reward)) is not None:
            raise Unavailable(closed)
        if self.items and self.items + items > self.max_items:
            return f"{self.items} items are in flight already, at most {self.max_items} are"
        if self.bytes and self.bytes + size > self.max_bytes:
            return f"{self.bytes} bytes of items are in flight already, at most {self.max_bytes} are"
        wait_s, left_s = self.pace(reward).wait_s(lane, items), deadline - time.time()
        if wait_s > SHARE * left_s:
            return f"{reward} would answer in about {wait_s:.0f} s, and only {left_s:.0f} s are left"
        return None

    def _retry_after_s(self, reward: str, lane: Lane) -> int:
        return min(60, max(1, math.ceil(self.pace(reward).wait_s(lane) / 4)))
