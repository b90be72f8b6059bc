"""Rewards that build on others, through real processes."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local_stack.stack import Stack

REWARDS = """
[queued_length]
kind = "length"
runs = "worker"
high = 10
[queued_match]
kind = "exact_match"
runs = "worker"
[both]
kind = "combine"
terms = [{ reward = "queued_length" }, { reward = "queued_match", weight = 2.0 }]
[all]
kind = "combine"
terms = [{ reward = "both" }, { reward = "queued_length" }]
[ranked]
kind = "combine"
terms = [{ reward = "queued_length", standardise = true }]
"""


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("stack")
    (directory / "rewards.toml").write_text(REWARDS)
    with (
        Stack(config=directory / "rewards.toml", directory=directory, threads=1) as stack,
        httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client,
    ):
        yield client


def asked(http: httpx.Client, rewards: list[str], items: list[dict[str, Any]]) -> dict[str, Any]:
    answer = http.post("/v1/score", json={"rewards": rewards, "items": items})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def values(answer: dict[str, Any], at: int) -> list[float | None]:
    return [score["value"] for score in answer["rewards"][at]["scores"]]


def test_a_reward_of_rewards_of_workers_and_each_of_them_once(http: httpx.Client) -> None:
    items = [{"completion": "Paris", "reference": "Paris"}, {"completion": "fifteen letters", "reference": "Paris"}]
    answer = asked(http, ["all", "both", "queued_length"], items)
    assert values(answer, 2) == [1.0, 0.5]
    assert values(answer, 1) == [3.0, 0.5]
    assert values(answer, 0) == [4.0, 1.0]
    again = asked(http, ["all", "both", "queued_length"], items)
    assert again["usage"] == {"items": 2, "cached": 4, "model_tokens": 0}


def test_an_item_whose_term_fails_fails_alone_and_says_which(http: httpx.Client) -> None:
    items = [{"completion": "Rome"}, {"completion": "Rome", "reference": "Rome"}]
    failed, fine = asked(http, ["both"], items)["rewards"][0]["scores"]
    assert (failed["value"], failed["status"]) == (None, "model_error")
    assert "queued_match" in failed["error"]
    assert fine["value"] == 3.0


def test_a_reward_of_groups_has_the_scores_of_its_whole_group(http: httpx.Client) -> None:
    items = [{"prompt": "p", "completion": "x" * length} for length in (5, 10, 20)]
    low, middle, high = sorted(value for value in values(asked(http, ["ranked"], items), 0) if value is not None)
    assert low + middle + high == pytest.approx(0)
    assert low < high
