"""What a judge server is asked for rewards, and what becomes of its answers and failures."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.rule_judge import RuleJudge, judging

from guerdon.judge_messages import Criterion, GradedAnswer, GradeRequest
from guerdon.messages import Score
from reward_server.boundary import group_outcomes, outcomes, scored
from reward_server.cache import stored
from reward_server.catalog import Served
from reward_server.in_process import InProcess
from reward_server.rewards import Item
from reward_server.rewards.judge import Judge
from reward_server.rewards.models import judge_server
from reward_server.rewards.models.tournament import enough, pairs
from reward_server.settings import Settings

Make = Callable[..., Judge]


@pytest.fixture
def judge() -> Iterator[RuleJudge]:
    with judging() as judge:
        yield judge


@pytest.fixture
def make(judge: RuleJudge, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a loaded reward that asks the rule's judge."""
    monkeypatch.setenv("GUERDON_JUDGE_URL", judge.url)
    monkeypatch.setenv("GUERDON_JUDGE_TOKEN", "secret")

    def made(**settings: Any) -> Judge:
        reward = Judge(**settings)
        reward.load()
        return reward

    return made


def items(*completions: str, prompt: str = "Go on.", reference: Any = None) -> list[Item]:
    return [Item(prompt, completion, reference) for completion in completions]


def values(scores: list[Score]) -> list[float | None]:
    return [score.value for score in scores]


def test_a_grade_is_brought_to_one_and_every_criterion_is_a_component(make: Make, judge: RuleJudge) -> None:
    reward = make(criteria=[{"name": "warmth", "description": "Is it warm?"}], judge="rule", samples=2)
    long, short = scored(reward, items("0123456789", "12"))
    assert (long.value, short.value) == (1.0, 0.2)
    assert short.components == {"warmth": 0.1}
    assert reward.served_components().keys() == {"warmth"}
    [(path, body)] = judge.asked
    assert (path, body["judge"], body["samples"]) == ("/v1/grade", "rule", 2)
    assert judge.tokens == ["Bearer secret"]


def test_the_judge_sees_the_chat_the_text_and_the_reference(make: Make, judge: RuleJudge) -> None:
    chat = Item.from_fields(
        {
            "prompt": [{"role": "user", "content": "How far?"}],
            "completion": [{"role": "assistant", "content": "Far."}],
            "reference": {"km": 3},
        }
    )
    make().score([chat])
    make(show_reference=False).score([chat])
    shown, hidden = (body["answers"][0] for _, body in judge.asked)
    assert shown == {
        "prompt": [{"role": "user", "content": "How far?"}],
        "answer": "Far.",
        "reference": '{"km": 3}',
    }
    assert "reference" not in hidden


def test_an_item_whose_grade_failed_fails_alone_with_the_judges_status_and_is_not_kept(make: Make) -> None:
    reward = make()
    results = outcomes(reward, items("good", "judge_refused", "judge_budget", "better"))
    assert [one["status"] for one in results] == ["ok", "judge_refused", "judge_budget", "ok"]
    assert results[1] == {"status": "judge_refused", "error": "as the answer says"}
    kept, _ = stored(zip("abcd", results, strict=True), ttl_s=9)
    assert kept == ["a", "d"]


def test_of_all_pairs_the_value_is_the_share_of_comparisons_won(make: Make, judge: RuleJudge) -> None:
    reward = make(mode="compare", criteria="The longer, the better.", reconcile="average")
    scores = scored(reward, items("a", "bb", "cc", "ddd"), "group")
    assert values(scores) == [0.0, 0.5, 0.5, 1.0]
    assert scores[1].components == {"wins": 1, "ties": 1, "comparisons": 3}
    [(path, body)] = judge.asked
    assert (path, len(body["comparisons"]), body["reconcile"]) == ("/v1/compare", 6, "average")
    assert {one["criteria"] for one in body["comparisons"]} == {"The longer, the better."}


