"""What a reward does to its worker stays its own affair: the guilty item fails, its neighbours are scored."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from local_stack.stack import Stack

KINDS = Path(__file__).parent / "kinds"
ENV = {
    "PYTHONPATH": os.pathsep.join([str(KINDS), *filter(None, [os.environ.get("PYTHONPATH")])]),
    "GUERDON_REWARD_WORKER_SILENCE_S": "2",
}
REWARDS = """
[odd]
kind = "odd"
[narrow]
kind = "odd"
most = 4
[slow]
kind = "odd"
seconds = 0.02
[plodding]
kind = "sleepy"
seconds = 0.05
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "rewards.toml"
    path.write_text(REWARDS)
    return path


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Iterator[Stack]:
    with Stack(config=config, directory=tmp_path_factory.mktemp("stack"), threads=1, env=ENV) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=90, trust_env=False) as client:
        yield client


def scores(http: httpx.Client, reward: str, *completions: str, deadline_s: float = 60) -> list[dict[str, Any]]:
    items = [{"completion": completion} for completion in completions]
    answer = http.post("/v1/score", json={"rewards": [reward], "items": items, "deadline_s": deadline_s})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rewards"][0]["scores"]
    return found


def statuses(found: list[dict[str, Any]]) -> list[str]:
    return [score["status"] for score in found]


def metric(http: httpx.Client, name: str) -> float:
    lines = http.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@pytest.mark.parametrize("guilty", ["raise", "nan", "text", "none", "unsizable"])
def test_only_the_guilty_item_fails(http: httpx.Client, guilty: str) -> None:
    good = [f"good, not {guilty[::-1]} {i}" for i in range(6)]
    found = scores(http, "odd", *good[:3], guilty, *good[3:])
    assert statuses(found) == ["ok"] * 3 + ["model_error"] + ["ok"] * 3
    assert [score["value"] for score in found if score["value"] is not None] == [float(len(text)) for text in good]


def test_a_list_of_the_wrong_length_shifts_no_score_onto_another_item(http: httpx.Client) -> None:
    found = scores(http, "odd", "good a", "shorten", "good bcd")
    assert statuses(found) == ["ok", "model_error", "ok"]
    assert [found[0]["value"], found[2]["value"]] == [6.0, 8.0]


def test_too_much_for_the_memory_is_halved_until_it_fits(http: httpx.Client) -> None:
    found = scores(http, "narrow", *(f"an item {i:02}" for i in range(32)))
    assert statuses(found) == ["ok"] * 32


def test_bytes_that_are_no_message_end_no_worker(http: httpx.Client, stack: Stack) -> None:
    worker = stack.processes["reward-worker"].pid
    assert stack.redis_url is not None
    version = next(one["version"] for one in http.get("/v1/rewards").json()["rewards"] if one["name"] == "odd")
    with redis.Redis.from_url(stack.redis_url) as queue:
        sound = {"body": "W10=", "content-encoding": "utf-8", "content-type": "application/json", "headers": {}}
        properties = {"delivery_tag": "t", "delivery_info": {"routing_key": "x"}, "body_encoding": "base64"}
        headers = {"task": "guerdon.score", "id": "1", "timelimit": "a", "argsrepr": "", "kwargsrepr": ""}
        for raw in (
            b"not json",
            b"\xff\xfe",
            b"42",
            b"[1, 2]",
            b"{}",
            json.dumps({**sound, "properties": properties, "body": "***"}).encode(),
            json.dumps({**sound, "properties": properties, "headers": headers}).encode(),
            json.dumps({**sound, "properties": properties, "headers": headers | {"timelimit": None}}).encode(),
        ):
            queue.lpush(f"guerdon.odd.{version}", raw)
    assert statuses(scores(http, "odd", "good after the bad")) == ["ok"]
    assert stack.processes["reward-worker"].pid == worker


def test_an_item_that_kills_every_worker_becomes_a_dead_letter_and_its_neighbours_are_scored(
    http: httpx.Client, stack: Stack
) -> None:
    with ThreadPoolExecutor(2) as pool:
        guilty = pool.submit(scores, http, "odd", "good one", "kill me", "good two")
        bystander = pool.submit(scores, http, "slow", *(f"innocent {i}" for i in range(20)))
        assert statuses(guilty.result()) == ["ok", "worker_lost", "ok"]
        assert statuses(bystander.result()) == ["ok"] * 20
    worker = stack.processes["reward-worker"].pid
    [again] = scores(http, "odd", "kill me")
    assert again["status"] == "worker_lost"
    assert "3 workers died" in again["error"]
    assert statuses(scores(http, "odd", "good afterwards")) == ["ok"]
    assert stack.processes["reward-worker"].pid == worker  # it was not tried again
    assert stack.failure is None


def test_workers_killed_while_they_work_lose_nothing_and_change_no_score(tmp_path: Path, config: Path) -> None:
    with (
        Stack(config=config, directory=tmp_path, threads=1, env=ENV) as stack,
        httpx.Client(base_url=stack.url, timeout=120, trust_env=False) as http,
        ThreadPoolExecutor(4) as pool,
    ):
        texts = [[f"call {i} item {j} {'x' * (i + j)}" for j in range(10)] for i in range(30)]
        calls = [pool.submit(scores, http, "plodding", *some, deadline_s=110) for some in texts]
        for _ in range(2):
            os.kill(stack.processes["reward-worker"].pid, signal.SIGKILL)
            next(call for call in calls if not call.done()).result()
        for some, call in zip(texts, calls, strict=True):
            assert [score["value"] for score in call.result()] == [float(len(text)) for text in some]
