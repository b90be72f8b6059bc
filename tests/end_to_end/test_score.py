"""Requests through real processes: HTTP, queue, worker and back."""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

import guerdon
from guerdon.client import Refused, RewardClient, Unreachable
from guerdon.messages import Item, ScoreRequest, ScoreResponse
from local_stack.stack import Stack

EXAMPLES = files(guerdon) / "examples"


def scored(http: httpx.Client, rewards: list[str], items: list[dict[str, Any]], **more: Any) -> ScoreResponse:
    answer = http.post("/v1/score", json={"rewards": rewards, "items": items, **more})
    assert answer.status_code == 200, answer.text
    return ScoreResponse.model_validate_json(answer.content)


def test_the_example_request_is_answered(http: httpx.Client) -> None:
    body = json.loads((EXAMPLES / "score_request.json").read_text())
    body["rewards"] = ["sql_cot"]
    answer = http.post("/v1/score", json=body)
    assert [score["value"] for score in answer.json()["rewards"][0]["scores"]] == [
        pytest.approx(0.7068, abs=1e-4),
        -1.25,
    ]


def test_a_heavy_reward_comes_back_from_the_worker(http: httpx.Client) -> None:
    items = [{"completion": text, "reference": "a red car"} for text in ("a red car", "the vehicle is red", "seven")]
    same, near, far = (score.value for score in scored(http, ["similarity"], items).rewards[0].scores)
    assert same == pytest.approx(1, abs=1e-5)
    assert same is not None
    assert near is not None
    assert far is not None
    assert same > near > far


def test_the_target_of_sql_cot_comes_from_embeddings_when_there_is_no_reference(http: httpx.Client) -> None:
    context = {"sql": "SELECT COUNT(*) FROM cars", "nl": "How many cars are there?", "cot": "Count the cars."}
    completion = "<think>fits</think><score>0.7</score>"
    [score] = scored(http, ["sql_cot"], [{"completion": completion, "context": context}]).rewards[0].scores
    target = score.components["target"]
    assert target is not None
    assert 0.3 < target < 1
    assert score.components["abs_error"] == pytest.approx(abs(target - 0.7))


def test_several_rewards_come_back_in_the_order_asked_for(http: httpx.Client) -> None:
    names = ["length", "similarity", "queued_length"]
    answer = scored(http, names, [{"completion": "some words", "reference": "words"}] * 3)
    assert [rewards.reward for rewards in answer.rewards] == names
    assert [len(rewards.scores) for rewards in answer.rewards] == [3, 3, 3]
    assert answer.rewards[0].scores == answer.rewards[2].scores


def test_a_bad_item_fails_alone_inline_and_on_the_worker(http: httpx.Client) -> None:
    items = [
        {"completion": "Paris", "reference": "Paris"},
        {"completion": "Paris"},
        {"completion": "Rome", "reference": 3},
    ]
    for name in ("exact_match", "queued_match"):
        scores = scored(http, [name], items).rewards[0].scores
        assert [(score.value, score.status) for score in scores] == [(1, "ok"), (None, "model_error"), (0, "ok")]
        assert "reference" in (scores[1].error or "")


def test_an_item_without_what_its_embeddings_need_fails_alone(http: httpx.Client) -> None:
    items = [{"completion": "a", "reference": "a"}, {"completion": "a"}]
    scores = scored(http, ["similarity"], items).rewards[0].scores
    assert [score.status for score in scores] == ["ok", "invalid_input"]


def test_the_same_item_has_the_same_score_alone_and_in_a_crowd(tmp_path: Path, rewards_toml: Path) -> None:
    env = {"GUERDON_REWARD_CACHE": "false"}  # each time computed anew, in another batch
    item = {"completion": "the sun sets behind the hills", "reference": "sunset over hills"}
    crowd = [{"completion": f"word {i} " * (1 + 9 * (i % 7)), "reference": "sunset"} for i in range(40)]
    with (
        Stack(config=rewards_toml, directory=tmp_path, threads=1, env=env) as stack,
        httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as http,
        ThreadPoolExecutor(8) as pool,
    ):
        alone = scored(http, ["similarity"], [item])
        futures = [pool.submit(scored, http, ["similarity"], [*crowd[i : i + 5], item]) for i in range(0, 40, 5)]
        crowded = [future.result() for future in futures]
    assert all(answer.usage.cached == 0 for answer in [alone, *crowded])
    for answer in crowded:
        assert answer.rewards[0].scores[-1].value == pytest.approx(alone.rewards[0].scores[0].value, abs=1e-5)


def test_a_second_request_is_answered_from_the_cache(http: httpx.Client) -> None:
    items = [{"completion": "cached words", "reference": "other words"}]
    before, after = scored(http, ["similarity"], items), scored(http, ["similarity"], items)
    assert (before.usage.cached, after.usage.cached) == (0, 2)
    assert before.rewards == after.rewards
    assert before.usage.model_tokens > 0
    assert after.usage.model_tokens == 0


