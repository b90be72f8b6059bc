"""While one configuration replaces another, servers and workers of both are at work on one queue."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from local_stack.stack import Stack

OLD = '[size]\nkind = "length"\nruns = "worker"\nhigh = 10\n'
NEW = '[size]\nkind = "length"\nruns = "worker"\nhigh = 20\n'
ENV = {"GUERDON_REWARD_WORKER_SILENCE_S": "2", "GUERDON_REWARD_CACHE": "false"}

HTTP = httpx.Client(timeout=90, trust_env=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


def started(folder: Path, name: str, rewards: str, redis_url: str | None = None) -> Stack:
    directory = folder / name
    directory.mkdir()
    (directory / "rewards.toml").write_text(rewards)
    return Stack(config=directory / "rewards.toml", directory=directory, redis_url=redis_url, threads=1, env=ENV)


@pytest.fixture(scope="module")
def old(folder: Path) -> Iterator[Stack]:
    with started(folder, "old", OLD) as stack:
        yield stack


@pytest.fixture(scope="module")
def new(folder: Path, old: Stack) -> Iterator[Stack]:
    with started(folder, "new", NEW, old.redis_url) as stack:
        yield stack


def scores(stack: Stack, deadline_s: float = 60) -> list[dict[str, Any]]:
    body = {"rewards": ["size"], "items": [{"completion": "three short words"}], "deadline_s": deadline_s}
    found: list[dict[str, Any]] = HTTP.post(f"{stack.url}/v1/score", json=body).json()["rewards"]
    return found


def readiness(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = HTTP.get(f"{stack.url}/readyz").json()
    return found


def eventually(condition: Callable[[], bool], within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_workers_of_two_versions_answer_the_servers_of_their_own_and_no_item_fails(old: Stack, new: Stack) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(scores, [old, new] * 20))
    assert [one["scores"][0].get("value") for [one] in found] == pytest.approx([0.3, 1.0] * 20)
    assert len({one["version"] for [one] in found}) == 2


def test_what_no_worker_of_its_version_is_left_for_ends_at_the_deadline_and_says_so(old: Stack, new: Stack) -> None:
    [before] = scores(old)
    assert (readiness(old)["workers"], readiness(old)["workers_otherwise"]) == ({"size": 1}, {"size": 1})
    worker = old.processes["reward-worker"].pid
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    try:
        eventually(lambda: readiness(old)["workers"] == {})
        scores(old, deadline_s=0.3)  # goes to the stopped worker, which had asked for a message already
        [late] = scores(old, deadline_s=1.5)
        with redis.Redis.from_url(str(old.redis_url)) as connection:
            assert 0 < connection.ttl(f"guerdon.size.{before['version']}") <= 3600  # should nobody ever read it
        assert readiness(old) | {"backlog": 0} == {
            "ready": True, "redis": True, "replies": True, "draining": False, "backlog": 0,
            "workers": {}, "workers_otherwise": {"size": 1},
        }  # fmt: skip
        [other] = scores(new)
    finally:
        os.kill(worker, signal.SIGCONT)
    [score] = late["scores"]
    assert score["status"] == "timeout"
    assert before["version"] in score["error"]
    assert other["version"] in score["error"]
    assert scores(old)[0]["scores"][0]["value"] == pytest.approx(0.3)
