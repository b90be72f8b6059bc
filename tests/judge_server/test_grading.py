"""One grade: criteria, weights, samples and expectations."""

import asyncio
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from guerdon.judge_messages import Criterion, Grade, GradedAnswer, GradeRequest
from guerdon.messages import ChatMessage
from judge_server.judges import Judge
from judge_server.judgment.grading import grade
from judge_server.llm import Call, CallFailed, Outcome, Reading, Reply, TokenLogprob

JUDGE = Judge(name="j", kind="openai", model="m", seed=None)
LOGPROBS = JUDGE.model_copy(update={"logprobs": True})
CRITERIA = [
    Criterion(name="rigour", description="Every step is proved.", weight=3),
    Criterion(name="clarity", description="One reading is enough."),
]


class Desk:
    """Gives the n-th sample the n-th reply; every reply costs 10 + 5 tokens."""

    def __init__(self, *replies: Reply | CallFailed) -> None:
        self.replies, self.calls = replies, list[Call]()

    async def ask(self, call: Call, read: Callable[[Reply], Reading]) -> Outcome[Reading]:
        self.calls.append(call)
        reply = self.replies[call.sample]
        if isinstance(reply, CallFailed):
            return Outcome(failure=reply, attempts=1)
        try:
            return Outcome(reading=read(reply), reply=reply, prompt_tokens=10, completion_tokens=5, cost=0.25)
        except CallFailed as failure:
            return Outcome(failure=failure, reply=reply, prompt_tokens=10, completion_tokens=5, cost=0.25)


def says(**scores: Any) -> Reply:
    return Reply(text=json.dumps({"explanation": "so it is", **scores}), finish="stop")


def spelled(*tokens: dict[str, float] | str) -> Reply:
    each = [token if isinstance(token, dict) else {token: 1.0} for token in tokens]
    top = [tuple((text, math.log(p)) for text, p in token.items()) for token in each]
    logprobs = tuple(TokenLogprob(*alternatives[0], alternatives) for alternatives in top)
    return Reply(text="".join(one.token for one in logprobs), finish="stop", logprobs=logprobs)


def graded(desk: Desk, answer: str = "because", judge: Judge = JUDGE, **options: Any) -> Grade:
    one = GradedAnswer(prompt="why?", answer=answer, reference="it is so")
    return asyncio.run(grade(desk, judge, one, GradeRequest(answers=[one], **options)))


def test_without_criteria_the_quality_is_graded() -> None:
    desk = Desk(says(quality=8))
    result = graded(desk)
    assert (result.score, result.criteria, result.mode, result.status) == (8.0, {"quality": 8.0}, "verdict", "ok")
    assert result.explanation == "so it is"
    assert (result.prompt_tokens, result.completion_tokens, result.cost, result.cached) == (10, 5, 0.25, False)
    schema = desk.calls[0].schema
    assert schema is not None
    assert schema["required"] == ["explanation", "quality"]


def test_the_overall_score_is_the_weighted_mean_of_the_criteria() -> None:
    result = graded(Desk(says(rigour=4, clarity=8)), criteria=CRITERIA)
    assert result.score == pytest.approx(5.0)
    assert result.criteria == {"rigour": 4.0, "clarity": 8.0}


def test_a_prompt_that_nests_too_deeply_has_no_grade() -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    turn = ChatMessage.model_validate({"role": "user", "content": "p", "tool_calls": deep})
    one, desk = GradedAnswer(prompt=[turn], answer="a"), Desk()
    result = asyncio.run(grade(desk, JUDGE, one, GradeRequest(answers=[one])))
    assert (result.score, result.status, desk.calls) == (None, "invalid_input", [])


def test_samples_are_averaged_and_a_failed_one_is_no_partial_mean() -> None:
    result = graded(Desk(says(rigour=4, clarity=8), says(rigour=6, clarity=10)), criteria=CRITERIA, samples=2)
    assert result.score == pytest.approx(6.0)
    assert result.criteria == {"rigour": 5.0, "clarity": 9.0}
    assert [sample.score for sample in result.samples] == [pytest.approx(5.0), pytest.approx(7.0)]
    assert result.prompt_tokens == 20
    failed = graded(Desk(says(quality=4), says(quality=11)), samples=2)
    assert (failed.score, failed.status, failed.criteria) == (None, "judge_out_of_range", {})
    assert failed.error == "sample 2 of 2: quality is 11, outside of 0 to 10"
    assert [sample.score for sample in failed.samples] == [4.0, None]
    assert failed.prompt_tokens == 20


def test_a_call_that_fails_gives_its_status_and_reason() -> None:
    result = graded(Desk(CallFailed("judge_quota", "insufficient_quota")))
    assert (result.score, result.status, result.error) == (None, "judge_quota", "insufficient_quota")


@pytest.mark.parametrize("answer", ["", " \n", "<think>never ends", "\u200b"])
def test_an_empty_answer_scores_zero_without_a_call(answer: str) -> None:
    desk = Desk()
    result = graded(desk, answer, criteria=CRITERIA)
    assert (result.score, result.mode, result.criteria) == (0.0, "empty", {"rigour": 0.0, "clarity": 0.0})
    assert desk.calls == []


def test_the_judge_is_shown_answer_reference_and_criteria() -> None:
    desk = Desk(says(rigour=1, clarity=1))
    graded(desk, "<think>hm</think>because", criteria=CRITERIA)
    shown = re.findall(r"BEGIN ([A-Z]+) \w+ -----\n(.*)\n-----", desk.calls[0].turns[1][1])
    titles = {title: json.loads(text) for title, text in shown}
    assert (titles["ANSWER"], titles["REFERENCE"], titles["PROMPT"]) == ("because", "it is so", "why?")
    assert [one["name"] for one in titles["CRITERIA"]] == ["rigour", "clarity"]


HALVES = spelled('{"explanation": "ok", "quality": ', {"8": 0.5, "6": 0.5}, "}")


def test_an_expectation_is_over_the_log_probabilities_of_the_score() -> None:
    result = graded(Desk(HALVES), judge=LOGPROBS, expectation=True)
    assert result.score == pytest.approx(7.0)
    assert result.mode == "logprobs"
    assert result.samples[0].criteria == {"quality": pytest.approx(7.0)}


def test_ten_in_two_tokens_scores_ten_with_and_without_an_expectation() -> None:
    ten = spelled('{"explanation": "ok", "quality": ', "1", "0", "}")
    assert graded(Desk(ten)).score == 10.0
    assert graded(Desk(ten), judge=LOGPROBS, expectation=True).score == pytest.approx(10.0)


def test_without_log_probabilities_of_every_sample_the_numbers_count_and_the_mode_says_so() -> None:
    mixed = graded(Desk(HALVES, says(quality=4)), judge=LOGPROBS, expectation=True, samples=2)
    assert (mixed.score, mixed.mode) == (6.0, "verdict")
    without = graded(Desk(HALVES, HALVES), judge=JUDGE, expectation=True, samples=2)
    assert (without.score, without.mode) == (8.0, "verdict")
    assert graded(Desk(HALVES), judge=LOGPROBS).mode == "verdict"  # not asked for


def test_no_criterion_can_take_the_place_of_the_explanation() -> None:
    criteria = [Criterion(name="explanation", description="x")]
    with pytest.raises(ValidationError, match="cannot be named explanation"):
        GradeRequest(answers=[GradedAnswer(prompt="p", answer="a")], criteria=criteria)
