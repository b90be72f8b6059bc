"""What the clients send, and when they send it again."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from tests.loopback_http import Told, Wire, served, wired

from guerdon.client import (
    AsyncRewardClient,
    Attempts,
    Refused,
    RewardClient,
    Unreachable,
    Unreadable,
    beyond_loopback,
)
from guerdon.messages import Item, ScoreRequest


def attempts(deadline_s: float = 60) -> Attempts:
    return Attempts("http://server/v1/score", deadline_s, clock=lambda: 0)


def test_what_another_attempt_can_change_is_tried_again() -> None:
    for code in (408, 429, 500, 502, 503, 504):
        assert attempts().wait_s(httpx.Response(code)) < 1
    assert attempts().wait_s(httpx.ConnectError("refused")) < 1


@pytest.mark.parametrize("code", [400, 401, 404, 413, 422])
def test_what_another_attempt_cannot_change_is_refused_in_the_servers_words(code: int) -> None:
    body = {"error": "no such reward", "fields": [{"field": "rewards", "problem": "unknown"}]}
    with pytest.raises(Refused, match=rf"{code}: no such reward \(rewards: unknown\)") as refused:
        attempts().wait_s(httpx.Response(code, json=body))
    assert refused.value.status_code == code


def test_waits_grow_but_stay_bounded() -> None:
    rule = attempts(1e6)
    waits = [rule.wait_s(httpx.Response(503)) for _ in range(12)]
    assert waits[0] < 0.2
    assert max(waits) <= 7.5


def test_the_server_is_believed_when_it_says_how_long_to_wait() -> None:
    assert attempts().wait_s(httpx.Response(503, headers={"retry-after": "30"})) == 30


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-3"])
def test_a_retry_after_that_is_no_number_is_not_believed(header: str) -> None:
    assert attempts().wait_s(httpx.Response(503, headers={"retry-after": header})) < 1


def test_a_wait_beyond_the_deadline_gives_up_and_says_what_happened_last() -> None:
    with pytest.raises(Unreachable, match="503: Redis is away"):
        attempts(5).wait_s(httpx.Response(503, headers={"retry-after": "10"}, json={"error": "Redis is away"}))
    with pytest.raises(Unreachable, match="ConnectError: refused"):
        attempts(0).wait_s(httpx.ConnectError("refused"))


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:8000", "http://[::1]:8000"])
def test_loopback_is_never_asked_for_through_a_proxy(url: str) -> None:
    assert not beyond_loopback(url)
    assert beyond_loopback("http://rewards.internal:8000")


JOB = '{"id": "a1", "state": "done", "created": 1.0, "deadline": 2.0, "expires": 3.0}'


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wired() as wire:
        yield wire


REQUEST = ScoreRequest(rewards=["length"], items=[Item(completion="words")], deadline_s=20, priority="bulk")


def test_a_job_that_is_submitted_again_carries_the_same_key_and_what_is_left_of_its_deadline(
    wire: Wire,
) -> None:
    wire.answers = [(503, "{}"), (502, "a proxy's page"), (202, JOB), (202, JOB)]
    with RewardClient(wire.url, token="t") as client:
        assert client.submit(REQUEST).id == "a1"
        client.submit(REQUEST)
    keys = [one.headers["idempotency-key"] for one in wire.asked]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert {(one.method, one.path) for one in wire.asked} == {("POST", "/v1/jobs")}
    assert {one.headers["authorization"] for one in wire.asked} == {"Bearer t"}
    sent = [ScoreRequest.model_validate_json(one.body) for one in wire.asked]
    assert sent[2].deadline_s < sent[0].deadline_s <= 20
    assert {one.priority for one in sent} == {"bulk"}


def test_looking_at_a_job_and_cancelling_it_are_tried_again_too(wire: Wire) -> None:
    wire.answers = [(503, "{}"), (200, JOB), (504, ""), (200, JOB)]
    with RewardClient(wire.url) as client:
        assert client.job("a1", wait_s=30).ended
        assert client.cancel("a1").state == "done"
    asked = [(one.method, one.path.partition("?")[0]) for one in wire.asked]
    assert asked == [("GET", "/v1/jobs/a1")] * 2 + [("DELETE", "/v1/jobs/a1")] * 2
    waits = [float(one.path.partition("wait_s=")[2]) for one in wire.asked[:2]]
    assert 0 < waits[1] < waits[0] <= 30


def test_the_id_of_a_job_is_never_a_path_of_its_own(wire: Wire) -> None:
    wire.answers = [(404, '{"error": "there is no such job"}')]
    with RewardClient(wire.url) as client, pytest.raises(Refused, match="there is no such job") as refused:
        client.job("../score?x=1")
    assert refused.value.status_code == 404
    assert wire.asked[0].path.startswith("/v1/jobs/..%2Fscore%3Fx%3D1?wait_s=")


def test_an_answer_that_is_no_job_is_said_to_be_none(wire: Wire) -> None:
    wire.answers = [(202, "<html>"), (202, "<html>")]

    async def submitted() -> None:
        async with AsyncRewardClient(wire.url) as client:
            await client.submit(REQUEST)

    with RewardClient(wire.url) as client, pytest.raises(Unreadable, match="not of this contract"):
        client.submit(REQUEST)
    with pytest.raises(Unreadable, match="not of this contract"):
        asyncio.run(submitted())


def test_an_answer_that_was_garbled_on_its_way_is_asked_for_again() -> None:
    answers = [Told(200, "no gzip", {"content-encoding": "gzip"}), Told(202, JOB)]
    with served(lambda _: answers.pop(0)) as url, RewardClient(url) as client:
        assert client.submit(REQUEST).id
    assert not answers


def test_the_async_client_keeps_its_key_too(wire: Wire) -> None:
    wire.answers = [(429, "{}"), (202, JOB), (200, JOB), (200, JOB)]

    async def all_three() -> list[str]:
        async with AsyncRewardClient(wire.url) as client:
            job = await client.submit(REQUEST)
            return [job.id, (await client.job(job.id)).id, (await client.cancel(job.id)).id]

    assert asyncio.run(all_three()) == ["a1"] * 3
    assert len({one.headers["idempotency-key"] for one in wire.asked[:2]}) == 1
