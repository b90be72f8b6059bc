"""The reply pump against a real Valkey."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from redis import asyncio as aioredis

from local_stack.stack import Stack
from reward_server.replies import Replies


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Stack(directory=tmp_path_factory.mktemp("stack"), worker=False) as stack:
        assert stack.redis_url is not None
        yield stack.redis_url


async def pumped(url: str, replies: list[bytes], last: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """What is delivered of `replies`, up to and with `last`, and whether the pump is alive after it."""
    got: list[dict[str, Any]] = []
    done = asyncio.Event()

    def deliver(reply: dict[str, Any]) -> None:
        got.append({"outcomes": reply["outcomes"]})
        if reply == last:
            done.set()

    pump = Replies(url, "guerdon:reply:test", deliver)
    async with aioredis.Redis.from_url(url) as redis:
        pump.start()
        for reply in replies:
            await redis.rpush("guerdon:reply:test", reply)
        await asyncio.wait_for(done.wait(), 20)
        alive = pump.alive
        await pump.stop()
    return got, alive


def test_replies_arrive_in_order(redis_url: str) -> None:
    replies = [b'{"outcomes": [["a", {}]]}', b'{"outcomes": [["b", {}]]}']
    got, alive = asyncio.run(pumped(redis_url, replies, {"outcomes": [["b", {}]]}))
    assert [reply["outcomes"][0][0] for reply in got] == ["a", "b"]
    assert alive


def test_bytes_that_are_no_reply_do_not_end_the_pump(redis_url: str) -> None:
    replies = [b"\xff", b"[]", b"5", b"null", b'{"other": 1}', b'"text"', b'{"outcomes": []}']
    got, alive = asyncio.run(pumped(redis_url, replies, {"outcomes": []}))
    assert got == [{"outcomes": []}]
    assert alive


def test_a_pump_that_was_never_started_is_not_alive() -> None:
    async def fresh() -> bool:
        return Replies("redis://127.0.0.1:1/0", "list", lambda reply: None).alive

    assert not asyncio.run(fresh())
