"""The members of one group, sent by several ranks to several replicas."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from guerdon.client import RewardClient
from guerdon.messages import Group, Item, Score, ScoreRequest
from local_stack.stack import Stack

TEXTS = ["deep red like a wall", "deep red like a wall", "green pond water", "the blue of ink"]
REWARDS = ["diversity", "semantic_diversity", "length"]


@pytest.fixture(scope="module")
def replica(stack: Stack, rewards_toml: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another API on the same Redis."""
    directory = tmp_path_factory.mktemp("replica")
    with Stack(config=rewards_toml, directory=directory, redis_url=stack.redis_url, worker=False) as running:
        yield running


def request(group: str, slots: list[int], deadline_s: float = 60, **more: Any) -> ScoreRequest:
    items = [
        Item(prompt="Name a colour.", completion=TEXTS[slot], group=Group(id=group, size=len(TEXTS), slot=slot))
        for slot in slots
    ]
    return ScoreRequest(**{"rewards": REWARDS, "items": items, "deadline_s": deadline_s} | more)


def scores(stack: Stack, asked: ScoreRequest) -> list[list[Score]]:
    with RewardClient(stack.url) as client:
        return [rewards.scores for rewards in client.score(asked).rewards]


def test_ranks_get_what_one_request_with_the_whole_group_gets(stack: Stack, replica: Stack) -> None:
    whole = scores(stack, request("whole", [0, 1, 2, 3]))
    with ThreadPoolExecutor(3) as ranks:
        parts = [(replica, [3, 0]), (stack, [1]), (replica, [2])]
        answers = [ranks.submit(scores, server, request("ranks", slots)) for server, slots in parts]
        for (_, slots), answer in zip(parts, answers, strict=True):
            for own, all_four in zip(answer.result(), whole, strict=True):
                assert [score.status for score in own] == ["ok"] * len(slots)
                assert [score.value for score in own] == pytest.approx([all_four[slot].value for slot in slots])
                assert own[0].components.keys() == all_four[0].components.keys()


def test_a_request_can_hold_a_whole_group_and_a_part_of_another(stack: Stack, replica: Stack) -> None:
    both = request("whole too", [0, 1, 2, 3])
    both.items += request("part", [2, 3]).items
    with ThreadPoolExecutor(2) as ranks:
        first = ranks.submit(scores, stack, both)
        second = ranks.submit(scores, replica, request("part", [0, 1]))
        [diversity, *_] = first.result()
        assert diversity[4:] == diversity[2:4]
        assert second.result()[0] == diversity[:2]


def test_a_missing_rank_is_cohort_incomplete_for_all_at_the_earliest_deadline(stack: Stack, replica: Stack) -> None:
    with ThreadPoolExecutor(2) as ranks:
        patient = ranks.submit(scores, stack, request("missing", [0, 1]))
        hurried = ranks.submit(scores, replica, request("missing", [2], deadline_s=1))
        for answer in (patient, hurried):
            diversity, semantic, length = answer.result()
            for score in diversity + semantic:
                assert (score.value, score.status) == (None, "cohort_incomplete")
                assert score.error is not None
                assert "of 4 members arrived within the deadline" in score.error
            assert {score.status for score in length} == {"ok"}


def test_a_slot_with_another_completion_fails_alone(stack: Stack, replica: Stack) -> None:
    with ThreadPoolExecutor(2) as ranks:
        first = ranks.submit(scores, stack, request("taken", [0, 1], rewards=["diversity"]))
        with httpx.Client(base_url=stack.url, trust_env=False) as http:
            while "guerdon_cohorts_waiting 1.0" not in http.get("/metrics").text:
                pass
        other = request("taken", [1, 2, 3], rewards=["diversity"])
        other.items[0].completion = "something else"
        [second] = scores(replica, other)
        assert [score.status for score in second] == ["invalid_input", "ok", "ok"]
        assert second[0].error == "slot 1 already holds another completion"
        assert [score.status for score in first.result()[0]] == ["ok", "ok"]


def test_a_rank_whose_replica_dies_asks_again_and_is_answered(stack: Stack, replica: Stack) -> None:
    with ThreadPoolExecutor(2) as ranks:
        first = ranks.submit(scores, replica, request("dies", [0, 1]))
        with httpx.Client(base_url=replica.url, trust_env=False) as http:
            while "guerdon_cohorts_waiting 2.0" not in http.get("/metrics").text:
                pass
        pid = replica.processes["reward-api"].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        second = scores(stack, request("dies", [2, 3]))
        for own, others in zip(first.result(), second, strict=True):
            assert {score.status for score in own + others} == {"ok"}
