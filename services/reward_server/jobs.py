"""Score requests whose callers do not wait: accepted in Redis, worked on by any API process, kept for a while."""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

import orjson
from pydantic import ValidationError
from redis.exceptions import RedisError

from guerdon.messages import ScoreRequest
from http_face.refused import Refused, Unavailable
from http_face.request_ids import REQUEST_IDS
from reward_server.bells import Bell, Bells
from reward_server.job_record import Claim, JobRecords, Limits, Record
from reward_server.leased import Lost, leased
from reward_server.round_trips import RoundTrips

log = logging.getLogger("guerdon.jobs")

SWEEP_S = 1.0
"""How often this process looks for work that others gave up, and whether a job that is waited for has ended."""

SHORTEST_S = 0.01
"""A job that cannot be admitted with less than this left has failed: no attempt would be answered in time."""

NOT_HERE_SHARE = 0.1
"""Of a job's age, after how much it is offered again that a process did not serve: sooner while it is young."""

Run = Callable[[str, ScoreRequest, float], Awaitable[bytes]]
"""Answers a tenant's request by a Unix time with the JSON of a ScoreResponse.

Raises Refused when it is configured otherwise than whoever accepted the request, Unavailable when it cannot begin.
"""


class NotHere(Exception):
    """This process does not serve what a job asks for. The one that accepted it does."""


