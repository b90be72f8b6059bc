"""What scoring asks of a queue, and a queue that does not give up on work that has been accepted."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from http_face.refused import Unavailable
from reward_server.boundary import Outcome
from reward_server.catalog import Served
from reward_server.content import Fields

PAUSE_S = 0.5


class Answered(Protocol):
    """Outcomes of items in their order (None: none in time), and what they cost."""

    @property
    def outcomes(self) -> Sequence[Outcome | None]: ...
    @property
    def cached(self) -> int: ...
    @property
    def model_tokens(self) -> int: ...


class WorkQueue(Protocol):
    """Whatever has items run as a worker would."""

    async def outcomes(
        self, served: Served, contents: Sequence[Fields], deadline: float, *, run: str, bulk: bool
    ) -> Answered:
        """Return by `deadline` (Unix time).

        Raises:
            Unavailable: the items cannot be taken now; none was.
        """
        ...


@dataclass(frozen=True)
class Refusals:
    """What stands where a queue never took the items."""

    outcomes: Sequence[Outcome]
    cached: int = 0
    model_tokens: int = 0


@dataclass
class OnceAdmitted:
    """Lets its caller know that the first work cannot be taken, and asks persistently after work that was.

    For a request: it can be tried again as a whole until something of it was admitted.
    """

    queue: WorkQueue
    admitted: bool = False

    async def outcomes(
        self, served: Served, contents: Sequence[Fields], deadline: float, *, run: str, bulk: bool
    ) -> Answered:
        queue = PersistentQueue(self.queue) if self.admitted else self.queue
        answered = await queue.outcomes(served, contents, deadline, run=run, bulk=bulk)
        self.admitted = True
        return answered


@dataclass(frozen=True)
class PersistentQueue:
    """Asks again for what cannot be taken now, until the deadline; the items are `overloaded` only then.

    For everything after a request was accepted: its later rounds, an asynchronous job, a group that others wait for.
    """

    queue: WorkQueue

    async def outcomes(
        self, served: Served, contents: Sequence[Fields], deadline: float, *, run: str, bulk: bool
    ) -> Answered:
        while True:
            try:
                return await self.queue.outcomes(served, contents, deadline, run=run, bulk=bulk)
            except Unavailable as error:
                left_s = deadline - time.time()
                if left_s <= 0:
                    return Refusals([{"status": "overloaded", "error": str(error)}] * len(contents))
                await asyncio.sleep(min(PAUSE_S, left_s))
