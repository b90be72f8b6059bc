"""Rate limits: no minute has more than its share, and hardly less."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.judge_server.loopback import Loopback
from tests.judge_server.one_judge import judge, opened, question

from judge_server.limits.rate_limit import BURST_S, Bucket, LocalRates, RateLimit
from judge_server.limits.shared_rate_limit import SharedRates
from judge_server.llm import CallFailed
from judge_server.redis_scripts import Scripts

arrivals = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 50)), min_size=1, max_size=60)
"""(seconds since the one before, amount)"""


@given(arrivals, st.integers(1, 6000))
def test_no_minute_has_more_than_its_share_a_moment_and_one_call(work: list[tuple[float, float]], rate: int) -> None:
    bucket, now, used = Bucket(rate), 0.0, list[tuple[float, float]]()
    for pause, amount in work:
        now += pause
        used.append((now + bucket.book(amount, now), amount))
    share = rate * (60 + BURST_S) / 60 + max(amount for _, amount in used)
    for begin, _ in used:
        assert sum(amount for at, amount in used if begin <= at < begin + 60) <= share * (1 + 1e-9)


@given(arrivals, st.integers(1, 6000))
def test_nobody_waits_longer_than_for_what_came_before(work: list[tuple[float, float]], rate: int) -> None:
    bucket, now, before = Bucket(rate), 0.0, 0.0
    for pause, amount in work:
        now += pause
        assert -1e-6 <= bucket.book(amount, now) <= before * 60 / rate + 1e-6
        before += amount


@given(st.floats(0, 100), st.floats(0, 100), st.integers(1, 6000))
def test_a_refund_leaves_a_bucket_as_if_nothing_had_been_booked(amount: float, next_amount: float, rate: int) -> None:
    refunded, untouched = Bucket(rate), Bucket(rate)
    for bucket in (refunded, untouched):
        bucket.book(10.0, 1000.0)
    refunded.book(amount, 1000.0)
    refunded.refund(amount)
    assert refunded.book(next_amount, 1000.5) == pytest.approx(untouched.book(next_amount, 1000.5), abs=1e-6)


class VirtualTime:
    """A clock that stands still but for those who sleep; calls end `latency_s` after their turn."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def throughput(limit: Callable[[VirtualTime], RateLimit], calls: int, most: int, used: int) -> float:
    """Return the virtual seconds until the last call's turn, each settled as soon as the next but one has its own."""

    async def go() -> float:
        clock = VirtualTime()
        rates = limit(clock)
        turns = []
        for _ in range(calls):
            turns.append(await rates.turn(most, float("inf")))
            if len(turns) > 2:
                rates.settle(turns.pop(0), used)
                await rates.close()
        return clock.now

    return asyncio.run(go())


@pytest.mark.parametrize("used", [100, 400, 1000])
def test_tokens_come_within_a_tenth_of_what_is_allowed_whatever_share_of_the_most_is_used(used: int) -> None:
    tpm, calls = 60_000, 500

    def limit(clock: VirtualTime) -> RateLimit:
        return RateLimit(LocalRates(None, tpm, lambda: clock.now), "tpm", clock.sleep)

    least = calls * used / tpm * 60
    assert 0.95 * least <= throughput(limit, calls, 1000, used) <= 1.10 * least


def test_requests_come_exactly_as_allowed() -> None:
    def limit(clock: VirtualTime) -> RateLimit:
        return RateLimit(LocalRates(600, None, lambda: clock.now), "rpm", clock.sleep)

    assert throughput(limit, 601, 10, 10) == pytest.approx(60 - BURST_S)


def test_a_turn_beyond_the_deadline_is_refused_at_once_and_given_back() -> None:
    async def go() -> None:
        clock = VirtualTime()
        rates = RateLimit(LocalRates(1, None, lambda: clock.now), "rpm = 1 of j", clock.sleep)
        await rates.turn(1, 10)
        for _ in range(3):
            with pytest.raises(CallFailed, match=r"rpm = 1 of j lets the call go in 59\.5 s") as refusal:
                await rates.turn(1, 10)
            assert not refusal.value.retriable
            await rates.close()
        assert clock.now == 0

    asyncio.run(go())


def test_turns_are_given_in_order() -> None:
    async def go() -> None:
        clock = VirtualTime()
        rates = RateLimit(LocalRates(60, None, lambda: clock.now), "rpm", clock.sleep)
        order: list[int] = []

        async def one(number: int) -> None:
            await rates.turn(1, float("inf"))
            order.append(number)

        await asyncio.gather(*map(one, range(20)))
        assert order == list(range(20))

    asyncio.run(go())


def test_buckets_in_redis_do_as_those_in_process(valkey_url: str) -> None:
    async def go() -> None:
        scripts = Scripts(valkey_url)
        left, right = (SharedRates(scripts, "both", 60, 6000) for _ in range(2))
        local = LocalRates(60, 6000, lambda: 0.0)
        began = time.monotonic()
        shared = [await rates.book(1, 150) for rates in (left, right, left, right)]
        passed = time.monotonic() - began
        alone = [await local.book(1, 150) for _ in range(4)]
        for here, there in zip(alone, shared, strict=True):
            assert here - passed - 0.01 <= there <= here + 0.01
        await right.refund(0, 600)
        assert await left.book(0, 1) == 0
        await scripts.close()

    asyncio.run(go())


def test_calls_keep_to_the_limit_of_their_judge(loopback: Loopback, tmp_path: Path, valkey_url: str) -> None:
    async def go(**settings: object) -> None:
        async with opened(judge(loopback.url, rpm=600), tmp_path, **settings) as calls:
            began = time.monotonic()
            outcomes = await calls.ask_all([question(f"{n} {sorted(settings)}") for n in range(12)])
            assert all(outcome.failure is None for outcome in outcomes)
            assert time.monotonic() - began >= 11 * 0.1 - BURST_S

    asyncio.run(go())
    asyncio.run(go(redis_url=valkey_url))


def test_without_limits_there_is_no_turn_to_wait_for() -> None:
    assert asyncio.run(RateLimit(None, "").turn(10, 0.0)) is None
