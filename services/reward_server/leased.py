"""Work under a lease: go on for as long as the claim to it is one's own."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from redis.exceptions import RedisError

from reward_server.bells import Bell

Result = TypeVar("Result")


class Lost(Exception):
    """Another process has the claim, or the work is not wanted any more."""


async def leased(
    work: Coroutine[Any, Any, Result], renew: Callable[[], Awaitable[bool]], bell: Bell, lease_s: float
) -> Result:
    """Return what `work` returns, or raise what it raises; cancel it when the claim is lost.

    Args:
        renew: says that this process lives, thrice a lease and whenever the bell rings; False: the claim is lost. While
            Redis is away it is kept, as far as anybody knows.

    Raises:
        Lost: it is.
    """
    working = asyncio.ensure_future(work)
    working.add_done_callback(lambda _: bell.ring())
    try:
        while not working.done():
            await bell.heard(lease_s / 3)
            if not working.done() and not await _renewed(renew):
                raise Lost
        return working.result()
    finally:
        if working.cancel():
            await asyncio.gather(working, return_exceptions=True)


async def _renewed(renew: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await renew()
    except RedisError:
        return True