class Jobs:
    """The asynchronous jobs that this process accepts, and those it works on.

    Whoever has room claims the oldest job, under a lease. A process that dies loses its leases, and others go on with
    its jobs; one that stops gives them back, and so does one that does not serve what a job asks for: while one
    configuration replaces another, processes of both look at the same jobs.

    Args:
        trips: the way to Redis.
        reply_to: the Redis list on which this process gets notices; each of them goes to `hear`.
        run: answers a request.
        ended: called with tenant and id of a job that has ended here or was cancelled here.
        draining: whether to take no further jobs, and to let nobody wait for one.
        at_once: how many jobs this process works on.
    """

    def __init__(
        self,
        trips: RoundTrips,
        reply_to: str,
        run: Run,
        ended: Callable[[str, str], None],
        draining: Callable[[], bool],
        limits: Limits | None = None,
        at_once: int = 32,
    ) -> None:
        self._bells, self._work = Bells(), Bell()
        self._records = JobRecords(trips, reply_to, limits or Limits())
        self._run, self._ended, self._draining, self._at_once = run, ended, draining, at_once
        self._running: set[asyncio.Task[None]] = set()
        self._claiming: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._claiming = asyncio.create_task(self._claim_for_ever(), name="jobs")

    async def close(self) -> None:
        """Give back what is being worked on, so that another process can go on with it at once."""
        tasks = [*self._running, *([self._claiming] if self._claiming is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hear(self, notice: dict[str, Any]) -> None:
        """Look again at the job that a notice names."""
        self._bells.ring(notice["job"])

    async def submit(self, job_id: str, tenant: str, request: ScoreRequest) -> Record:
        """Accept a job; the same id and request again are the same job.

        Raises:
            Refused: the id is that of another request.
            Unavailable: Redis is away, or too much is unfinished already; nothing was accepted.
        """
        try:
            record = await self._records.submit(job_id, tenant, request)
        except RedisError as error:
            raise _away(error) from error
        self._work.ring()
        return record

    async def look(self, job_id: str, tenant: str, wait_s: float) -> Record | None:
        """Return a tenant's job, after it has ended or `wait_s`; None: it has none of that id.

        Raises:
            Unavailable: Redis is away.
        """
        ends = time.monotonic() + wait_s
        with self._bells.listen(job_id) as bell:
            while True:
                left_s = 0.0 if self._draining() else ends - time.monotonic()
                try:
                    record = await self._records.look(job_id, tenant, waits=left_s > 0)
                except RedisError as error:
                    raise _away(error) from error
                if record is None or record.ended or left_s <= 0:
                    return record
                await bell.heard(min(SWEEP_S, left_s))

    async def cancel(self, job_id: str, tenant: str) -> Record | None:
        """End a tenant's job and return it; None: it has none of that id.

        Raises:
            Unavailable: Redis is away.
        """
        try:
            record = await self._records.cancel(job_id, tenant)
        except RedisError as error:
            raise _away(error) from error
        if record is not None:
            self._ended(tenant, job_id)
        return record

    async def _claim_for_ever(self) -> None:
        while not self._draining():
            try:
                claim = await self._records.claim(uuid.uuid4().hex) if len(self._running) < self._at_once else None
            except Exception as error:  # noqa: BLE001 - one bad look must not be the last
                log.warning("no jobs can be taken (%s); trying again", type(error).__name__)
                claim = None
            if claim is None:
                # At no fixed beat: what is offered again must not meet the same process first each time.
                await self._work.heard(SWEEP_S * _about_one())
                continue
            task = asyncio.create_task(self._worked_on(claim), name="job")
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._work.ring()

    async def _worked_on(self, claim: Claim) -> None:
        REQUEST_IDS.set((claim.id,))  # log lines and spans of its work name the job
        with self._bells.listen(claim.id) as bell:
            try:
                answer = self._answer(claim)
                ending = await leased(answer, lambda: self._records.renew(claim), bell, self._records.limits.lease_s)
                await self._finish(claim, *ending)
            except Lost:
                return
            except NotHere:
                log.info("a job that this server does not serve is left to others")
                await self._give_back(claim, max(SWEEP_S, NOT_HERE_SHARE * claim.age_s) * _about_one())
            except asyncio.CancelledError:
                await self._give_back(claim)
                raise

    async def _answer(self, claim: Claim) -> tuple[str, str, bytes]:
        """Return how the job ends: state, field of its record, value.

        Raises:
            NotHere: it need not end yet, and another process may be able to answer it.
        """
        deadline = time.time() + claim.left_s
        try:
            return "done", "response", await self._admitted(claim.tenant, _request(claim), deadline)
        except Refused as error:
            if deadline - time.time() > SHORTEST_S:
                raise NotHere(str(error)) from error
            return "failed", "error", f"no server was found that serves this: {error}".encode()
        except Unavailable as error:
            return "failed", "error", str(error).encode()
        except Exception as error:
            log.error("a job failed by a mistake of the server's own", exc_info=error)
            return "failed", "error", f"a mistake of the server's own: {type(error).__name__}".encode()

    async def _admitted(self, tenant: str, request: ScoreRequest, deadline: float) -> bytes:
        """Run a request, again while it cannot be admitted: it has been accepted. Raises as `Run`, at its deadline."""
        while True:
            try:
                return await self._run(tenant, request, deadline)
            except Unavailable:
                left_s = deadline - time.time()
                if left_s < SHORTEST_S:
                    raise
                await asyncio.sleep(min(SWEEP_S, left_s / 2))

    async def _finish(self, claim: Claim, state: str, field: str, value: bytes) -> None:
        while True:
            try:
                await self._records.finish(claim, state, field, value)
                break
            except RedisError as error:
                log.warning("a job's end could not be stored (%s); trying again", type(error).__name__)
                await asyncio.sleep(SWEEP_S)
        self._ended(claim.tenant, claim.id)

    async def _give_back(self, claim: Claim, wait_s: float = 0.0) -> None:
        try:
            await self._records.release(claim, wait_s)
        except RedisError:
            log.warning("a job could not be given back; another process takes it when its lease has ended")


def _request(claim: Claim) -> ScoreRequest:
    """Return what is asked.

    Raises:
        Refused: another version of this server accepted it, and it says what this one does not know.
    """
    try:
        return ScoreRequest.model_validate(orjson.loads(claim.request))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused(where, f"this server cannot read {where}: {first['type']}") from error


def _about_one() -> float:
    return random.uniform(0.5, 1.5)


def job_id_of(tenant: str, idempotency_key: str | None) -> str:
    """Return the id of a job: of its tenant and key, so that a POST that is sent again finds it; else a new one."""
    if idempotency_key is None:
        return uuid.uuid4().hex
    return blake2b(orjson.dumps([tenant, idempotency_key]), digest_size=16).hexdigest()


def _away(error: RedisError) -> Unavailable:
    return Unavailable(f"Redis does not answer: {type(error).__name__}")
