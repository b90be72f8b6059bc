"""Once a second, look after what may have got lost: messages, the workers that had them, Redis itself."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

import orjson
from redis import asyncio as aioredis
from redis.exceptions import RedisError

from guerdon.messages import MAX_DEADLINE_S
from reward_server import metrics
from reward_server.admission import Admission
from reward_server.boundary import Outcome
from reward_server.broker import DEAD_LETTERS, WORKERS, lists_of
from reward_server.cache import SUSPECT_TTL_S, Cache
from reward_server.catalog import Served
from reward_server.clock import SharedClock
from reward_server.fleet import Fleet
from reward_server.metrics import QUEUE_WAIT, RESUBMITTED
from reward_server.outbox import Message, Outbox, Pending
from reward_server.settings import Settings

log = logging.getLogger(__name__)

SWEEP_S = 1.0
DEAD_LETTERS_KEPT = 1000
FULL = 0.8
"""Of Redis' memory limit, what may be in use: at the limit nothing works any more, starting workers included."""
FILLING = 0.6
"""Of the limit, from where on cached scores are forgotten, the oldest first."""
FORGET = 5000
"""Scores of each reward that are forgotten at a time."""
QUEUE_TTL_S = int(MAX_DEADLINE_S)
"""A queue that no server owes an answer for is kept so long: longer than any message on it is wanted."""
WAITING = 1000
"""Messages that may wait for a reward that no worker serves: nobody takes them off when their deadline has passed."""


class Queue(Protocol):
    """What the sweep asks of the job queue."""

    redis: "aioredis.Redis"
    clock: SharedClock
    admission: Admission

    def answer(self, one: str, outcome: Outcome, tokens: int = 0) -> int: ...

    def finish(self, message: Message) -> None: ...


