"""Processes die; accepted work is answered all the same."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_stack.stack import Stack

ENV = {"GUERDON_REWARD_RESUBMIT_AFTER_S": "2"}


@pytest.fixture
def fresh(tmp_path: Path, light_toml: Path) -> Iterator[Stack]:
    with Stack(config=light_toml, directory=tmp_path, threads=1, env=ENV) as running:
        yield running


def body(count: int, tag: str, reward: str = "queued_match", **more: Any) -> dict[str, Any]:
    items = [{"completion": f"{tag} {i} " * 20, "reference": f"{tag} {i + 1} words"} for i in range(count)]
    return {"rewards": [reward], "items": items, **more}


def eventually(condition: Callable[[], bool], within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_a_worker_killed_in_the_middle_of_its_work_loses_nothing(tmp_path: Path, rewards_toml: Path) -> None:
    with (
        Stack(config=rewards_toml, directory=tmp_path, threads=1, env=ENV) as stack,
        httpx.Client(base_url=stack.url, timeout=120, trust_env=False) as http,
        ThreadPoolExecutor(4) as pool,
    ):
        worker = stack.processes["reward-worker"].pid
        bodies = [body(60, f"call {i}", "similarity", deadline_s=100) for i in range(4)]
        calls = [pool.submit(http.post, "/v1/score", json=one) for one in bodies]
        eventually(lambda: "guerdon_in_flight 0.0" not in http.get("/metrics").text)
        os.kill(worker, signal.SIGKILL)
        for call in calls:
            answer = call.result()
            assert answer.status_code == 200
            assert {score["status"] for score in answer.json()["rewards"][0]["scores"]} == {"ok"}
        assert stack.processes["reward-worker"].pid != worker


def test_without_a_worker_the_deadline_gives_typed_timeouts(tmp_path: Path, light_toml: Path) -> None:
    with (
        Stack(config=light_toml, directory=tmp_path, worker=False) as stack,
        httpx.Client(base_url=stack.url, timeout=30, trust_env=False) as http,
    ):
        answer = http.post("/v1/score", json=body(3, "nobody", deadline_s=0.5))
        assert {score["status"] for score in answer.json()["rewards"][0]["scores"]} == {"timeout"}
        assert http.get("/readyz").json() == {
            "ready": True, "redis": True, "replies": True, "draining": False, "backlog": 0, "workers": {},
            "workers_otherwise": {},
        }  # fmt: skip


def test_while_redis_is_away_the_api_says_so_and_recovers_by_itself(fresh: Stack) -> None:
    with httpx.Client(base_url=fresh.url, timeout=30, trust_env=False) as http:
        valkey = fresh.processes["redis"].pid
        os.kill(valkey, signal.SIGSTOP)
        try:
            answer = http.post("/v1/score", json=body(2, "frozen"))
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert http.get("/readyz").status_code == 503
            light = http.post("/v1/score", json={"rewards": ["length"], "items": [{"completion": "inline"}]})
            assert light.status_code == 200
        finally:
            os.kill(valkey, signal.SIGCONT)
        eventually(lambda: http.get("/readyz").status_code == 200)
        answer = http.post("/v1/score", json=body(2, "thawed"))
        assert {score["status"] for score in answer.json()["rewards"][0]["scores"]} == {"ok"}


def test_a_restarted_api_serves_again_and_forgets_nothing_it_answered(fresh: Stack) -> None:
    with httpx.Client(base_url=fresh.url, timeout=60, trust_env=False) as http:
        first = http.post("/v1/score", json=body(4, "kept")).json()
        os.kill(fresh.processes["reward-api"].pid, signal.SIGKILL)

        def serves() -> bool:
            try:
                return http.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        eventually(lambda: not serves(), within_s=5)
        eventually(serves)
        second = http.post("/v1/score", json=body(4, "kept")).json()
        assert second["rewards"] == first["rewards"]
        assert second["usage"]["cached"] == 4


def test_no_text_of_a_completion_reaches_the_logs(fresh: Stack, tmp_path: Path) -> None:
    with httpx.Client(base_url=fresh.url, timeout=60, trust_env=False) as http:
        http.post("/v1/score", json=body(2, "canary-text"))
        http.post("/v1/score", json={"rewards": ["queued_match"], "items": [{"completion": "canary-text"}]})
    for log in tmp_path.glob("*.log"):
        assert "canary-text" not in log.read_text(errors="replace")
