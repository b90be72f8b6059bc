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

SUSPECT = "suspect"
SUSPECT_TTL_S = 3600
"""How long an item that workers died with is remembered."""


def stored(results: Iterable[tuple[str, Outcome]], ttl_s: int, anew: bool = False) -> tuple[list[str], list[Command]]:
    """Return the ids of the successful results, and the commands that store these.

    Failures are never kept, nor is a group with one. The first result of an id stays, unless it is stored `anew`.
    """
    good = [(one, outcome) for one, outcome in results if _whole(outcome)]
    first: Command = () if anew else ("NX",)
    return [one for one, _ in good], [("SET", key(one), orjson.dumps(out), "EX", ttl_s, *first) for one, out in good]


def _whole(outcome: Outcome) -> bool:
    return all(one["status"] == "ok" for one in (outcome, *outcome.get("members", ())))


def ordered(reward: str, ids: Sequence[str], ttl_s: int) -> list[Command]:
    """Return the commands that add ids to the end of a reward's list; the first one's answer is the list's length."""
    return [("RPUSH", order_key(reward), *ids), ("EXPIRE", order_key(reward), ttl_s)]


class Cache:
    """Look-ups, for the API process.

    Raises (every method): redis.exceptions.RedisError when Redis does not answer.
    """

    def __init__(self, redis: "aioredis.Redis") -> None:
        self._redis = redis

    async def find(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcomes that are stored among `ids`, in one round trip."""
        return {one: outcome for one, outcome in (await self.look_up(ids)).items() if outcome["status"] != SUSPECT}

    async def look_up(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Return what is stored under `ids`: outcomes, and of items that workers died with {"status": SUSPECT}."""
        if not ids:
            return {}
        values = await self._redis.mget([key(content_id) for content_id in ids])
        return {
            content_id: orjson.loads(value) for content_id, value in zip(ids, values, strict=True) if value is not None
        }

    async def bury(self, content_id: str, error: str) -> None:
        """Keep the outcome of an item that no worker survives."""
        outcome = {"status": "worker_lost", "error": error}
        await self._redis.set(key(content_id), orjson.dumps(outcome), ex=SUSPECT_TTL_S)

    async def suspect(self, ids: Sequence[str]) -> None:
        """Remember that workers died with these items, until one of them answers for them."""
        if ids:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for one in ids:
                    pipeline.set(key(one), orjson.dumps({"status": SUSPECT}), ex=SUSPECT_TTL_S, nx=True)
                await pipeline.execute()

    async def forget_oldest(self, reward: str, count: int) -> None:
        """Forget a reward's oldest scores: memory is short."""
        oldest: Any = await self._redis.lpop(order_key(reward), count) or []
        if oldest:
            await self._redis.unlink(*(key(bytes(one).decode()) for one in oldest))
