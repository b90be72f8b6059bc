"""A connection to Redis that runs the Lua scripts of this package."""

import logging
from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis import asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from judge_server.judges import ConfigError
from judge_server.llm import CallFailed

log = logging.getLogger("guerdon.judge")

ANSWER_S = 3.0
CONNECTIONS = 16
"""More calls at a time wait in line: Redis does one after another anyway."""


class Scripts:
    """Lua scripts by their file's name; each is sent once, then called by its hash.

    Raises:
        ConfigError: the URL is none of a Redis.
    """

    def __init__(self, url: str) -> None:
        try:
            pool = aioredis.BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=ANSWER_S,
                socket_timeout=ANSWER_S,
                socket_connect_timeout=ANSWER_S,
                retry=None,
            )
        except ValueError:  # its message may quote a password
            raise ConfigError("GUERDON_JUDGE_REDIS_URL is no URL of a Redis; it is like redis://host:6379/0") from None
        self._redis = aioredis.Redis(connection_pool=pool)
        self._texts: dict[str, tuple[str, str]] = {}

    async def run(self, name: str, keys: Sequence[str], *arguments: str | float) -> Any:
        """Return a script's answer.

        Raises:
            CallFailed: Redis does not say, so nothing may be sent.
        """
        text, digest = self._script(name)
        run: Any = self._redis.execute_command
        try:
            try:
                return await run("EVALSHA", digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return await run("EVAL", text, len(keys), *keys, *arguments)
        except (RedisError, OSError) as error:
            why = f"Redis does not answer ({type(error).__name__}); no call is paid without the limits it keeps"
            raise CallFailed("overloaded", why, retriable=True) from error

    async def answers(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError) as error:
            log.warning("Redis does not answer: %s", type(error).__name__)
            return False

    async def close(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    def _script(self, name: str) -> tuple[str, str]:
        if name not in self._texts:
            text = (files("judge_server") / name).read_text(encoding="utf-8")
            self._texts[name] = text, sha1(text.encode(), usedforsecurity=False).hexdigest()
        return self._texts[name]