def test_a_group_reward_gives_every_member_its_own_contribution(http: httpx.Client) -> None:
    body = json.loads((EXAMPLES / "group_request.json").read_text())
    scores = scored(http, ["diversity", "semantic_diversity"], body["items"]).rewards
    assert [score.value for score in scores[0].scores] == [0, 0, 1]
    own = [score.value for score in scores[1].scores]
    assert own[0] == own[1] != own[2]


def test_members_are_scored_in_the_order_of_the_request_whatever_their_slots(http: httpx.Client) -> None:
    items = json.loads((EXAMPLES / "group_request.json").read_text())["items"]
    forward = [score.value for score in scored(http, ["diversity"], items).rewards[0].scores]
    assert [score.value for score in scored(http, ["diversity"], items[::-1]).rewards[0].scores] == forward[::-1]


def test_one_prompt_without_groups_is_one_group(http: httpx.Client) -> None:
    scores = scored(http, ["diversity"], [{"prompt": "p", "completion": text} for text in ("a b", "a b", "c d")])
    assert [score.value for score in scores.rewards[0].scores] == [0, 0, 1]


def test_an_incomplete_group_is_typed_and_never_scored_as_if_it_were_whole(http: httpx.Client) -> None:
    items = json.loads((EXAMPLES / "group_request.json").read_text())["items"][:2]
    scores = scored(http, ["diversity"], items, deadline_s=0.3).rewards[0].scores
    assert {(score.value, score.status) for score in scores} == {(None, "cohort_incomplete")}


def test_chat_messages_are_scored_by_their_text(http: httpx.Client) -> None:
    chat = [{"role": "assistant", "content": "Paris"}]
    for name in ("exact_match", "queued_match"):
        [score] = scored(http, [name], [{"completion": chat, "reference": "Paris"}]).rewards[0].scores
        assert score.value == 1


def test_a_completion_of_a_megabyte_is_scored(http: httpx.Client) -> None:
    items = [{"completion": "many words here " * 65_000, "reference": "words"}]
    answer = scored(http, ["similarity", "length", "exact_match"], items)
    assert [rewards.scores[0].status for rewards in answer.rewards] == ["ok"] * 3


def test_a_spent_deadline_is_a_typed_timeout_in_a_200(http: httpx.Client) -> None:
    items = [{"completion": f"{i} " * 3000, "reference": f"{i + 1} " * 3000} for i in range(200)]
    answer = scored(http, ["similarity"], items, deadline_s=0.5)
    assert len(answer.rewards[0].scores) == 200
    assert "timeout" in {score.status for score in answer.rewards[0].scores}
    assert all((score.value is None) == (score.status != "ok") for score in answer.rewards[0].scores)


def test_what_is_served_is_listed_with_ranges_versions_and_settings(http: httpx.Client) -> None:
    rewards = {reward["name"]: reward for reward in http.get("/v1/rewards").json()["rewards"]}
    assert rewards["sql_cot"]["components"]["abs_error"] == {"low": 0.0, "high": 1.0, "better": "lower"}
    assert rewards["sql_cot"]["needs"] == ["embeddings"]
    assert rewards["queued_length"]["runs"] == "worker"
    assert rewards["length"]["settings_schema"]["properties"]["high"]["description"]
    answer = scored(http, ["sql_cot"], [{"completion": "", "reference": 0.5}])
    assert answer.rewards[0].version == rewards["sql_cot"]["version"]


def test_readiness_names_the_workers(http: httpx.Client) -> None:
    ready = http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["workers"]["embeddings"] == 1
    assert http.get("/healthz").json() == {"status": "alive"}


def test_metrics_count_items_by_status(http: httpx.Client) -> None:
    scored(http, ["exact_match"], [{"completion": "a", "reference": "a"}, {"completion": "a"}])
    text = http.get("/metrics").text
    assert 'guerdon_items_total{reward="exact_match",status="ok"}' in text
    assert 'guerdon_items_total{reward="exact_match",status="model_error"}' in text


def test_the_docs_show_a_request_that_works(http: httpx.Client) -> None:
    assert http.get("/docs").status_code == 200
    operation = http.get("/openapi.json").json()["paths"]["/v1/score"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert {item["completion"] if isinstance(item["completion"], str) else "" for item in example["items"]}
    example["rewards"] = ["sql_cot"]
    assert http.post("/v1/score", json=example).status_code == 200


def test_the_client_returns_scores_and_raises_what_the_server_refuses(stack: Stack) -> None:
    with RewardClient(stack.url) as client:
        request = ScoreRequest(rewards=["length"], items=[Item(completion="ok")])
        assert client.score(request).rewards[0].scores[0].value == 1
        with pytest.raises(Refused, match=r"unknown rewards \['lenght'\]; known: .*'length'"):
            client.score(request.model_copy(update={"rewards": ["lenght"]}))


def test_the_client_gives_up_at_its_deadline_when_nobody_listens() -> None:
    request = ScoreRequest(rewards=["length"], items=[Item(completion="ok")], deadline_s=0.5)
    with RewardClient("http://127.0.0.1:9") as client, pytest.raises(Unreachable, match="no answer in"):
        client.score(request)