def test_a_member_with_a_failed_comparison_has_no_value_and_a_status(make: Make) -> None:
    scores = scored(make(mode="compare", max_pairs=2), items("a", "judge_truncated", "cc", "ddd"), "group")
    failed = [score for score in scores if not score.ok]
    assert len(failed) == 2  # the one itself, and whom it met
    assert {score.status for score in failed} == {"judge_truncated"}
    assert failed[0].error == "1 of 1 comparisons failed; first: as the answer says"
    assert sorted(score.value for score in scores if score.value is not None) == [0.0, 1.0]


def test_a_group_outcome_carries_its_members_failures(make: Make) -> None:
    [outcome] = group_outcomes(make(mode="compare"), [items("a", "judge_quota")])
    assert [member["status"] for member in outcome["members"]] == ["judge_quota", "judge_quota"]


def test_against_the_reference_each_member_stands_by_itself(make: Make, judge: RuleJudge) -> None:
    reward = make(mode="compare", against="reference")
    group = [*items("a", "bb", "ccc", "judge_empty", reference="xx"), *items("dddd")]
    scores = scored(reward, group, "group")
    assert values(scores) == [0.0, 0.5, 1.0, None, None]
    assert [score.status for score in scores[3:]] == ["judge_empty", "invalid_input"]
    [(_, body)] = judge.asked
    assert {one["answer_b"] for one in body["comparisons"]} == {"xx"}
    assert all("reference" not in one for one in body["comparisons"])


def test_against_the_first_the_first_has_a_half(make: Make, judge: RuleJudge) -> None:
    scores = scored(make(mode="compare", against="first"), items("bb", "a", "bb", "ccc"), "group")
    assert values(scores) == [0.5, 0.0, 0.5, 1.0]
    assert len(judge.asked[0][1]["comparisons"]) == 3


@pytest.mark.parametrize(
    ("settings", "size", "why"),
    [({}, 1, "nobody to be compared with"), ({"max_pairs": 2}, 5, "3 would do")],
)
def test_a_group_that_cannot_be_compared_is_not_asked_about(
    make: Make, judge: RuleJudge, settings: dict[str, Any], size: int, why: str
) -> None:
    scores = scored(make(mode="compare", **settings), items(*"abcde"[:size]), "group")
    assert {score.status for score in scores} == {"invalid_input"}
    assert why in str(scores[0].error)
    assert judge.asked == []


def test_no_judge_server_is_a_failure_of_transport_that_names_what_is_missing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("GUERDON_JUDGE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(judge_server, "PATIENCE_S", 0.1)
    reward = make()  # loads all the same
    one, other = scored(reward, items("secret words", "b"))
    assert (one.status, other.status) == ("judge_transport", "judge_transport")
    assert "GUERDON_JUDGE_URL" in str(one.error)
    assert "secret words" not in str(one.error)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((422, '{"error": "there is no judge \'gtp\'", "fields": []}'), "there is no judge 'gtp'"),
        ((401, '{"error": "no token", "fields": []}'), "GUERDON_JUDGE_TOKEN"),
        ((200, "<html>"), "not of this contract"),
        ((200, '{"judge": "r", "model": "m", "prompt_version": "1", "grades": []}'), "0 answers to 2 questions"),
    ],
)
def test_an_answer_without_grades_fails_the_items_with_its_reason(
    make: Make, judge: RuleJudge, reply: tuple[int, str], said: str
) -> None:
    judge.reply = reply
    scores = scored(make(), items("a", "b"))
    assert {score.status for score in scores} == {"judge_transport"}
    assert said in str(scores[0].error)
    assert len(judge.asked) == 1  # neither halved nor asked again


@pytest.mark.parametrize("score", [-0.5, 10.5])
def test_a_grade_out_of_range_is_no_value(make: Make, judge: RuleJudge, score: float) -> None:
    told = {"judge": "r", "model": "m", "prompt_version": "1", "grades": [{"score": score}]}
    judge.reply = (200, json.dumps(told))
    [failed] = scored(make(), items("a"))
    assert (failed.value, failed.status) == (None, "judge_out_of_range")


