"""How many calls are under way at a time: halved when the server says too many, grown slowly while it does not."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from judge_server.llm import CallFailed


class Concurrency:
    """Slots for calls, first come first served; additive increase, multiplicative decrease.

    Args:
        most: where it starts, and what it never exceeds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._cuts = 0
        self._under_way = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._pause: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._limit)

    @property
    def under_way(self) -> int:
        return self._under_way

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for the block; a CallFailed that leaves it tells what the server thinks of its load."""
        await self._wait()
        cut = self._cuts
        try:
            yield
            self._went_well()
        except CallFailed as failure:
            if failure.throttled:
                self._throttled(cut)
            raise
        finally:
            self._under_way -= 1
            self._admit()

    def pause(self, seconds: float) -> None:
        """Start no call for so long: the server said when to come back."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._pause is None or self._pause.when() < until:
            if self._pause is not None:
                self._pause.cancel()
            self._pause = loop.call_at(until, self._resume)

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given the slot in the same moment
                self._under_way -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._line and self._pause is None and self._under_way < self.limit:
            turn = self._line.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)

    def _went_well(self) -> None:
        self._limit = min(float(self._most), self._limit + 1 / self._limit)  # by one for each round of calls

    def _throttled(self, cut: int) -> None:
        if cut == self._cuts:  # of all that were under way together, one halving
            self._cuts += 1
            self._limit = max(1.0, self._limit / 2)

    def _resume(self) -> None:
        self._pause = None
        self._admit()
