"""Collect the workers' answers from this process's reply list, for as long as the process lives."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
from redis import asyncio as aioredis

log = logging.getLogger(__name__)

BLOCK_S = 2.0
"""How long one pop waits for an answer; also the pump's heartbeat."""
STALE_S = 10.0
"""A pump that has not come round for so long is dead, whatever its task says."""


class Replies:
    """The reply pump: one connection, and one task that no error ends.

    redis-py gives connections a socket timeout by default, which kills a blocking pop; this connection's is longer
    than the pop, so that a frozen Redis ends in an error and not in silence.

    Args:
        url: Redis.
        key: the reply list of this process.
        deliver: called with each reply.
    """

    def __init__(self, url: str, key: str, deliver: Callable[[dict[str, Any]], None]) -> None:
        self.key = key
        self._deliver = deliver
        self._redis = aioredis.Redis.from_url(
            url, socket_timeout=BLOCK_S + 3, socket_connect_timeout=2, socket_keepalive=True, retry=None
        )
        self.connected = False
        self._stopping = False
        self._beat = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._task is not None and not self._task.done() and time.monotonic() - self._beat < STALE_S

    def start(self) -> None:
        self._beat, self.connected = time.monotonic(), True
        self._task = asyncio.create_task(self._pump(), name="replies")

    async def stop(self) -> None:
        self._stopping = True  # as well as the cancellation, which a reply that comes in the same moment can swallow
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._redis.aclose()

    async def _pump(self) -> None:
        """Pop and deliver; on trouble with Redis go on trying, with the heartbeat standing still meanwhile."""
        while not self._stopping:
            try:
                popped = await self._redis.blmpop(BLOCK_S, 1, self.key, direction="LEFT", count=256)
            except Exception as error:  # noqa: BLE001 - whatever it is, a pump that ended would collect nothing any more
                self.connected = False
                log.warning("replies cannot be collected: %s; trying again", type(error).__name__)
                await asyncio.sleep(0.5)
                continue
            self._beat, self.connected = time.monotonic(), True
            for reply in popped[1] if popped else ():
                self._hand_over(reply)

    def _hand_over(self, reply: Any) -> None:
        try:
            self._deliver(orjson.loads(reply))
        except Exception as error:  # noqa: BLE001 - somebody else's bytes on our list must not stop the pump
            log.error("a reply of %d bytes was not understood: %s", len(reply), type(error).__name__)