def test_many_items_go_in_requests_that_the_server_takes(make: Make, judge: RuleJudge) -> None:
    scores = make().score(items(*("x" * (index % 7) for index in range(1500)), "y" * 5_000_000))
    assert len(scores) == 1501
    assert scores[8].value == pytest.approx(0.1)
    assert [len(body["answers"]) for _, body in judge.asked] == [1024, 476, 1]


def test_what_there_is_no_time_for_is_not_asked() -> None:
    def ask(some: list[Score], left_s: float) -> list[float]:
        raise AssertionError("it was asked")

    failed = judge_server._in_parts([Score(value=1.0)], ask, timeout_s=0.0)
    assert [one.status for one in failed if isinstance(one, Score)] == ["judge_timeout"]


def test_groups_of_one_request_are_judged_side_by_side(make: Make, judge: RuleJudge) -> None:
    groups = 8
    judge.gate = threading.Barrier(groups, timeout=20)  # nobody is answered before all have been asked
    served = Served("judge", make(mode="compare"), "v", "worker", "group")
    queue = InProcess(Settings(redis_url="redis://127.0.0.1:1/0"))
    contents = [{"members": [{"completion": "x" * index}, {"completion": "xy" * index}]} for index in range(1, 9)]
    wait = asyncio.run(queue.outcomes(served, contents, time.time() + 60, run="", bulk=False))
    queue.close()
    assert [[one["value"] for one in outcome["members"]] for outcome in wait.outcomes if outcome] == [[0, 1]] * groups
    assert len(judge.asked) == groups


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "compare", "expectation": True}, 'expectation is for mode = "grade"'),
        ({"max_pairs": 9}, 'max_pairs is for mode = "compare"'),
        ({"mode": "compare", "criteria": [{"name": "a", "description": "b"}]}, "criteria as one text"),
        ({"criteria": [{"name": "a", "description": "b"}] * 2}, "more than once"),
        ({"criteria": [{"name": "No", "description": "b"}]}, "pattern"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Judge(**settings)


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "http://user:hunter2@host", "file:///etc"])
def test_an_address_that_is_none_is_refused_when_the_worker_loads(make: Make, monkeypatch: Any, url: str) -> None:
    monkeypatch.setenv("GUERDON_JUDGE_URL", url)
    with pytest.raises(ValueError, match="GUERDON_JUDGE_URL is http") as refused:
        make()
    assert "hunter2" not in str(refused.value)


@given(st.integers(2, 40), st.integers(1, 900))
def test_a_tournament_is_of_different_pairs_and_everybody_has_about_as_many(members: int, most: int) -> None:
    met = pairs(members, most)
    assert len(met) == min(most, members * (members - 1) // 2)
    assert len({frozenset(pair) for pair in met}) == len(met)
    counts = [sum(member in pair for pair in met) for member in range(members)]
    assert max(counts) - min(counts) <= 1 + members % 2
    if most >= enough(members):
        assert min(counts) >= 1


def test_requests_are_kept_small_in_bytes_and_not_in_characters() -> None:
    request = GradeRequest(
        answers=[GradedAnswer(prompt="p", answer="中" * 4000) for _ in range(1024)],
        criteria=[Criterion(name=f"c{n}", description="д" * 8000) for n in range(20)],
    )
    found = list(judge_server.parts(request.answers, judge_server._bytes(request, "answers")))
    whole = [request.model_copy(update={"answers": some}).model_dump_json().encode() for some in found]
    assert [answer for some in found for answer in some] == request.answers
    assert max(map(len, whole)) <= judge_server.MAX_BYTES
    assert min(map(len, whole[:-1])) > 0.9 * judge_server.MAX_BYTES
