"""Scores that are known already, in Redis under their content id."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from redis import asyncio as aioredis

from reward_server.boundary import Outcome


def key(content_id: str) -> str:
    return f"guerdon:score:{content_id}"


def order_key(reward: str) -> str:
    """Return the list of a reward's cached ids, the oldest first."""
    return f"guerdon:scores:{reward}"


Command = tuple[Any, ...]


def stored(results: Iterable[tuple[str, Outcome]], ttl_s: int) -> tuple[list[str], list[Command]]:
    """Return the ids of the successful results, and the commands that store these.

    Failures are never kept. The first result of an id stays.
    """
    good = [(one, outcome) for one, outcome in results if outcome["status"] == "ok"]
    return [one for one, _ in good], [("SET", key(one), orjson.dumps(out), "EX", ttl_s, "NX") for one, out in good]


def ordered(reward: str, ids: Sequence[str]) -> list[Command]:
    """Return the command that adds ids to the end of a reward's list; its answer is the list's length."""
    return [("RPUSH", order_key(reward), *ids)]


class Cache:
    """Look-ups, for the API process.

    Raises (every method): redis.exceptions.RedisError when Redis does not answer.
    """

    def __init__(self, redis: "aioredis.Redis") -> None:
        self._redis = redis

    async def find(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Return the known outcomes among `ids`, in one round trip."""
        if not ids:
            return {}
        values = await self._redis.mget([key(content_id) for content_id in ids])
        return {
            content_id: orjson.loads(value) for content_id, value in zip(ids, values, strict=True) if value is not None
        }

    async def settle(self, content_id: str, outcome: Outcome, ttl_s: int) -> None:
        """Keep a final outcome that is no success: an item that no worker survives."""
        await self._redis.set(key(content_id), orjson.dumps(outcome), ex=ttl_s, nx=True)
