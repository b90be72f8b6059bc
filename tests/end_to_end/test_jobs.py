"""Requests that are scored without waiting, through real processes."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from guerdon.client import AsyncRewardClient, Refused, RewardClient
from guerdon.messages import Item, Job, ScoreRequest
from local_stack.stack import Stack

REWARDS = """
[length]
kind = "length"
[queued_length]
kind = "length"
runs = "worker"
"""
REQUEST = ScoreRequest(rewards=["queued_length", "length"], items=[Item(completion="some words")])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    (directory / "rewards.toml").write_text(REWARDS)
    env = {"GUERDON_REWARD_MAX_JOBS": "4"}
    with Stack(config=directory / "rewards.toml", directory=directory, threads=1, env=env) as running:
        yield running


@pytest.fixture
def client(server: Stack) -> Iterator[RewardClient]:
    with RewardClient(server.url) as one:
        yield one


def ended(client: RewardClient, job: Job) -> Job:
    while not job.ended:
        job = client.job(job.id, wait_s=60)
    return job


def test_a_job_has_the_scores_that_its_request_would_have_had(client: RewardClient) -> None:
    accepted = client.submit(REQUEST)
    assert (accepted.state, accepted.response) in {("queued", None), ("running", None)}
    job = ended(client, accepted)
    assert (job.id, job.state, job.error) == (accepted.id, "done", None)
    assert job.response is not None
    assert job.response.rewards == client.score(REQUEST).rewards


def test_the_async_client_can_do_the_same(server: Stack) -> None:
    async def both() -> tuple[Job, Job]:
        async with AsyncRewardClient(server.url) as client:
            job = await client.submit(REQUEST)
            while not job.ended:
                job = await client.job(job.id, wait_s=60)
            return job, await client.cancel(job.id)

    job, cancelled = asyncio.run(both())
    assert job.state == "done"
    assert cancelled == job


def test_the_answer_to_a_post_says_where_to_look(server: Stack) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        accepted = http.post("/v1/jobs", json=REQUEST.model_dump())
        assert accepted.status_code == 202
        location = accepted.headers["location"]
        assert location == f"/v1/jobs/{accepted.json()['id']}"
        job = http.get(location, params={"wait_s": 30}).json()
        assert job["state"] == "done"
        assert job["expires"] - job["created"] > 3599


def test_a_post_that_is_sent_again_with_its_key_is_one_job(server: Stack) -> None:
    body = REQUEST.model_dump() | {"run": "again"}
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        key = {"idempotency-key": "one key"}
        jobs = [http.post("/v1/jobs", json=body | {"deadline_s": s}, headers=key).json() for s in (30, 20)]
        assert jobs[0]["id"] == jobs[1]["id"]
        assert jobs[0]["deadline"] == jobs[1]["deadline"]
        other = http.post("/v1/jobs", json=body | {"rewards": ["length"]}, headers=key)
        assert other.status_code == 422
        assert other.json()["fields"][0]["field"] == "idempotency-key"
        assert http.post("/v1/jobs", json=body, headers={"idempotency-key": "x" * 201}).status_code == 422


def test_a_wrong_request_is_refused_when_it_is_posted(client: RewardClient) -> None:
    with pytest.raises(Refused, match=r"unknown rewards \['lenght'\]"):
        client.submit(REQUEST.model_copy(update={"rewards": ["lenght"]}))


def test_jobs_that_do_not_exist_are_404(client: RewardClient) -> None:
    for job_id in ("0" * 32, "no such job", "../score", "%00", "ü"):
        for ask in (client.job, client.cancel):
            with pytest.raises(Refused, match="404") as refused:
                ask(job_id)
            assert refused.value.status_code == 404


def test_a_cancelled_job_stays_cancelled_and_its_place_is_free(server: Stack, client: RewardClient) -> None:
    worker = server.processes["reward-worker"].pid
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    try:
        requests = [REQUEST.model_copy(update={"items": [Item(completion=f"job {i}")]}) for i in range(5)]
        jobs = [client.submit(request) for request in requests[:4]]
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            full = http.post("/v1/jobs", json=requests[4].model_dump())
            assert (full.status_code, full.headers["retry-after"]) == (503, "1")
            assert "4 jobs are unfinished" in full.json()["error"]
        assert client.cancel(jobs[0].id).state == "cancelled"
        jobs.append(client.submit(requests[4]))
    finally:
        os.kill(worker, signal.SIGCONT)
    assert [ended(client, job).state for job in jobs] == ["cancelled", *["done"] * 4]
    assert client.job(jobs[0].id).state == "cancelled"


def test_a_spent_deadline_is_typed_in_an_answer_that_is_done(server: Stack, client: RewardClient) -> None:
    worker = server.processes["reward-worker"].pid
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    try:
        request = REQUEST.model_copy(update={"deadline_s": 2.0, "items": [Item(completion="nobody answers")]})
        job = ended(client, client.submit(request))
    finally:
        os.kill(worker, signal.SIGCONT)
    assert job.state == "done"
    assert job.response is not None
    assert [rewards.scores[0].status for rewards in job.response.rewards] == ["timeout", "ok"]


def test_a_job_of_an_api_that_was_killed_is_done_by_another(server: Stack, tmp_path: Path) -> None:
    worker, api = server.processes["reward-worker"].pid, server.processes["reward-api"].pid
    assert worker is not None
    assert api is not None
    with (
        Stack(config=server.config, directory=tmp_path, redis_url=server.redis_url, worker=False) as other,
        RewardClient(server.url) as before,
        RewardClient(other.url) as after,
        ThreadPoolExecutor(1) as pool,
    ):
        os.kill(worker, signal.SIGSTOP)
        try:
            job = before.submit(REQUEST.model_copy(update={"items": [Item(completion="survives")]}))
            while before.job(job.id).state != "running":
                time.sleep(0.01)
            waiting = pool.submit(ended, after, job)
            os.kill(api, signal.SIGKILL)
        finally:
            os.kill(worker, signal.SIGCONT)
        found = waiting.result()
    assert found.state == "done"
    assert found.response is not None
    assert {rewards.scores[0].status for rewards in found.response.rewards} == {"ok"}
