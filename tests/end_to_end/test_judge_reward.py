"""The judge as a reward, through real processes: API, queue, worker, and a judge server that judges by rule."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.rule_judge import RuleJudge, judging

from local_stack.stack import Stack

REWARDS = """
[graded]
kind = "judge"
criteria = [{ name = "length", description = "The longer, the better." }]
[compared]
kind = "judge"
mode = "compare"
[anchored]
kind = "judge"
mode = "compare"
against = "reference"
[length]
kind = "length"
runs = "worker"
high = 10
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[RuleJudge]:
    with judging() as judge:
        yield judge


@pytest.fixture(scope="module")
def http(judge: RuleJudge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory: Path = tmp_path_factory.mktemp("stack")
    (directory / "rewards.toml").write_text(REWARDS)
    env = {"GUERDON_JUDGE_URL": judge.url, "GUERDON_JUDGE_TOKEN": "of the judge"}
    with (
        Stack(config=directory / "rewards.toml", directory=directory, threads=1, env=env) as stack,
        httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client,
    ):
        yield client


def scores(http: httpx.Client, rewards: list[str], items: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    answer = http.post("/v1/score", json={"rewards": rewards, "items": items})
    assert answer.status_code == 200, answer.text
    return [reward["scores"] for reward in answer.json()["rewards"]]


def values(some: list[dict[str, Any]]) -> list[float | None]:
    return [score["value"] for score in some]


def test_items_are_graded_and_a_failed_one_is_null_and_asked_again(http: httpx.Client, judge: RuleJudge) -> None:
    items = [{"completion": text} for text in ("four", "judge_refused", "0123456789")]
    [first] = scores(http, ["graded"], items)
    assert values(first) == [0.4, None, 1.0]
    assert (first[1]["status"], first[1]["error"]) == ("judge_refused", "as the answer says")
    assert first[0]["components"] == {"length": 0.2}
    asked = len(judge.asked)
    [again] = scores(http, ["graded"], items)
    assert values(again) == values(first)
    assert [one["answer"] for _, body in judge.asked[asked:] for one in body["answers"]] == ["judge_refused"]
    assert set(judge.tokens) == {"Bearer of the judge"}


def test_groups_are_compared_beside_other_rewards(http: httpx.Client) -> None:
    items = [{"prompt": "p", "completion": "x" * length, "reference": "xxxx"} for length in (2, 4, 8)]
    compared, anchored, length = scores(http, ["compared", "anchored", "length"], items)
    assert values(compared) == [0.0, 0.5, 1.0]
    assert values(anchored) == [0.0, 0.5, 1.0]
    assert values(length) == [1.0, 1.0, 1.0]
    assert compared[1]["components"] == {"wins": 1, "ties": 0, "comparisons": 2}


def test_a_failed_comparison_takes_the_members_it_concerns_and_no_others(http: httpx.Client) -> None:
    items = [{"prompt": "q", "completion": text, "reference": "xx"} for text in ("a", "judge_unparseable", "ccc")]
    compared, anchored = scores(http, ["compared", "anchored"], items)
    assert [score["status"] for score in compared] == ["judge_unparseable"] * 3
    assert [score["status"] for score in anchored] == ["ok", "judge_unparseable", "ok"]
    assert values(anchored) == [0.0, None, 1.0]


def test_many_groups_are_judged_side_by_side_and_each_for_itself(http: httpx.Client) -> None:
    items = [
        {"prompt": f"{group}", "completion": "x" * (group + slot), "group": {"id": f"{group}", "size": 3, "slot": slot}}
        for group in range(1, 41)
        for slot in range(3)
    ]
    [compared] = scores(http, ["compared"], items)
    assert values(compared) == [0.0, 0.5, 1.0] * 40


def test_what_is_served_says_how_it_is_judged(http: httpx.Client) -> None:
    served = {one["name"]: one for one in http.get("/v1/rewards").json()["rewards"]}
    assert {name: one["scope"] for name, one in served.items() if one["kind"] == "judge"} == {
        "graded": "item",
        "compared": "group",
        "anchored": "group",
    }
    assert served["graded"]["components"].keys() == {"length"}
    assert "token" not in json.dumps(served["graded"]["settings"])
