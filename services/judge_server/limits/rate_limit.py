"""Keep a judge's requests and tokens a minute: each call books its moment and waits for it, in order."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from judge_server.llm import CallFailed

BURST_S = 0.5
"""What was not used may be caught up with for so long; so the first minute has at most 1% more than its share, and an
event loop that was busy for a moment loses nothing."""
LEARNING = 0.2
"""Weight of the newest call in the expected share of the tokens a call can use that it does use."""


class Bucket:
    """A bucket that fills evenly, as one number: when all that was booked will have been earned (GCRA).

    The generic cell rate algorithm: ITU-T I.371, annex A, "virtual scheduling".
    """

    def __init__(self, per_minute: float, burst_s: float = BURST_S) -> None:
        self._seconds_each = 60 / per_minute
        self._burst_s = burst_s
        self._earned = 0.0

    def book(self, amount: float, now: float) -> float:
        """Book so much, and return the seconds from now at which it may be used."""
        start = max(now, self._earned - self._burst_s)
        self._earned = max(start, self._earned) + amount * self._seconds_each
        return start - now

    def refund(self, amount: float) -> None:
        """Give back what was booked and not used; a negative amount was used without having been booked."""
        self._earned -= amount * self._seconds_each


class Rates(Protocol):
    """Buckets of requests and tokens."""

    async def book(self, requests: int, tokens: float) -> float:
        """Return the seconds to wait."""
        ...

    async def refund(self, requests: int, tokens: float) -> None: ...


class LocalRates:
    """The buckets of the only server there is."""

    def __init__(self, rpm: int | None, tpm: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = Bucket(rpm) if rpm is not None else None
        self._tokens = Bucket(tpm) if tpm is not None else None
        self._clock = clock

    async def book(self, requests: int, tokens: float) -> float:
        now = self._clock()
        wait = self._requests.book(requests, now) if self._requests else 0.0
        return max(wait, self._tokens.book(tokens, now) if self._tokens else 0.0)

    async def refund(self, requests: int, tokens: float) -> None:
        if self._requests:
            self._requests.refund(requests)
        if self._tokens:
            self._tokens.refund(tokens)


@dataclass(slots=True)
class Turn:
    """One call's share: the tokens booked for it, and the most it can use."""

    booked: float
    most: int


class RateLimit:
    """The rate limits of one judge. Only the first in line has its moment booked, so refunds help all behind it.

    Reserving all that a call can use would leave most of the limit unused while calls are under way; so what is booked
    is what calls are seen to use of that, all of it at first.
    """

    def __init__(
        self, rates: Rates | None, limits: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._rates, self._limits, self._sleep = rates, limits, sleep
        self._line = asyncio.Lock()
        self._share = 1.0
        self._refunds: set[asyncio.Task[None]] = set()

    async def turn(self, most: int, left_s: float) -> Turn | None:
        """Wait until a call that uses at most so many tokens may be sent; None where there are no limits.

        Raises:
            CallFailed: not within `left_s`.
        """
        if self._rates is None:
            return None
        async with self._line:
            turn = Turn(most * self._share, most)
            wait = await self._rates.book(1, turn.booked)
            try:
                if wait > left_s:
                    why = f"{self._limits} lets the call go in {wait:.1f} s, {max(0.0, left_s):.1f} s are left"
                    raise CallFailed("judge_timeout", why)
                if wait > 0:
                    await self._sleep(wait)
            except BaseException:
                self._refund(1, turn.booked)
                raise
        return turn

    def settle(self, turn: Turn | None, used: int | None) -> None:
        """Say how many tokens a call used; None: nobody knows, so what was booked stays booked."""
        if turn is None or used is None:
            return
        if used > 0:
            self._share += LEARNING * (used / turn.most - self._share)
        self._refund(0, turn.booked - used)

    async def close(self) -> None:
        await asyncio.gather(*self._refunds, return_exceptions=True)

    def _refund(self, requests: int, tokens: float) -> None:
        assert self._rates is not None
        task = asyncio.create_task(self._refunded(self._rates, requests, tokens), name="refund")
        self._refunds.add(task)
        task.add_done_callback(self._refunds.discard)

    async def _refunded(self, rates: Rates, requests: int, tokens: float) -> None:
        with suppress(CallFailed):  # Redis is away, which every next call finds out for itself
            await rates.refund(requests, tokens)
