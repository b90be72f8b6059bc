"""Admit work that can be done by its deadline; hold the rest for a while, then refuse it."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

SHARE = 0.5
"""Of the time left, how much may be spent waiting in the queue by what is known when work is admitted."""


class Unavailable(RuntimeError):
    """Work cannot be admitted now; the message says why, `retry_after_s` when to ask again."""

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


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
    _answered: int = 0
    _idle: bool = True

    def asked(self, items: int = 1) -> None:
        self.waiting += items

    def settled(self, answered: bool) -> None:
        self.waiting -= 1
        self._answered += answered
        self._idle = self._idle or not self.waiting

    def tick(self, seconds: float) -> None:
        """Look at the last `seconds`."""
        if self._idle:
            self.per_s = None
        elif self._answered:
            now = self._answered / seconds
            self.per_s = now if self.per_s is None else (self.per_s + now) / 2
        self._answered, self._idle = 0, not self.waiting

    def wait_s(self) -> float:
        """Return how long an item asked for now would wait."""
        return self.waiting / self.per_s if self.per_s else self.waiting * self.item_s


@dataclass
class Admission:
    """The door: what does not fit waits in line, in order, for at most `hold_s` and a third of its own deadline.

    Args:
        max_items: items in flight at once.
        max_bytes: and bytes of their content.
        hold_s: how long a request may be held.
        closed: returns why nothing can be admitted at all, or None.
    """

    max_items: int
    max_bytes: int
    hold_s: float
    closed: Callable[[], str | None]
    items: int = 0
    bytes: int = 0
    paces: dict[str, Pace] = field(default_factory=dict)
    _lines: dict[str, deque[asyncio.Event]] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return sum(map(len, self._lines.values()))

    def pace(self, reward: str) -> Pace:
        return self.paces.setdefault(reward, Pace())

    def enter(self, reward: str, size: int) -> None:
        """Count an item in; the caller has been admitted."""
        self.items, self.bytes = self.items + 1, self.bytes + size
        self.pace(reward).asked()

    def leave(self, reward: str, size: int, answered: bool) -> None:
        """Count an item out, answered or given up."""
        self.items, self.bytes = self.items - 1, self.bytes - size
        self.pace(reward).settled(answered)
        self._call_next()

    def tick(self, seconds: float) -> None:
        """Look at the last `seconds`: how fast every reward was, and whether anybody may enter now."""
        for pace in self.paces.values():
            pace.tick(seconds)
        self._call_next()

    async def admit(self, reward: str, items: int, size: int, deadline: float) -> None:
        """Return when the work may enter.

        Raises:
            Unavailable: it may not, and has been held as long as makes sense.
        """
        line = self._lines.setdefault(reward, deque())
        if not line and self._refusal(reward, items, size, deadline) is None:
            return
        turn = asyncio.Event()
        line.append(turn)
        now = time.time()
        until = now + min(self.hold_s, (deadline - now) / 3)
        try:
            while not (turn is line[0] and (refusal := self._refusal(reward, items, size, deadline)) is None):
                await self._turn(turn, until, refusal if turn is line[0] else "others came first", reward)
        finally:
            line.remove(turn)
            self._call_next()

    async def _turn(self, turn: asyncio.Event, until: float, refusal: str | None, reward: str) -> None:
        turn.clear()
        try:
            async with asyncio.timeout(max(0.0, until - time.time())):
                await turn.wait()
        except TimeoutError:
            raise Unavailable(refusal or "", self._retry_after_s(reward)) from None

    def _call_next(self) -> None:
        for line in self._lines.values():
            if line:
                line[0].set()

    def _refusal(self, reward: str, items: int, size: int, deadline: float) -> str | None:
        """Return why the work has to wait.

        Raises:
            Unavailable: waiting would not help.
        """
        if (closed := self.closed()) is not None:
            raise Unavailable(closed)
        if self.items and self.items + items > self.max_items:
            return f"{self.items} items are in flight already, at most {self.max_items} are"
        if self.bytes and self.bytes + size > self.max_bytes:
            return f"{self.bytes} bytes of items are in flight already, at most {self.max_bytes} are"
        wait_s, left_s = self.pace(reward).wait_s(), deadline - time.time()
        if wait_s > SHARE * left_s:
            return f"{reward} would answer in about {wait_s:.0f} s, and only {left_s:.0f} s are left"
        return None

    def _retry_after_s(self, reward: str) -> int:
        return min(60, max(1, math.ceil(self.pace(reward).wait_s() / 4)))
