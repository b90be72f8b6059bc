"""Asynchronous jobs against a real Valkey: accepted once, worked on by somebody, ended once."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from redis import asyncio as aioredis

from guerdon.messages import Item, Job, ScoreRequest
from http_face.refused import Refused, Unavailable
from reward_server.job_record import ALL, JobRecords, Limits, Record
from reward_server.jobs import Jobs, job_id_of
from reward_server.round_trips import RoundTrips

QUICK = Limits(lease_s=0.06)
REQUEST = ScoreRequest(rewards=["length"], items=[Item(completion="words")], run="run7")
RESPONSE = b'{"rewards":[],"usage":{"items":1,"cached":0,"model_tokens":0}}'


@dataclass
class Server:
    """One API process: its Jobs, the pump that hands it notices, and the requests it was given to answer."""

    url: str
    name: str
    limits: Limits = QUICK
    at_once: int = 4
    ran: list[tuple[str, ScoreRequest, float]] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False
    errors: list[Exception] = field(default_factory=list)
    serves: bool = True

    def __post_init__(self) -> None:
        self.redis = aioredis.Redis.from_url(self.url, socket_timeout=30, retry=None)
        self.trips = RoundTrips(self.redis, timeout_s=30)
        self.jobs = Jobs(
            self.trips,
            f"guerdon:reply:{self.name}",
            self.run,
            lambda tenant, job_id: self.ended.append((tenant, job_id)),
            lambda: self.draining,
            self.limits,
            self.at_once,
        )
        self.go_on.set()
        self._pump = asyncio.create_task(self._pumped())

    async def _pumped(self) -> None:
        async with aioredis.Redis.from_url(self.url, socket_timeout=5) as redis:
            while not self.draining:
                if (popped := await redis.blpop([f"guerdon:reply:{self.name}"], 2)) is not None:
                    self.jobs.hear(orjson.loads(popped[1]))

    async def run(self, tenant: str, request: ScoreRequest, deadline: float) -> bytes:
        self.ran.append((tenant, request, deadline))
        self.started.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        if not self.serves:
            raise Refused("rewards", "unknown rewards ['length']")
        if self.errors:
            raise self.errors.pop(0)
        return RESPONSE

    async def die(self) -> None:
        """Be cut off: nothing of this process reaches Redis any more."""
        await self.redis.aclose()
        self.redis.connection_pool = aioredis.ConnectionPool(port=1, retry=None)

    async def stop(self) -> None:
        self.draining = True
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await self.jobs.close()
        await self.trips.close()
        await self.redis.aclose()


@asynccontextmanager
async def servers(url: str, count: int, starting: bool = True, **more: Any) -> AsyncIterator[list[Server]]:
    async with aioredis.Redis.from_url(url) as redis:
        await redis.flushdb()
    running = [Server(url, f"server{i}", **more) for i in range(count)]
    try:
        for server in running:
            if starting:
                server.jobs.start()
        yield running
    finally:
        for server in running:
            await server.stop()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 60))


async def ended(server: Server, job_id: str, tenant: str = "default") -> Record:
    record = await server.jobs.look(job_id, tenant, 30)
    assert record is not None
    assert record.ended
    return record


def test_a_job_is_answered_by_whoever_accepted_it_and_can_be_looked_at_anywhere(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2) as (one, two):
            before = time.time()
            accepted = await one.jobs.submit("a", "team-a", REQUEST)
            assert (accepted.state, accepted.response) == ("queued", None)
            assert (await ended(two, "a", "team-a")).response == RESPONSE
            [(tenant, request, deadline)] = one.ran + two.ran
            assert (tenant, request) == ("team-a", REQUEST)
            assert before + 59 < deadline < time.time() + 61

    run(main)


def test_a_record_reads_as_the_message_of_the_contract(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1) as (one,):
            queued = Job.model_validate_json((await one.jobs.submit("a", "default", REQUEST)).json())
            assert (queued.state, queued.expires, queued.deadline - queued.created) == ("queued", None, 60)
            done = Job.model_validate_json((await ended(one, "a")).json())
            assert (done.state, done.created, done.error) == ("done", queued.created, None)
            assert done.response is not None
            assert done.response.usage.items == 1
            assert done.expires is not None
            assert done.expires > done.created + 3599

    run(main)


def test_a_job_that_is_sent_again_is_the_same_job_whatever_is_left_of_its_deadline(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2) as (one, two):
            await one.jobs.submit("a", "default", REQUEST)
            again = await two.jobs.submit("a", "default", REQUEST.model_copy(update={"deadline_s": 7.5}))
            assert again.deadline - again.created == 60_000
            await ended(one, "a")
            assert (await two.jobs.submit("a", "default", REQUEST)).response == RESPONSE
            assert len(one.ran + two.ran) == 1
            with pytest.raises(Refused, match="another request"):
                await one.jobs.submit("a", "default", REQUEST.model_copy(update={"run": "run8"}))

    run(main)


def test_ids_made_of_keys_differ_between_tenants() -> None:
    assert job_id_of("team-a", "key") == job_id_of("team-a", "key") != job_id_of("team-b", "key")
    assert job_id_of("team-a", None) != job_id_of("team-a", None)


def test_another_tenants_job_is_unknown(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1) as (one,):
            await one.jobs.submit("a", "team-a", REQUEST)
            assert await one.jobs.look("a", "team-b", 0) is None
            assert await one.jobs.cancel("a", "team-b") is None
            assert await one.jobs.look("no-such-job", "team-a", 1) is None
            assert (await ended(one, "a", "team-a")).state == "done"

    run(main)


def test_a_running_job_that_is_cancelled_anywhere_stops(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2, limits=Limits()) as (one, two):
            for server in (one, two):
                server.go_on.clear()
            await one.jobs.submit("a", "default", REQUEST)
            await one.started.wait()
            record = await two.jobs.cancel("a", "default")
            assert record is not None
            assert record.state == "cancelled"
            await one.stopped.wait()
            assert two.ended == [("default", "a")]
            assert await one.redis.exists(*ALL[:2]) == 0
            assert int(await one.redis.get(ALL[2]) or 0) == 0

    run(main)


def test_a_queued_job_that_is_cancelled_is_never_run_and_one_that_has_ended_stays_as_it_is(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1, at_once=1) as (one,):
            one.go_on.clear()
            await one.jobs.submit("a", "default", REQUEST)
            await one.started.wait()
            await one.jobs.submit("b", "default", REQUEST)
            waiting = await one.jobs.look("b", "default", 0)
            assert waiting is not None
            assert waiting.state == "queued"
            await one.jobs.cancel("b", "default")
            one.go_on.set()
            assert (await ended(one, "a")).state == "done"
            record = await one.jobs.cancel("a", "default")
            assert record is not None
            assert record.state == "done"
            assert (await ended(one, "b")).state == "cancelled"
            assert len(one.ran) == 1

    run(main)


def test_a_job_of_a_server_that_died_is_taken_up_by_another(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2, starting=False) as (mortal, other):
            mortal.go_on.clear()
            mortal.jobs.start()
            await mortal.jobs.submit("a", "default", REQUEST)
            await mortal.started.wait()
            await mortal.die()
            other.jobs.start()
            assert (await ended(other, "a")).state == "done"
            assert len(other.ran) == 1
            mortal.go_on.set()

    run(main)


def test_a_claim_that_another_has_taken_over_ends_nothing(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1, starting=False, limits=Limits(lease_s=0.01)) as (one,):
            records = JobRecords(one.trips, "r", one.limits)
            await records.submit("a", "default", REQUEST)
            first = await records.claim("token 1")
            assert first is not None
            while (second := await records.claim("token 2")) is None:
                pass
            assert not await records.renew(first)
            await records.finish(first, "done", "response", b"late")
            await records.release(first)
            record = await records.look("a", "default", waits=False)
            assert record is not None
            assert record.state == "running"
            await records.finish(second, "done", "response", RESPONSE)
            assert (await ended(one, "a")).response == RESPONSE

    run(main)


def test_a_server_that_stops_gives_its_jobs_back_at_once(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2, starting=False, limits=Limits(lease_s=600)) as (leaving, other):
            leaving.go_on.clear()
            leaving.jobs.start()
            await leaving.jobs.submit("a", "default", REQUEST)
            await leaving.started.wait()
            await leaving.jobs.close()
            other.jobs.start()
            assert (await ended(other, "a")).state == "done"

    run(main)


def test_a_job_over_which_servers_die_again_and_again_is_given_up(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 4, starting=False) as running:
            await running[0].jobs.submit("a", "default", REQUEST)
            for server in running[:3]:
                server.go_on.clear()
                server.jobs.start()
                await server.started.wait()
                await server.die()
            running[3].jobs.start()
            record = await ended(running[3], "a")
            assert (record.state, record.error) == ("failed", "the server died 3 times while it worked on this")
            assert running[3].ran == []

    run(main)


def test_a_job_that_cannot_begin_is_tried_again_and_what_cannot_be_answered_has_failed(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1) as (one,):
            one.errors = [Unavailable("full")]
            await one.jobs.submit("a", "default", REQUEST)
            assert (await ended(one, "a")).state == "done"
            one.errors = [ZeroDivisionError("text that stays here")]
            await one.jobs.submit("c", "default", REQUEST)
            assert (await ended(one, "c")).error == "a mistake of the server's own: ZeroDivisionError"
            one.errors = [Unavailable("full")]
            await one.jobs.submit("d", "default", REQUEST.model_copy(update={"deadline_s": 0.001}))
            assert (await ended(one, "d")).error == "full"

    run(main)


def test_a_job_that_a_server_does_not_serve_waits_for_one_that_does(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2, starting=False) as (older, newer):
            older.serves = False
            older.jobs.start()
            await older.jobs.submit("a", "default", REQUEST)
            given_back = [b"queued", b"0", None, None]
            fields = ("state", "attempts", "token", "owner")
            while (
                not await older.redis.zcard(ALL[1]) or await older.redis.hmget("guerdon:job:a", *fields) != given_back
            ):
                pass
            newer.jobs.start()
            assert (await ended(newer, "a")).response == RESPONSE
            assert (older.ended, newer.ended) == ([], [("default", "a")])

    run(main)


def test_a_job_that_no_server_serves_fails_at_its_deadline_and_says_so(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2) as (one, two):
            one.serves = two.serves = False
            await one.jobs.submit("a", "default", REQUEST.model_copy(update={"deadline_s": 0.2}))
            record = await ended(one, "a")
            assert (record.state, record.error) == (
                "failed", "no server was found that serves this: unknown rewards ['length']"
            )  # fmt: skip
            assert record.expires is not None
            assert record.deadline <= record.expires - 3_600_000 <= record.deadline + 2_000
            assert one.ended + two.ended == [("default", "a")]

    run(main)


def test_a_job_of_a_newer_server_that_an_older_one_cannot_read_is_left_to_others(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1, starting=False) as (older,):
            await older.jobs.submit("a", "default", REQUEST.model_copy(update={"deadline_s": 0.2}))
            newer = orjson.dumps(orjson.loads(REQUEST.model_dump_json()) | {"novelty": "said by the newer one"})
            await older.redis.hset("guerdon:job:a", "request", newer)
            older.jobs.start()
            record = await ended(older, "a")
            assert older.ran == []
            assert record.error == (
                "no server was found that serves this: this server cannot read novelty: extra_forbidden"
            )

    run(main)


def test_no_more_jobs_are_accepted_than_may_be_unfinished(valkey_url: str) -> None:
    async def main() -> None:
        size = len(REQUEST.model_dump_json(exclude_defaults=True))
        async with servers(valkey_url, 2, starting=False) as (few, small):
            few.jobs = Jobs(few.trips, "r", few.run, lambda *_: None, lambda: False, Limits(jobs=2))
            small.jobs = Jobs(small.trips, "r", small.run, lambda *_: None, lambda: False, Limits(bytes=2 * size))
            await few.jobs.submit("a", "default", REQUEST)
            await few.jobs.submit("b", "default", REQUEST)
            assert (await few.jobs.submit("b", "default", REQUEST)).state == "queued"
            with pytest.raises(Unavailable, match="2 jobs are unfinished already"):
                await few.jobs.submit("c", "default", REQUEST)
            with pytest.raises(Unavailable, match=f"{2 * size} bytes of jobs are unfinished already"):
                await small.jobs.submit("c", "default", REQUEST)
            await few.jobs.cancel("a", "default")
            assert (await few.jobs.submit("c", "default", REQUEST)).state == "queued"
            await few.jobs.close()
            await small.jobs.close()

    run(main)


def test_no_more_jobs_run_at_once_than_a_server_may_work_on_and_the_oldest_goes_first(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1, at_once=2) as (one,):
            one.go_on.clear()
            ids = [uuid.uuid4().hex for _ in range(5)]
            for number, job_id in enumerate(ids):
                await one.jobs.submit(job_id, "default", REQUEST.model_copy(update={"run": f"run{number}"}))
            while (await one.redis.zcard(ALL[1])) < 2:
                pass
            assert len(one.ran) <= 2
            one.go_on.set()
            for job_id in ids:
                await ended(one, job_id)
            assert [request.run for _, request, _ in one.ran] == [f"run{number}" for number in range(5)]

    run(main)


def test_who_waits_for_a_job_hears_of_its_end_and_a_draining_server_lets_nobody_wait(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 2) as (one, two):
            for server in (one, two):
                server.go_on.clear()
            await one.jobs.submit("a", "default", REQUEST)
            await one.started.wait()
            waiting = asyncio.create_task(two.jobs.look("a", "default", 30))
            while not await one.redis.exists("guerdon:job:a:waiters"):
                pass
            one.go_on.set()
            record = await waiting
            assert record is not None
            assert record.state == "done"
            one.go_on.clear()
            await one.jobs.submit("b", "default", REQUEST)
            one.draining = two.draining = True
            record = await two.jobs.look("b", "default", 30)
            assert record is not None
            assert not record.ended

    run(main)


def test_nothing_of_a_job_stays_for_ever(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1, limits=Limits(keep_s=0.05)) as (one,):
            one.go_on.clear()
            await one.jobs.submit("a", "default", REQUEST)
            await one.started.wait()
            waiting = asyncio.create_task(one.jobs.look("a", "default", 30))
            while not await one.redis.exists("guerdon:job:a:waiters"):
                pass
            for key in ("guerdon:job:a", "guerdon:job:a:waiters"):
                assert await one.redis.pttl(key) > 0
            one.go_on.set()
            await waiting
            while await one.redis.exists("guerdon:job:a"):
                pass
            left = {key async for key in one.redis.scan_iter("guerdon:job*")}
            assert left <= {ALL[2].encode()}
            assert int(await one.redis.get(ALL[2]) or 0) == 0

    run(main)


def test_a_job_whose_record_has_expired_is_forgotten_and_its_bytes_are_free(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1, starting=False) as (one,):
            await one.jobs.submit("a", "default", REQUEST)
            await one.jobs.submit("b", "default", REQUEST)
            await one.redis.delete("guerdon:job:a")
            one.jobs.start()
            assert (await ended(one, "b")).state == "done"
            assert len(one.ran) == 1
            assert int(await one.redis.get(ALL[2]) or 0) == 0

    run(main)


def test_without_redis_nothing_is_accepted(valkey_url: str) -> None:
    async def main() -> None:
        async with servers(valkey_url, 1) as (one,):
            await one.die()
            for ask in (
                one.jobs.submit("a", "default", REQUEST),
                one.jobs.look("a", "default", 0),
                one.jobs.cancel("a", "default"),
            ):
                with pytest.raises(Unavailable, match="Redis does not answer"):
                    await ask

    run(main)