class Sweep:
    """Messages are lost in two ways, and each has its own repair.

    One that no worker has taken may have got lost on the way: its items are asked for again, a bounded number of
    times, never sooner than twice the p99 queue wait; a shorter timer turns a slow queue into a storm. One whose
    worker has died is asked for again at once, item by item: the next worker runs each of them by itself, so that an
    item which takes its worker with it is found. After `max_attempts` such deaths it is a dead letter.
    """

    def __init__(
        self, queue: Queue, outbox: Outbox, pending: Mapping[str, Pending], cache: Cache, settings: Settings
    ) -> None:
        self._queue, self._outbox, self._pending, self._cache = queue, outbox, pending, cache
        self._settings = settings
        self._waits: deque[float] = deque(maxlen=512)
        self._seen: dict[str, float] = {}
        self._swept = 0.0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()
        self._redis_run = ""
        self.asked: dict[str, Served] = {}
        """What this process has asked workers for, by name."""
        self.fleet = Fleet()
        """The workers at the last look."""
        self.trouble: str | None = None
        """Why no work should be admitted now, if so."""
        self.crowded: dict[str, str] = {}
        """Why no work for a reward should be admitted, by reward."""

    @property
    def alive(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self._for_ever(), name="sweep")

    async def stop(self) -> None:
        self._stopping = True
        tasks = [*self._others, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def workers(self) -> Fleet:
        """Look which workers are alive.

        Raises:
            RedisError, OSError: Redis does not answer.
        """
        entries: Any = await self._queue.redis.zrangebyscore(WORKERS, self._queue.clock.now(), "+inf")
        return Fleet.read(entries)

    def taken(self, message: Message, worker: str) -> None:
        """A worker has a message now."""
        now = time.time()
        if message.taken_by is None:  # not when it is taken again, from a worker that gave it back
            self._waits.append(now - message.sent)
            QUEUE_WAIT.observe(now - message.sent)
        message.taken_by, message.check_at = worker, now + self._settings.resubmit_after_s
        self._seen.setdefault(worker, now)

    async def _for_ever(self) -> None:
        last = time.monotonic()
        while not self._stopping:
            await asyncio.sleep(SWEEP_S)
            now, last = time.monotonic() - last, time.monotonic()
            try:
                self._queue.admission.tick(now)
                await self._look(time.time())
            except (RedisError, OSError) as error:
                self.trouble = "Redis does not answer"
                log.warning("Redis does not answer the sweep: %s", type(error).__name__)
            except Exception as error:  # noqa: BLE001 - one bad sweep must not be the last
                log.warning("a sweep failed: %s", type(error).__name__)

    async def _look(self, now: float) -> None:
        await self._look_at_redis(now)
        self.fleet = await self.workers()
        self._look_at_workers(self.fleet.workers, now)
        await self._look_at_queues()
        for message in list(self._outbox.out.values()):
            if self._lost_with_its_worker(message, now):
                await self._ask_one_by_one(message)
            elif not any(self._waited_for(message)):
                self._outbox.finish(message)
            elif now > self._check_at(message):
                await self._check(message, now)

    async def _look_at_redis(self, now: float) -> None:
        """Compare clocks, notice a restart, and see to it that there is memory left."""
        redis = self._queue.redis
        asked = time.time()
        redis_time = await redis.time()
        self._queue.clock.compare(asked, redis_time, time.time())
        server: dict[str, Any] = await redis.info("server")
        if self._redis_run not in ("", server.get("run_id", "")):
            self._after_a_restart(now)
        self._redis_run = server.get("run_id", "")
        memory: dict[str, Any] = await redis.info("memory")
        limit, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
        if limit and used > FILLING * limit:
            for reward in self._queue.admission.paces:
                await self._cache.forget_oldest(reward, FORGET)
        full = limit and used > FULL * limit
        self.trouble = f"Redis has used {used >> 20} of its {limit >> 20} MiB" if full else None

    def _after_a_restart(self, now: float) -> None:
        """Take nothing for granted that was on its way: queue and reply lists may have lost it."""
        log.warning("Redis was started anew; what is on its way is looked after")
        for message in self._outbox.out.values():
            message.taken_by, message.check_at = None, now + self._patience()

    async def _look_at_queues(self) -> None:
        """Refuse more for a reward that no worker serves once much waits for it: its queue would grow for ever.

        And let a queue go away by itself when nobody waits for it any more: workers of its version may never come back.
        """
        crowded: dict[str, str] = {}
        for reward, served in list(self.asked.items()):
            lists = lists_of(served.queue)
            if self._queue.admission.pace(reward).waiting:
                for one in lists:
                    await self._queue.redis.expire(one, QUEUE_TTL_S)
            if not self.fleet.serving(served):
                waiting = sum([await self._queue.redis.llen(one) for one in lists])
                if waiting > WAITING:
                    crowded[reward] = f"no worker serves {reward}, and {waiting} messages wait for one"
        self.crowded = crowded

    def _look_at_workers(self, alive: Mapping[str, object], now: float) -> None:
        if now - self._swept > 3 * SWEEP_S:  # Redis was away: no worker could be heard of in that time
            self._seen = dict.fromkeys(self._seen, now)
        self._swept = now
        self._seen.update(dict.fromkeys(alive, now))
        held_by = {message.taken_by for message in self._outbox.out.values()}
        self._seen = {one: seen for one, seen in self._seen.items() if one in held_by or one in alive}

    def _waited_for(self, message: Message) -> list[Pending]:
        """Return the items of a message that somebody still waits for, and that were not sent again since."""
        return [job for job in message.jobs if self._pending.get(job.id) is job and job.message == message.number]

    def _lost_with_its_worker(self, message: Message, now: float) -> bool:
        return (
            message.taken_by is not None
            and now - self._seen.get(message.taken_by, 0.0) > self._settings.worker_silence_s
        )

    def _check_at(self, message: Message) -> float:
        return message.check_at or message.sent + self._patience()

    async def _check(self, message: Message, now: float) -> None:
        """Look whether the answers are stored already; if not, and no worker has the message, ask again."""
        await self._answer_stored(message)
        again = self._waited_for(message)
        attempts = max((job.attempts for job in again), default=0)
        message.check_at = now + self._patience() * 2.0**attempts
        if again and message.taken_by is None and attempts < self._settings.max_attempts:
            self._send_again(message, again)

    async def _answer_stored(self, message: Message) -> None:
        for one, outcome in (await self._cache.find([job.id for job in self._waited_for(message)])).items():
            self._queue.answer(one, outcome)

    async def _ask_one_by_one(self, message: Message) -> None:
        await self._answer_stored(message)
        jobs = self._waited_for(message)
        log.warning("worker %s has died with %d items of %s", message.taken_by, len(jobs), message.lane.reward)
        if message.lane.suspect:
            for job in message.jobs:  # whoever waits for it still: the next one must not have to find out again
                await self._bury_if_dead(job, str(message.taken_by))
        else:
            await self._cache.suspect([job.id for job in message.jobs])
        again = self._waited_for(message)
        for job in again:
            job.suspect, job.attempts = True, 0
        self._send_again(message, again)

    async def _bury_if_dead(self, job: Pending, worker: str) -> None:
        """Count a worker that died running this item alone; the first one died running it in company."""
        key = f"guerdon:deaths:{job.id}"
        async with self._queue.redis.pipeline() as pipeline:
            pipeline.sadd(key, worker)
            pipeline.scard(key)
            pipeline.expire(key, SUSPECT_TTL_S)
            _, alone, _ = await pipeline.execute()
        if alone + 1 < self._settings.max_attempts:
            return
        error = f"{alone + 1} workers died while they ran this item; it is not tried again"
        await self._cache.bury(job.id, error)
        letter = {"reward": job.served.name, "version": job.served.version, "id": job.id, "at": time.time()}
        async with self._queue.redis.pipeline() as pipeline:
            pipeline.lpush(DEAD_LETTERS, orjson.dumps(letter))
            pipeline.ltrim(DEAD_LETTERS, 0, DEAD_LETTERS_KEPT - 1)
            await pipeline.execute()
        metrics.DEAD_LETTERS.labels(job.served.name).inc()
        log.error("item %s of %s is a dead letter: %s", job.id, job.served.name, error)
        self._queue.answer(job.id, {"status": "worker_lost", "error": error})

    def _send_again(self, message: Message, jobs: list[Pending]) -> None:
        if jobs:
            RESUBMITTED.labels(message.lane.reward).inc(len(jobs))
            self._outbox.put(jobs)
        self._outbox.finish(message)

    def _patience(self) -> float:
        """Return how long a message may be on its way before its items are asked for again."""
        waits = sorted(self._waits)
        p99 = waits[int(len(waits) * 0.99)] if waits else 0.0
        return max(self._settings.resubmit_after_s, 2 * p99)
