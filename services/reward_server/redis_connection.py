"""A connection to Redis with short timeouts that a busy event loop does not set off."""

from functools import partial
from typing import Any

from redis import asyncio as aioredis
from redis.asyncio.connection import Connection
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

ANSWER_S = 0.7
"""A Redis that is away or frozen must become a 503 in less than a second."""
SECOND_LOOK_S = 0.1


class SecondLook(Connection):
    """A connection that looks again before it gives up.

    When the loop was busy for longer than the timeout, timer and answer are found in one round, and the timer wins
    although the answer is there. A second look, after the loop has turned, finds it.
    """

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - redis-py's signature
        *,
        disconnect_on_error: bool = True,
        push_request: bool | None = False,
    ) -> Any:
        try:
            return await self._read_twice(disable_decoding, timeout, push_request)
        except ResponseError:  # an answer like any other; the connection is as good as before
            raise
        except BaseException:
            if disconnect_on_error:
                await self.disconnect(nowait=True)
            raise

    async def _read_twice(self, disable_decoding: bool, within_s: float | None, push_request: bool | None) -> Any:
        read = partial(super().read_response, disable_decoding, disconnect_on_error=False, push_request=push_request)
        try:
            return await read(timeout=within_s)
        except RedisTimeoutError:
            answer = await read(timeout=SECOND_LOOK_S)
            if answer is None:  # nothing came, or an answer that says nothing: for the caller there is no difference
                raise
            return answer


def connect(url: str) -> "aioredis.Redis":
    """Return a client whose commands end within a second, one way or the other."""
    plain = {"connection_class": SecondLook} if url.startswith("redis://") else {}
    pool = aioredis.ConnectionPool.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, socket_keepalive=True, retry=None, **plain
    )
    return aioredis.Redis(connection_pool=pool)
