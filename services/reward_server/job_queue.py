"""Submit items to the workers and wait for their answers; nothing accepted is lost, and nothing waits for ever."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from redis.exceptions import RedisError

from http_face.refused import Unavailable
from reward_server.admission import Admission, Lane
from reward_server.boundary import Outcome
from reward_server.broker import CANCELLED, celery_app
from reward_server.cache import SUSPECT, Cache
from reward_server.catalog import Served
from reward_server.clock import SharedClock
from reward_server.content import Fields, canonical, content_id
from reward_server.fleet import Fleet
from reward_server.metrics import CACHED, HELD, IN_FLIGHT, Owed
from reward_server.outbox import Message, Outbox, Pending
from reward_server.publisher import Publisher
from reward_server.redis_connection import connect
from reward_server.replies import Replies
from reward_server.settings import Settings
from reward_server.sweep import Sweep
from reward_server.travel import travelling

__all__ = ["JobQueue", "Unavailable", "Wait"]

log = logging.getLogger(__name__)

CLOSE_S = 0.1
"""An item whose deadline is so near is not sent again."""


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


class JobQueue:
    """The API's side of the queue. Items in flight are one per content id, whoever asks for them.

    Attributes:
        redis: a connection that gives up within a second: a Redis that is away must become a 503 quickly.
        reply_to: the Redis list on which this process gets its answers.
        notices: who else is told of replies, by the key that such a reply has.
    """

    def __init__(self, settings: Settings) -> None:
        url = settings.redis_url.get_secret_value()
        self._settings = settings
        self.redis = connect(url)
        self.reply_to = f"guerdon:reply:{uuid.uuid4().hex}"
        self.notices: dict[str, Callable[[dict[str, Any]], None]] = {
            "outcomes": self._deliver,
            "taken": self._taken,
        }
        self.clock = SharedClock()
        self.admission = Admission(
            settings.max_in_flight, settings.max_in_flight_bytes, settings.hold_s, closed=self._closed
        )
        self._cache = Cache(self.redis)
        self._replies = Replies(url, self.reply_to, self._received)
        self._app = celery_app(settings)
        self._outbox = Outbox(settings.message_items, settings.message_s, settings.run_messages)
        self._publisher: Publisher | None = None
        self._pending: dict[str, Pending] = {}
        self._sweep = Sweep(self, self._outbox, self._pending, self._cache, settings)

    async def start(self) -> None:
        self._publisher = Publisher(self._app, self._outbox, self.reply_to, self.clock, self._settings.compress_bytes)
        self._replies.start()
        IN_FLIGHT.set_function(lambda: len(self._pending))
        HELD.set_function(lambda: self.admission.held)
        self._sweep.start()

    async def stop(self) -> None:
        await self._sweep.stop()
        if self._publisher is not None:
            await asyncio.to_thread(self._publisher.close)
        await self._replies.stop()
        await self.redis.aclose()

    @property
    def healthy(self) -> bool:
        """Whether answers are being collected and questions sent: pump, sweep and publisher alive."""
        return self._sweep.alive and self._replies.alive and self._publisher is not None and self._publisher.alive

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def owed(self) -> dict[str, Owed]:
        """Return what workers owe, by reward."""
        waiting = {name: pace.waiting for name, pace in self.admission.paces.items() if pace.waiting}
        oldest: dict[str, float] = {}
        for pending in self._pending.values():  # in the order in which they came
            oldest.setdefault(pending.served.name, pending.asked)
            if len(oldest) == len(waiting):
                break
        return {name: Owed(count, oldest[name]) for name, count in waiting.items() if name in oldest}

    async def ping(self) -> bool:
        """Whether Redis answers, now and at the last look, and has room."""
        try:
            return bool(await self.redis.ping()) and self._sweep.trouble is None
        except (RedisError, OSError):
            return False

    async def workers(self) -> Fleet:
        """Return the workers alive; none when Redis does not answer."""
        try:
            return await self._sweep.workers()
        except (RedisError, OSError):
            return Fleet()

    async def outcomes(
        self,
        served: Served,
        contents: Sequence[Fields],
        deadline: float,
        run: str | None = None,
        bulk: bool = False,
    ) -> Wait:
        """Have items scored by a worker; every item has an outcome when this returns, at `deadline` at the latest.

        Args:
            served: what should score them.
            contents: the fields it reads, one per item.
            deadline: Unix time.
            run: who asks; runs share the workers fairly.
            bulk: whether everything that is not bulk goes first.

        Raises:
            Unavailable: Redis is away, or too much is in flight already; nothing was queued.
        """
        self._sweep.asked[served.name] = served
        wait = Wait(len(contents))
        asked = _identified(served, contents, wait)
        lane = bulk, run or ""
        suspects = await self._admit(served, asked, lane, deadline, wait)
        new: list[Pending] = []
        accompanying = travelling()
        for index, (one, content) in asked.items():
            if wait.outcomes[index] is not None:
                continue
            pending = self._pending.get(one)
            if pending is None:
                pending = Pending(served, one, content, deadline, lane[1], bulk, travelling=accompanying)
                pending.suspect = one in suspects
                self._pending[one] = pending
                self.admission.enter(served.name, lane, len(content))
                new.append(pending)
            pending.deadline = max(pending.deadline, deadline)
            pending.waits.append((wait, index))
        if new:
            self._outbox.put(new)
        if wait.missing:
            await self._until(deadline, wait, served, [one for one, _ in asked.values()])
        return wait

    async def _admit(
        self, served: Served, asked: dict[int, tuple[str, bytes]], lane: Lane, deadline: float, wait: Wait
    ) -> set[str]:
        """Answer what is known, and return when the rest may be queued: the ids of it that workers died with."""
        if (closed := self._closed(served.name)) is not None:
            raise Unavailable(closed)
        suspects: set[str] = set()
        new = await self._settle_known(served, asked, wait, suspects)
        if new:
            # Looked up again after having been held: meanwhile others may have had the same items scored.
            held = await self.admission.admit(served.name, lane, len(new), sum(map(len, new.values())), deadline)
            if held:
                await self._settle_known(served, asked, wait, suspects)
        CACHED.labels(served.name).inc(wait.cached)
        return suspects

    async def _settle_known(
        self, served: Served, asked: dict[int, tuple[str, bytes]], wait: Wait, suspects: set[str]
    ) -> dict[str, bytes]:
        """Answer what is stored already; return the contents of what is neither stored nor in flight."""
        missing = {index: pair for index, pair in asked.items() if wait.outcomes[index] is None}
        new = {one: content for one, content in missing.values() if one not in self._pending}
        stored = await self._known(list(new)) if new else {}
        suspects |= {one for one, outcome in stored.items() if outcome["status"] == SUSPECT}
        keeps = self._settings.cache and served.keeping.cache
        known = {one: outcome for one, outcome in stored.items() if outcome["status"] == "worker_lost" or keeps}
        for index, (one, _) in missing.items():
            if one in known and one not in suspects:
                wait.settle(index, known[one])
                wait.cached += 1
                new.pop(one, None)
        return new

    def _closed(self, reward: str) -> str | None:
        """Return why nothing can be admitted for a reward at all."""
        if not self.healthy:
            return "answers are not being collected"
        if not self._replies.connected:
            return "Redis does not answer"
        return self._sweep.trouble or self._sweep.crowded.get(reward)

    async def _known(self, ids: list[str]) -> dict[str, Outcome]:
        try:
            return await self._cache.look_up(ids)
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error

    async def _until(self, deadline: float, wait: Wait, served: Served, ids: list[str]) -> None:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.time())):
                await wait.done
        except TimeoutError:
            late: Outcome = {"status": "timeout", "error": self._sweep.fleet.why_late(served)}
            for index, outcome in enumerate(wait.outcomes):
                if outcome is None:
                    wait.outcomes[index] = late
        finally:
            if not wait.done.done() or wait.done.cancelled():
                self._forget(wait, ids)

    def _forget(self, wait: Wait, ids: list[str]) -> None:
        """Take a caller that no longer waits off its items; items that nobody waits for are no longer asked for."""
        unwanted: dict[int, list[str]] = {}
        for one in set(ids):
            pending = self._pending.get(one)
            if pending is None:
                continue
            pending.waits = [other for other in pending.waits if other[0] is not wait]
            if not pending.waits:
                self._remove(pending, answered=False)
                if pending.message is not None:
                    unwanted.setdefault(pending.message, []).append(one)
        if unwanted and self.healthy:
            self._sweep.spawn(self._cancel(unwanted))

    async def _cancel(self, unwanted: dict[int, list[str]]) -> None:
        """Tell the workers what they need not compute any more; lost on the way, it would only cost their time."""
        for number, ids in unwanted.items():
            try:
                note = {"reply_to": self.reply_to, "number": number, "ids": ids}
                await self.redis.publish(CANCELLED, orjson.dumps(note))
            except (RedisError, OSError):
                return

    def _remove(self, pending: Pending, answered: bool) -> None:
        del self._pending[pending.id]
        lane = pending.bulk, pending.run
        self.admission.leave(pending.served.name, lane, len(pending.content), answered)

    def _received(self, reply: dict[str, Any]) -> None:
        for key, deliver in self.notices.items():
            if key in reply:
                deliver(reply)
                return
        raise ValueError("nobody knows this kind of reply")

    def _taken(self, reply: dict[str, Any]) -> None:
        message = self._outbox.out.get(reply["taken"])
        if message is not None:
            self._sweep.taken(message, reply["by"])

    def _deliver(self, reply: dict[str, Any]) -> None:
        tokens = reply.get("tokens", 0)
        for one, outcome in reply["outcomes"]:
            tokens = self.answer(one, outcome, tokens)
        message = self._outbox.out.get(reply.get("number", 0))
        if message is None:
            return
        reward = message.lane.reward
        item_s = self._outbox.learn(reward, len(reply["outcomes"]), reply.get("model_s", 0.0))
        self.admission.pace(reward).item_s = item_s / max(1, self._sweep.fleet.serving(message.jobs[0].served))
        if reply.get("last"):
            self.finish(message)

    def answer(self, one: str, outcome: Outcome, tokens: int = 0) -> int:
        """Give an outcome to all who wait for an item; return the tokens that nobody has been charged with."""
        pending = self._pending.get(one)
        if pending is None:  # a duplicate, or nobody waits any more
            return tokens
        self._remove(pending, answered=True)
        waits, pending.waits = pending.waits, []  # should it be about to be sent again, it need not
        for wait, index in waits:
            wait.settle(index, outcome)
            wait.model_tokens, tokens = wait.model_tokens + tokens, 0  # the first who waits pays for the message
        return tokens

    def finish(self, message: Message) -> None:
        """Let go of a message. What a worker found too late, while somebody joined who can wait longer, goes again."""
        self._outbox.finish(message)
        soon = time.time() + CLOSE_S
        mine = [job for job in message.jobs if self._pending.get(job.id) is job and job.message == message.number]
        again = [
            job
            for job in mine
            if job.deadline > soon and (job.deadline > job.sent_deadline or job.attempts < self._settings.max_attempts)
        ]
        if again:
            self._outbox.put(again)


def _identified(served: Served, contents: Sequence[Fields], wait: Wait) -> dict[int, tuple[str, bytes]]:
    """Return id and content by index; an item that cannot be written as JSON has none, and its outcome at once."""
    asked: dict[int, tuple[str, bytes]] = {}
    for index, fields in enumerate(contents):
        try:
            content = canonical(fields)
        except TypeError as error:
            wait.settle(index, {"status": "invalid_input", "error": f"the item cannot be sent: {error}"})
            continue
        asked[index] = content_id(served.version, content), content
    return asked
