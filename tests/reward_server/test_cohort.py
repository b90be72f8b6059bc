"""Groups whose members arrive in several requests, at several replicas, against a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import asyncio as aioredis

from guerdon.messages import Score
from http_face.refused import Unavailable
from reward_server.cohort import Cohorts
from reward_server.cohort_record import Cohort, Patience
from reward_server.round_trips import RoundTrips

QUICK = Patience(lease_s=0.06, sweep_s=0.02)
NOTIFIED = Patience(sweep_s=600)
"""Whoever waits depends on notices."""
LONG_S = 30.0
COHORT = Cohort("default", "diversity", "diversity.1.abc", "run/a1/train/0/0", 3)


@dataclass
class Replica:
    """One API process: its Cohorts, the pump that hands it notices, and the groups it was asked to score."""

    url: str
    name: str
    patience: Patience = QUICK
    dies_scoring: bool = False
    notified: bool = True
    scored: list[list[bytes]] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.redis = aioredis.Redis.from_url(self.url, socket_timeout=30, retry=None)
        self.trips = RoundTrips(self.redis, timeout_s=30)
        self.cohorts = Cohorts(self.trips, f"guerdon:reply:{self.name}", patience=self.patience)
        self._stopping = False
        self._pump = asyncio.create_task(self._pumped()) if self.notified else None
        self.go_on.set()

    async def _pumped(self) -> None:
        async with aioredis.Redis.from_url(self.url, socket_timeout=5) as redis:
            while not self._stopping:  # a cancellation can be swallowed by a notice that comes in the same moment
                if (popped := await redis.blpop([f"guerdon:reply:{self.name}"], 2)) is not None:
                    self.cohorts.hear(orjson.loads(popped[1]))

    async def score(self, texts: list[bytes], deadline: float) -> list[Score]:
        """A score says at which place of the group its text stood."""
        self.scored.append(texts)
        self.started.set()
        if self.dies_scoring:
            await self.die()
            await asyncio.Event().wait()
        await self.go_on.wait()
        return [Score(value=place, notes={"text": text.decode()}) for place, text in enumerate(texts)]

    async def die(self) -> None:
        """Be cut off: nothing of this process reaches Redis any more."""
        await self.redis.aclose()
        self.redis.connection_pool = aioredis.ConnectionPool(port=1, retry=None)

    def join(
        self, members: dict[int, str], deadline_s: float = LONG_S, cohort: Cohort = COHORT
    ) -> asyncio.Task[dict[int, Score]]:
        texts = {slot: text.encode() for slot, text in members.items()}
        return asyncio.create_task(self.cohorts.scores(cohort, texts, time.time() + deadline_s, self.score))

    async def stop(self) -> None:
        self._stopping = True
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        await self.cohorts.close()
        await self.trips.close()
        await self.redis.aclose()


@asynccontextmanager
async def replicas(url: str, count: int, **more: Any) -> AsyncIterator[list[Replica]]:
    async with aioredis.Redis.from_url(url) as redis:
        await redis.flushdb()
    running = [Replica(url, f"replica{i}", **more) for i in range(count)]
    try:
        yield running
    finally:
        for replica in running:
            await replica.stop()


async def has_joined(redis: "aioredis.Redis", members: int = 1, cohort: Cohort = COHORT) -> None:
    while int(await redis.hget(cohort.keys[0], "n") or 0) < members:
        pass


async def keys_without_an_end(redis: "aioredis.Redis") -> list[bytes]:
    return [key async for key in redis.scan_iter("guerdon:*") if await redis.pttl(key) == -1]


def texts_of(scores: dict[int, Score]) -> dict[int, str]:
    return {slot: score.notes["text"] for slot, score in scores.items()}


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 60))


def test_members_that_come_to_two_replicas_are_scored_once_and_in_the_order_of_their_slots(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2, patience=NOTIFIED) as (one, two):
            first, second = one.join({2: "c", 0: "a"}), two.join({1: "b"})
            assert texts_of(await first) == {0: "a", 2: "c"}
            assert texts_of(await second) == {1: "b"}
            assert one.scored + two.scored == [[b"a", b"b", b"c"]]

    run(main)


def test_a_member_that_comes_again_has_the_same_answer_and_is_not_scored_again(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2) as (one, two):
            before = await asyncio.gather(one.join({0: "a", 1: "b"}), two.join({2: "c"}))
            assert await two.join({0: "a", 1: "b"}) == before[0]
            assert len(one.scored + two.scored) == 1

    run(main)


def test_a_slot_with_another_completion_is_refused_and_the_group_goes_on_without_it(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2) as (one, two):
            first = one.join({0: "a"})
            await has_joined(one.redis)
            second = two.join({0: "other", 1: "b", 2: "c"})
            assert texts_of(await first) == {0: "a"}
            scores = await second
            assert scores[0].status == "invalid_input"
            assert "slot 0 already holds another completion" in str(scores[0].error)
            assert texts_of({slot: scores[slot] for slot in (1, 2)}) == {1: "b", 2: "c"}
            late = await two.join({0: "other"})
            assert late[0].status == "invalid_input"

    run(main)


def test_requests_that_disagree_about_the_size_of_a_group_are_told(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            first = one.join({0: "a", 1: "b"})
            await has_joined(one.redis)
            larger = await one.join({2: "c"}, cohort=Cohort("default", "diversity", "diversity.1.abc", COHORT.group, 4))
            assert (larger[2].status, larger[2].error) == (
                "invalid_input",
                "this request gives the group 4 members, another one 3",
            )
            assert texts_of(await one.join({2: "c"})) == {2: "c"}
            assert texts_of(await first) == {0: "a", 1: "b"}

    run(main)


def test_when_a_member_is_missing_everybody_hears_so_at_the_earliest_deadline(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2, patience=NOTIFIED) as (one, two):
            patient, hurried = one.join({0: "a"}, deadline_s=600), two.join({1: "b"}, deadline_s=0.05)
            scores = {**await patient, **await hurried}
            assert {(score.status, score.error) for score in scores.values()} == {
                ("cohort_incomplete", "2 of 3 members arrived within the deadline")
            }
            late = await one.join({2: "c"})
            assert late[2] == scores[0]
            assert one.scored + two.scored == []

    run(main)


def test_the_earliest_deadline_holds_even_when_whoever_brought_it_has_died(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2) as (one, mortal):
            patient, lost = one.join({0: "a"}, deadline_s=600), mortal.join({1: "b"}, deadline_s=0.2)
            await has_joined(one.redis, 2)
            await mortal.die()
            assert (await patient)[0].status == "cohort_incomplete"
            # the one who died may not even have read that it had joined
            (died,) = await asyncio.gather(lost, return_exceptions=True)
            assert isinstance(died, Unavailable) or died[1].status == "timeout"

    run(main)


def test_while_a_group_is_waited_for_it_outlives_the_wait_and_not_much_more(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            wait = one.join({0: "a"})
            await has_joined(one.redis)
            for key in COHORT.keys:
                assert LONG_S < await one.redis.pttl(key) / 1000 <= LONG_S + QUICK.linger_s
            wait.cancel()

    run(main)


def test_a_claim_that_another_has_taken_over_stores_nothing(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1, patience=Patience(lease_s=0.01)) as (one,):
            records = one.cohorts.records
            first = await records.join(COHORT, "waiter", "token 1", 60, {0: b"a", 1: b"b", 2: b"c"})
            assert (first.what, first.texts) == ("score", [b"a", b"b", b"c"])
            while (await records.look(COHORT, "waiter", "token 2", late=False)).what != "score":
                pass
            assert not await records.renew(COHORT, "token 1")
            await records.store(COHORT, "token 1", b"late")
            assert (await records.look(COHORT, "waiter", "", late=False)).what != "done"
            await records.store(COHORT, "token 2", b"result")
            await records.store(COHORT, "token 1", b"later still")
            assert (await records.look(COHORT, "waiter", "", late=False)).detail == b"result"

    run(main)


def test_after_a_while_the_id_of_an_incomplete_group_is_free_again(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1, patience=Patience(linger_s=0.02)) as (one,):
            await one.join({0: "a"}, deadline_s=0.02)
            while await one.redis.exists(*COHORT.keys):
                pass
            again = one.join({0: "another"})
            scores = await one.join({1: "b", 2: "c"})
            assert texts_of({**await again, **scores}) == {0: "another", 1: "b", 2: "c"}

    run(main)


def test_groups_of_two_tenants_or_versions_do_not_meet(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            others = [
                Cohort("team-b", COHORT.reward, COHORT.version, COHORT.group, 3),
                Cohort("default", COHORT.reward, "diversity.2.def", COHORT.group, 3),
                Cohort("default", "other", COHORT.version, COHORT.group, 3),
            ]
            waits = [one.join({0: "a", 1: "b"}, 0.05, cohort) for cohort in [COHORT, *others]]
            waits.append(one.join({2: "c"}))
            scores = await asyncio.gather(*waits)
            assert [next(iter(its.values())).status for its in scores] == ["ok", *["cohort_incomplete"] * 3, "ok"]

    run(main)


def test_when_the_replica_that_scores_dies_another_takes_over(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2) as (mortal, other):
            mortal.dies_scoring = True
            waits = other.join({0: "a", 1: "b"})
            await has_joined(other.redis, 2)
            lost = mortal.join({2: "c"})
            assert texts_of(await waits) == {0: "a", 1: "b"}
            assert (len(mortal.scored), len(other.scored)) == (1, 1)
            lost.cancel()

    run(main)


def test_without_notices_a_waiter_finds_the_result_by_itself(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2, notified=False) as (one, two):
            scores = await asyncio.gather(one.join({0: "a", 1: "b"}), two.join({2: "c"}))
            assert texts_of({**scores[0], **scores[1]}) == {0: "a", 1: "b", 2: "c"}

    run(main)


def test_scoring_goes_on_when_the_request_that_started_it_is_gone(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2) as (one, two):
            one.go_on.clear()
            waits = two.join({0: "a", 1: "b"})
            await has_joined(two.redis, 2)
            gone = one.join({2: "c"})
            await one.started.wait()
            gone.cancel()
            one.go_on.set()
            assert texts_of(await waits) == {0: "a", 1: "b"}
            assert two.scored == []

    run(main)


def test_when_everybody_has_gone_nothing_is_scored_any_more_and_a_retry_can_complete_the_group(
    valkey_url: str,
) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            one.go_on.clear()
            waits = [one.join({0: "a", 1: "b"}), one.join({2: "c"})]
            await one.started.wait()
            for wait in waits:
                wait.cancel()
            while one.cohorts.waiting:  # the scorer, too, has let go
                await one.redis.ping()
            one.go_on.set()
            assert texts_of(await one.join({1: "b"})) == {1: "b"}
            assert len(one.scored) == 2

    run(main)


def test_a_lost_redis_ends_in_a_typed_status_at_the_deadline(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            wait = one.join({0: "a"}, deadline_s=0.3)
            await has_joined(one.redis)
            await one.die()
            scores = await wait
            assert scores[0].status == "timeout"
            with pytest.raises(Unavailable, match="Redis does not answer"):
                await one.join({1: "b"})

    run(main)


def test_a_redis_that_lost_its_data_is_told_again_who_waits(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 2) as (one, two):
            wait = one.join({0: "a", 1: "b"})
            await has_joined(one.redis, 2)
            await one.redis.flushall()
            await one.redis.script_flush()
            scores = {**await two.join({2: "c"}), **await wait}
            assert texts_of(scores) == {0: "a", 1: "b", 2: "c"}

    run(main)


def test_a_reward_that_raises_fails_the_whole_group_with_its_reason(valkey_url: str) -> None:
    async def broken(texts: list[bytes], deadline: float) -> list[Score]:
        raise RuntimeError("no such luck")

    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            first = asyncio.create_task(one.cohorts.scores(COHORT, {0: b"a"}, time.time() + 9, broken))
            rest = await one.cohorts.scores(COHORT, {1: b"b", 2: b"c"}, time.time() + 9, broken)
            for score in [*(await first).values(), *rest.values()]:
                assert (score.status, score.error) == ("model_error", "RuntimeError: no such luck")

    run(main)


def test_a_spent_deadline_does_not_end_the_group_for_the_others(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            wait = one.join({0: "a", 1: "b"})
            await has_joined(one.redis, 2)
            assert (await one.join({2: "c"}, deadline_s=-1))[2].status == "timeout"
            assert (await one.join({2: "c"}))[2].ok
            assert texts_of(await wait) == {0: "a", 1: "b"}

    run(main)


def test_more_members_than_may_be_held_are_not_admitted(valkey_url: str) -> None:
    async def main() -> None:
        async with replicas(valkey_url, 1) as (one,):
            small = Cohorts(one.trips, "guerdon:reply:small", max_bytes=10, patience=QUICK)
            wait = asyncio.create_task(small.scores(COHORT, {0: b"sixteen letters!"}, time.time() + 9, one.score))
            await has_joined(one.redis)
            with pytest.raises(Unavailable, match="16 bytes of members wait"):
                await small.scores(COHORT, {1: b"one more"}, time.time() + 9, one.score)
            wait.cancel()
            await asyncio.gather(wait, return_exceptions=True)
            await small.close()

    run(main)


@dataclass
class Arrival:
    """One request: which members it brings to which replica, how long it waits, and whether its client leaves."""

    replica: int
    members: dict[int, str]
    deadline_s: float
    leaves: bool


@st.composite
def arrivals(draw: st.DrawFn, size: int) -> list[Arrival]:
    deadlines = st.sampled_from([0.002, 0.02, 0.3, 0.3])
    some = []
    for _ in range(draw(st.integers(1, 5))):
        slots = draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True))
        members = {slot: f"{slot}{draw(st.sampled_from(['', '', '', '!']))}" for slot in slots}
        leaves = draw(st.sampled_from([False] * 4 + [True]))
        some.append(Arrival(draw(st.integers(0, 2)), members, draw(deadlines), leaves))
    return some


def agree(cohort: Cohort, answers: list[dict[int, Score]]) -> None:
    """Whoever waited was told the same: one group's scores, in the order of the slots, or one failure."""
    told = [
        (slot, score)
        for its in answers
        for slot, score in its.items()
        if score.status != "invalid_input" and "deadline had passed before" not in str(score.error)  # never joined
    ]
    assert len({score.error for _, score in told}) <= 1
    assert len({score.status for _, score in told}) <= 1
    for slot, score in told:
        if score.ok:
            assert score.value == slot
            assert score.notes["text"].startswith(str(slot))
        else:
            assert score.status in {"cohort_incomplete", "timeout"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whoever_waits_is_answered_and_all_who_wait_for_one_group_agree(valkey_url: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 4))
    cohort = Cohort("default", "diversity", "v", "g", size)
    requests = data.draw(arrivals(size))
    mortal = data.draw(st.sampled_from([None, 0, 1, 2]))

    async def main() -> None:
        async with replicas(valkey_url, 3) as running:
            for index, replica in enumerate(running):
                replica.dies_scoring = index == mortal
            tasks = [running[r.replica].join(r.members, r.deadline_s, cohort) for r in requests]
            for request, task in zip(requests, tasks, strict=True):
                if request.leaves:
                    await asyncio.sleep(0)
                    task.cancel()
            alive = [t for r, t in zip(requests, tasks, strict=True) if r.replica != mortal and not r.leaves]
            answers = await asyncio.gather(*alive)
            agree(cohort, answers)
            scorings = sum(len(replica.scored) for replica in running)
            if not any(request.leaves for request in requests):
                died = any(replica.dies_scoring and replica.scored for replica in running)
                assert scorings <= 1 + died
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for index, replica in enumerate(running):
                if index != mortal:
                    await replica.cohorts.close()
                    assert replica.cohorts.waiting == 0
            async with aioredis.Redis.from_url(valkey_url) as redis:
                assert await keys_without_an_end(redis) == []

    run(main)
