"""Run the Lua scripts of many coroutines in few round trips to Redis."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis import asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from reward_server.redis_connection import SECOND_LOOK_S

MOST = 128
"""Calls in one round trip; Redis does nothing else meanwhile."""

Argument = str | bytes | int | float


@dataclass(frozen=True)
class Script:
    """A Lua script and the hash under which Redis keeps it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "Script":
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def read(cls, name: str) -> "Script":
        """Return a script of this package, by its file's name."""
        return cls.of((files("reward_server") / name).read_text(encoding="utf-8"))


@dataclass(slots=True)
class Trip:
    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument]
    answer: asyncio.Future[Any] | None

    @property
    def wanted(self) -> bool:
        return self.answer is None or not self.answer.done()


class RoundTrips:
    """One round trip at a time; the calls that come meanwhile go out together in the next, in the order they came.

    Hundreds of requests at once would otherwise open as many connections.

    Args:
        redis: a client whose own timeout is about `timeout_s`.
        timeout_s: how long one call may take, with its time in line, so that a Redis that is away is known in a second.
    """

    def __init__(self, redis: "aioredis.Redis", timeout_s: float = 0.8) -> None:
        self._redis, self._timeout_s = redis, timeout_s
        self._line: deque[Trip] = deque()
        self._carrier: asyncio.Task[None] | None = None

    async def call(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Any:
        """Return the script's answer.

        Raises:
            RedisError: Redis does not answer in time, or refuses; the script may have run all the same.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._send(Trip(script, keys, arguments, answer))
        try:
            for patience_s in (self._timeout_s, SECOND_LOOK_S):
                await asyncio.wait({answer}, timeout=patience_s)
                if answer.done():
                    return answer.result()
        finally:
            answer.cancel()  # when nobody waits any more, it need not be sent
        raise RedisTimeoutError(f"no answer within {self._timeout_s:g} s")

    def post(self, script: Script, keys: Sequence[str], *arguments: Argument) -> None:
        """Run a script whose answer nobody waits for, after all calls made before it."""
        self._send(Trip(script, keys, arguments, None))

    async def close(self) -> None:
        """Finish what is on its way, as long as one call may take."""
        if self._carrier is not None:
            await asyncio.wait({self._carrier}, timeout=self._timeout_s)
            self._carrier.cancel()

    def _send(self, trip: Trip) -> None:
        self._line.append(trip)
        if self._carrier is None or self._carrier.done():
            self._carrier = asyncio.create_task(self._carry(), name="round trips")

    async def _carry(self) -> None:
        while self._line:
            trips = [self._line.popleft() for _ in range(min(MOST, len(self._line)))]
            trips = [trip for trip in trips if trip.wanted]
            answers = await self._carried(trips)
            for trip, answer in zip(trips, answers, strict=True):
                if trip.answer is None or trip.answer.done():
                    continue
                if isinstance(answer, Exception):
                    trip.answer.set_exception(answer)
                else:
                    trip.answer.set_result(answer)

    async def _carried(self, trips: list[Trip]) -> list[Any]:
        try:
            answers = await self._pipelined(trips, known=True)
            lost = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            again = await self._pipelined([trips[index] for index in lost], known=False)
            for index, answer in zip(lost, again, strict=True):
                answers[index] = answer
            return answers
        except RedisError as error:
            return [error] * len(trips)
        except Exception as error:  # noqa: BLE001 - one bad call must not leave the others waiting
            return [RedisConnectionError(f"{type(error).__name__}: {error}")] * len(trips)

    async def _pipelined(self, trips: list[Trip], known: bool) -> list[Any]:
        if not trips:
            return []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for trip in trips:
                script = ("EVALSHA", trip.script.sha) if known else ("EVAL", trip.script.text)
                pipeline.execute_command(*script, len(trip.keys), *trip.keys, *trip.arguments)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers
