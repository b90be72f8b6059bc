"""Send a worker's answers to whoever asked, and keep them: for as long as it takes."""

import logging
import threading
from collections.abc import Sequence
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from reward_server import cache
from reward_server.boundary import Outcome
from reward_server.catalog import Served
from reward_server.settings import Settings

log = logging.getLogger("guerdon.worker")

REPLY_TTL_S = 600
"""A reply list that nobody reads any more goes away by itself."""

Command = tuple[Any, ...]


class Line:
    """One thread's connection. Commands go out at once; their answers are read when something depends on them."""

    def __init__(self, redis: Redis) -> None:
        self._connection: Any = redis.connection_pool.make_connection()
        self._unread = 0

    def send(self, commands: Sequence[Command]) -> None:
        self._connection.connect()
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        self._unread += len(commands)

    def answers(self) -> list[Any]:
        """Return the answers to everything sent since the last call.

        Raises:
            RedisError: Redis is away, or refused a command. The connection starts anew with the next command.
        """
        try:
            read = [self._connection.read_response() for _ in range(self._unread)]
        except BaseException:
            self.reset()
            raise
        self._unread = 0
        return read

    def reset(self) -> None:
        self._unread = 0
        self._connection.disconnect()


class Results:
    """The way back: reply lists, the score cache.

    Args:
        redis: its connections have a timeout.
        settings: how long scores are kept, and how many.
        leaving: set when the worker is about to end, and cannot wait for Redis any longer.
    """

    def __init__(self, redis: Redis, settings: Settings, leaving: threading.Event) -> None:
        self._redis, self._settings, self._leaving = redis, settings, leaving
        self._local = threading.local()

    def note(self, reply_to: str, note: dict[str, Any], sure: bool = False) -> None:
        """Tell an API process something; a note that gets lost costs time, not answers.

        Raises:
            RedisError, OSError: it should be `sure` to be in, and is not.
        """
        try:
            line = self._line()
            line.send(_push(reply_to, orjson.dumps(note)))
            if sure:
                line.answers()
        except (RedisError, OSError) as error:
            self._line().reset()
            log.warning("a note could not be sent: %s", type(error).__name__)
            if sure:
                raise

    def known(self, ids: Sequence[str]) -> list[Outcome | None]:
        """Return what is stored already for each id."""
        values: Any = self._redis.mget([cache.key(one) for one in ids]) if ids else []
        found = [orjson.loads(value) if value else None for value in values]
        return [None if outcome is not None and outcome["status"] == cache.SUSPECT else outcome for outcome in found]

    def send(self, reply_to: str, reply: dict[str, Any], served: Served, anew: bool = False) -> None:
        """Store and reply, again and again until it is done: a result that was paid for is not thrown away.

        `anew` stores even where something is stored already: that the item is suspect.

        Raises:
            RedisError: the worker is about to end.
        """
        pushed = _push(reply_to, orjson.dumps(reply))
        keep = self._settings.cache and served.keeping.cache
        ttl_s = (served.keeping.cache_ttl_s or self._settings.cache_ttl_s) if keep else REPLY_TTL_S
        kept, stored = cache.stored(reply["outcomes"], ttl_s, anew)
        ordered = cache.ordered(served.name, kept, ttl_s) if kept and keep else []
        while True:
            try:
                line = self._line()
                line.send([*stored, *ordered, *pushed])
                answers = line.answers()
            except (RedisError, OSError) as error:
                self._line().reset()
                log.warning("results could not be stored (%s); trying again", type(error).__name__)
                if self._leaving.wait(1.0):
                    raise  # not acknowledged: another worker gets the message
            else:
                if ordered:
                    self._bound(served, int(answers[-4]))
                return

    def _bound(self, served: Served, kept: int) -> None:
        """Forget the oldest scores of a reward that keeps more than it may."""
        excess = kept - (served.keeping.cache_entries or self._settings.cache_entries)
        if excess <= 0:
            return
        try:
            oldest: Any = self._redis.lpop(cache.order_key(served.name), excess) or []
            if oldest:
                self._redis.unlink(*(cache.key(bytes(one).decode()) for one in oldest))
        except RedisError as error:
            log.warning("old scores could not be forgotten: %s", type(error).__name__)

    def _line(self) -> Line:
        if not hasattr(self._local, "line"):
            self._local.line = Line(self._redis)
        line: Line = self._local.line
        return line


def _push(reply_to: str, reply: bytes) -> list[Command]:
    return [("RPUSH", reply_to, reply), ("EXPIRE", reply_to, REPLY_TTL_S)]
