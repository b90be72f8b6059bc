"""Lua scripts of many coroutines in few round trips."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from redis import asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from reward_server.round_trips import RoundTrips, Script

NAME = "round-trips"
ECHO = Script.of("return {KEYS[1], ARGV[1], ARGV[2]}")
APPEND = Script.of("return redis.call('RPUSH', KEYS[1], ARGV[1])")
BROKEN = Script.of("return redis.call('NO-SUCH-COMMAND')")


def run(url: str, main: Callable[[RoundTrips, "aioredis.Redis"], Coroutine[Any, Any, None]]) -> None:
    async def connected() -> None:
        async with aioredis.Redis.from_url(url, retry=None, socket_timeout=30, client_name=NAME) as redis:
            await redis.flushdb()
            await redis.script_flush()
            trips = RoundTrips(redis, timeout_s=30)
            await main(trips, redis)
            await trips.close()

    asyncio.run(asyncio.wait_for(connected(), 60))


def test_every_call_gets_its_own_answer_and_the_calls_of_a_moment_share_a_connection(valkey_url: str) -> None:
    async def main(trips: RoundTrips, redis: "aioredis.Redis") -> None:
        answers = await asyncio.gather(*(trips.call(ECHO, [f"key {i}"], i, b"\xff") for i in range(300)))
        assert answers == [[f"key {i}".encode(), str(i).encode(), b"\xff"] for i in range(300)]
        assert len([client for client in await redis.client_list() if client["name"] == NAME]) == 1

    run(valkey_url, main)


def test_calls_arrive_in_the_order_in_which_they_were_made_posted_ones_too(valkey_url: str) -> None:
    async def main(trips: RoundTrips, redis: "aioredis.Redis") -> None:
        async def call(i: int) -> None:
            await trips.call(APPEND, ["list"], i)

        calls = []
        for i in range(0, 400, 2):
            calls.append(asyncio.create_task(call(i)))
            await asyncio.sleep(0)  # until it is in line
            trips.post(APPEND, ["list"], i + 1)
        await asyncio.gather(*calls)
        await trips.call(APPEND, ["list"], 400)
        assert await redis.lrange("list", 0, -1) == [str(i).encode() for i in range(401)]

    run(valkey_url, main)


def test_a_call_that_fails_fails_alone(valkey_url: str) -> None:
    async def main(trips: RoundTrips, redis: "aioredis.Redis") -> None:
        trips.post(BROKEN, [])
        calls = [trips.call(ECHO, ["a"], 1, 2), trips.call(BROKEN, []), trips.call(ECHO, ["b"], 3, 4)]
        first, broken, last = await asyncio.gather(*calls, return_exceptions=True)
        assert (first, last) == ([b"a", b"1", b"2"], [b"b", b"3", b"4"])
        assert isinstance(broken, ResponseError)

    run(valkey_url, main)


def test_a_redis_that_has_forgotten_the_scripts_is_told_again(valkey_url: str) -> None:
    async def main(trips: RoundTrips, redis: "aioredis.Redis") -> None:
        for _ in range(2):
            await redis.script_flush()
            assert await trips.call(ECHO, ["a"], 1, 2) == [b"a", b"1", b"2"]

    run(valkey_url, main)


def test_a_call_that_is_given_up_before_it_was_sent_is_not_sent(valkey_url: str) -> None:
    async def main(trips: RoundTrips, redis: "aioredis.Redis") -> None:
        await trips.call(ECHO, ["connected"], 1, 2)
        await redis.client_pause(20_000, all=False)
        first = asyncio.create_task(trips.call(APPEND, ["list"], "first"))
        for _ in range(5):
            await asyncio.sleep(0)  # until it is on its way
        given_up = asyncio.create_task(trips.call(APPEND, ["list"], "given up"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await redis.client_unpause()
        await first
        await trips.call(APPEND, ["list"], "kept")
        assert await redis.lrange("list", 0, -1) == [b"first", b"kept"]

    run(valkey_url, main)


def test_a_redis_that_is_away_is_an_error_of_redis_for_every_call() -> None:
    async def main() -> None:
        trips = RoundTrips(aioredis.Redis(port=1, retry=None))
        for error in await asyncio.gather(*(trips.call(ECHO, ["a"], 1, 2) for _ in range(5)), return_exceptions=True):
            assert isinstance(error, RedisError)
        trips.post(ECHO, ["a"], 1, 2)
        await trips.close()

    asyncio.run(main())


def test_a_redis_that_does_not_answer_is_an_error_after_a_while(valkey_url: str) -> None:
    async def main() -> None:
        async with (
            aioredis.Redis.from_url(valkey_url, retry=None) as redis,
            aioredis.Redis.from_url(valkey_url) as other,
        ):
            trips = RoundTrips(redis, timeout_s=0.05)
            await trips.call(ECHO, ["a"], 1, 2)
            await other.client_pause(20_000, all=False)
            calls = [trips.call(ECHO, ["a"], 1, 2) for _ in range(3)]
            for error in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(error, RedisError)
            await other.client_unpause()
            await trips.close()

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("name", ["cohort.lua", "job.lua", "quota.lua"])
def test_the_scripts_of_this_server_are_found_where_it_is_installed(name: str) -> None:
    assert Script.read(name).text.startswith("-- ")
