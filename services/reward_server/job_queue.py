"""Submit items to the workers and wait for their answers; nothing accepted is lost, and nothing waits for ever."""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from reward_server.boundary import Outcome
from reward_server.broker import WORKERS, celery_app
from reward_server.cache import Cache
from reward_server.catalog import Served
from reward_server.content import Fields, content_id
from reward_server.metrics import CACHED, IN_FLIGHT, QUEUE_WAIT, RESUBMITTED
from reward_server.publisher import Publisher
from reward_server.replies import Replies
from reward_server.settings import Settings

log = logging.getLogger(__name__)

SWEEP_S = 1.0


class Unavailable(RuntimeError):
    """Work cannot be admitted now; the message says why."""


class Wait:
    """One caller's items: outcomes in order, and a future that is done when none is missing."""

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * size
        self.missing = size
        self.model_tokens = 0
        self.cached = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, index: int, outcome: Outcome) -> None:
        if self.outcomes[index] is not None:
            return
        self.outcomes[index] = outcome
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True)
class Pending:
    """One distinct item that a worker owes an answer for, and all who wait for it."""

    served: Served
    content: Fields
    deadline: float
    sent: float
    attempts: int = 1
    waits: list[tuple[Wait, int]] = field(default_factory=list)


class JobQueue:
    """The API's side of the queue. Items in flight are one per content id, whoever asks for them."""

    def __init__(self, settings: Settings) -> None:
        url = settings.redis_url.get_secret_value()
        self._settings = settings
        # A Redis that is away or frozen must become a 503 in less than a second.
        self._redis = aioredis.Redis.from_url(
            url, socket_timeout=0.8, socket_connect_timeout=0.5, socket_keepalive=True, retry=None
        )
        self._cache = Cache(self._redis)
        self._reply_to = f"guerdon:reply:{uuid.uuid4().hex}"
        self._replies = Replies(url, self._reply_to, self._deliver)
        self._app = celery_app(settings)
        self._publisher: Publisher | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._pending: dict[str, Pending] = {}
        self._recent_waits: deque[float] = deque(maxlen=512)

    async def start(self) -> None:
        self._publisher = Publisher(self._app, self._reply_to, self._settings.message_items, self._publish_failed)
        self._replies.start()
        IN_FLIGHT.set_function(lambda: len(self._pending))
        self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="sweep")

    async def stop(self) -> None:
        self._stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        if self._publisher is not None:
            await asyncio.to_thread(self._publisher.close)
        await self._replies.stop()
        await self._redis.aclose()

    @property
    def healthy(self) -> bool:
        """Whether answers are being collected and questions sent: pump, sweep and publisher alive."""
        tasks = self._sweeper is not None and not self._sweeper.done()
        return tasks and self._replies.alive and self._publisher is not None and self._publisher.alive

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    async def ping(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    async def workers(self) -> dict[str, int]:
        """Count the workers alive by what they serve; empty when Redis does not answer."""
        counts: dict[str, int] = {}
        try:
            entries: list[Any] = await self._redis.zrangebyscore(WORKERS, time.time(), "+inf")
        except (RedisError, OSError):
            return counts
        for entry in entries:
            for name in bytes(entry).decode().split("|")[1:]:
                counts[name] = counts.get(name, 0) + 1
        return counts

    async def outcomes(self, served: Served, contents: Sequence[Fields], deadline: float) -> Wait:
        """Have items scored by a worker; every item has an outcome when this returns, at `deadline` at the latest.

        Args:
            served: what should score them.
            contents: the fields it reads, one per item.
            deadline: Unix time.

        Raises:
            Unavailable: Redis is away, or too much is in flight already; nothing was queued.
        """
        wait = Wait(len(contents))
        ids = _identified(served, contents, wait)
        new = await self._admit(served, ids, contents, deadline, wait)
        if new:
            assert self._publisher is not None
            self._publisher.send((served, deadline, new))
        if wait.missing:
            await self._until(deadline, wait, ids)
        return wait

    async def _admit(
        self, served: Served, ids: list[str | None], contents: Sequence[Fields], deadline: float, wait: Wait
    ) -> list[tuple[str, Fields]]:
        """Answer what is known, join what is in flight, and return what has to be sent."""
        if not (self._replies.connected and self.healthy):
            raise Unavailable("Redis does not answer" if self.healthy else "answers are not being collected")
        asked = [one for one in ids if one is not None and one not in self._pending]
        known = await self._known(asked) if self._settings.cache else {}
        if len(self._pending) + len(ids) > self._settings.max_in_flight:
            raise Unavailable(f"{len(self._pending)} items are in flight already")
        now, new = time.time(), []
        for index, (one, content) in enumerate(zip(ids, contents, strict=True)):
            if one is None:
                continue
            if one in known:
                wait.settle(index, known[one])
                wait.cached += 1
                continue
            pending = self._pending.get(one)
            if pending is None:
                pending = self._pending[one] = Pending(served, content, deadline, now)
                new.append((one, content))
            pending.deadline = max(pending.deadline, deadline)
            pending.waits.append((wait, index))
        CACHED.labels(served.name).inc(wait.cached)
        return new

    async def _known(self, ids: list[str]) -> dict[str, Outcome]:
        try:
            return await self._cache.find(ids)
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error

    async def _until(self, deadline: float, wait: Wait, ids: list[str | None]) -> None:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.time())):
                await wait.done
        except TimeoutError:
            late: Outcome = {"status": "timeout", "error": "no worker answered before the deadline"}
            for index, outcome in enumerate(wait.outcomes):
                if outcome is None:
                    wait.outcomes[index] = late
        finally:
            if not wait.done.done() or wait.done.cancelled():
                self._forget(wait, ids)

    def _forget(self, wait: Wait, ids: list[str | None]) -> None:
        """Take a caller that no longer waits off its items; items that nobody waits for are no longer asked for."""
        for one in set(ids):
            pending = self._pending.get(one) if one is not None else None
            if one is None or pending is None:
                continue
            pending.waits = [other for other in pending.waits if other[0] is not wait]
            if not pending.waits:
                del self._pending[one]

    def _deliver(self, reply: dict[str, Any]) -> None:
        pending: Pending | None = None
        tokens = reply.get("tokens", 0)
        for one, outcome in reply["outcomes"]:
            pending = self._pending.pop(one, None)
            if pending is None:  # a duplicate, or nobody waits any more
                continue
            for wait, index in pending.waits:
                wait.settle(index, outcome)
                wait.model_tokens, tokens = wait.model_tokens + tokens, 0  # the first who waits pays for the message
        if pending is not None:  # one observation a message: its items waited alike
            self._recent_waits.append(time.time() - pending.sent)
            QUEUE_WAIT.observe(self._recent_waits[-1])

    def _publish_failed(self, error: Exception) -> None:
        log.warning("a message could not be published (%s); its items are asked for again", type(error).__name__)

    async def _sweep_for_ever(self) -> None:
        while not self._stopping:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._sweep(time.time())
            except Exception as error:  # noqa: BLE001 - one bad sweep must not be the last
                log.warning("a sweep failed: %s", type(error).__name__)

    async def _sweep(self, now: float) -> None:
        """Look after what has waited too long: its answer may be stored already; if not, ask again."""
        patience = self._patience()
        overdue = [
            one for one, pending in self._pending.items() if now - pending.sent > patience * 2 ** (pending.attempts - 1)
        ]
        stored = await self._cache.find(overdue)
        if stored:
            self._deliver({"outcomes": list(stored.items())})
        for one in overdue:
            pending = self._pending.get(one)
            if pending is not None and pending.attempts < self._settings.max_attempts:
                pending.attempts += 1
                pending.sent = now
                RESUBMITTED.labels(pending.served.name).inc()
                assert self._publisher is not None
                self._publisher.send((pending.served, pending.deadline, [(one, pending.content)]))

    def _patience(self) -> float:
        """Return how long to wait before asking again (doubled each time): never below twice the p99 wait.

        A shorter timer turns a slow queue into a storm of resubmissions.
        """
        waits = sorted(self._recent_waits)
        p99 = waits[int(len(waits) * 0.99)] if waits else 0.0
        return max(self._settings.resubmit_after_s, 2 * p99)


def _identified(served: Served, contents: Sequence[Fields], wait: Wait) -> list[str | None]:
    """Return the content ids; an item that cannot be written as JSON has none, and its outcome at once."""
    ids: list[str | None] = []
    for index, content in enumerate(contents):
        try:
            ids.append(content_id(served.version, content))
        except TypeError as error:
            ids.append(None)
            wait.settle(index, {"status": "invalid_input", "error": f"the item cannot be sent: {error}"})
    return ids
