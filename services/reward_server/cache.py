"""Scores that are known already, in Redis under their content id."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import orjson
from redis import asyncio as aioredis

from reward_server.boundary import Outcome


def key(content_id: str) -> str:
    return f"guerdon:score:{content_id}"


class Pipeline(Protocol):
    """The part of a redis-py pipeline that `store` needs."""

    def execute_command(self, *args: Any) -> Any: ...


def store(pipeline: Pipeline, results: Iterable[tuple[str, Outcome]], ttl_s: int) -> None:
    """Add the successful results to a pipeline; failures are never kept. The first result of an id stays."""
    for content_id, outcome in results:
        if outcome["status"] == "ok":
            # Not pipeline.set(): sorting out its twelve options costs more than everything else here.
            pipeline.execute_command("SET", key(content_id), orjson.dumps(outcome), "EX", ttl_s, "NX")


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
