"""Runs share the workers, what is urgent goes first, and a worker that is told to stop leaves nothing undone."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_stack.stack import Stack

KINDS = Path(__file__).parent / "kinds"
ENV = {"PYTHONPATH": os.pathsep.join([str(KINDS), *filter(None, [os.environ.get("PYTHONPATH")])])}
REWARDS = '[plodding]\nkind = "sleepy"\nseconds = 0.02\n[together]\nkind = "together"\n'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "rewards.toml").write_text(REWARDS)
    with Stack(config=folder / "rewards.toml", directory=folder, threads=1, env=ENV) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=90, trust_env=False) as client:
        yield client


def scored(http: httpx.Client, texts: list[str], **more: Any) -> tuple[list[float | None], float]:
    """The scores, and when they came."""
    items = [{"completion": text} for text in texts]
    answer = http.post("/v1/score", json={"rewards": ["plodding"], "items": items, "deadline_s": 80, **more})
    assert answer.status_code == 200, answer.text
    return [score["value"] for score in answer.json()["rewards"][0]["scores"]], time.monotonic()


def in_flight(http: httpx.Client) -> int:
    lines = http.get("/metrics").text.splitlines()
    return int(float(next(line.split()[-1] for line in lines if line.startswith("guerdon_in_flight "))))


def started(http: httpx.Client, items: int) -> None:
    end = time.monotonic() + 20
    while in_flight(http) < items:
        assert time.monotonic() < end, "the work never started"


def test_a_run_with_little_to_ask_is_answered_long_before_one_that_asks_for_much(http: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        much = pool.submit(scored, http, [f"much {i}" for i in range(600)], run="large")
        started(http, 500)
        few, soon = scored(http, [f"few {i}" for i in range(8)], run="small")
        left = in_flight(http)
        values, late = much.result()
    assert (few, len(values), None in values) == ([5.0] * 8, 600, False)
    assert soon < late
    assert left > 300  # of the 600: the small run did not wait for half of them


def test_what_is_urgent_goes_before_bulk_of_the_same_run(http: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        bulk = pool.submit(scored, http, [f"bulk {i}" for i in range(400)], priority="bulk")
        started(http, 300)
        _, soon = scored(http, ["urgent"])
        left = in_flight(http)
        _, late = bulk.result()
    assert soon < late
    assert left > 200


def test_large_items_cross_the_queue_compressed_and_whole(http: httpx.Client) -> None:
    texts = ["x" * 300_000, "an ordinary one", "ü" * 200_000]
    assert scored(http, texts)[0] == [float(len(text)) for text in texts]


def test_a_group_reward_on_a_worker_gets_whole_groups(http: httpx.Client) -> None:
    items = [
        {"completion": "x" * length, "group": {"id": group, "size": 3, "slot": slot}}
        for group, lengths in {"a": (1, 1, 2), "b": (3, 4, 5)}.items()
        for slot, length in enumerate(lengths)
    ]
    answer = http.post("/v1/score", json={"rewards": ["together"], "items": items}).json()
    values = [score["value"] for score in answer["rewards"][0]["scores"]]
    assert values == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])


def test_a_worker_told_to_stop_finishes_what_it_has_and_another_takes_the_rest(
    stack: Stack, http: httpx.Client
) -> None:
    with ThreadPoolExecutor(4) as pool:
        texts = [[f"call {i} item {j}" for j in range(20)] for i in range(12)]
        calls = [pool.submit(scored, http, some) for some in texts]
        started(http, 40)
        os.kill(stack.processes["reward-worker"].pid, signal.SIGTERM)
        for some, call in zip(texts, calls, strict=True):
            assert call.result()[0] == [float(len(text)) for text in some]
