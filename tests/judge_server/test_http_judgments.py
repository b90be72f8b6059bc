"""The judgments of one request together: one that fails by our own mistake, a cancelled request, what is owed."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.judge_server.judge_process import running
from tests.judge_server.loopback import Behaviour, Body, Loopback, completion

from guerdon.judge_messages import CompareRequest, Comparison, GradedAnswer, GradeRequest
from http_face.refused import Unavailable
from judge_server.admission import Admission
from judge_server.bearer import Bearer
from judge_server.judges import Judge
from judge_server.llm import Call, CallFailed, Outcome, Reading, Reply
from judge_server.responses import calls_each, compared, graded

JUDGE = Judge(name="test", kind="openai", model="test-1")
VERDICT = Reply(json.dumps({"explanation": "", "score_a": 1, "score_b": 2, "winner": "B"}), finish="stop")


class Told:
    """Asks nobody: a defect where the call holds `bug`, no end where it holds `forever`, else the same reply."""

    def __init__(self, reply: Reply = VERDICT) -> None:
        self.reply, self.waiting = reply, 0

    async def ask(self, call: Call, read: Callable[[Reply], Reading]) -> Outcome[Reading]:
        said = " ".join(content for _, content in call.turns)
        if "bug" in said:
            raise ZeroDivisionError("quoting the text of an answer")
        if "forever" in said:
            self.waiting += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.waiting -= 1
        try:
            return Outcome(
                read(self.reply), reply=self.reply, attempts=3, prompt_tokens=7, completion_tokens=2, cost=0.5
            )
        except CallFailed as failure:
            return Outcome(failure=failure, reply=self.reply, attempts=1)


def request(*answers: str) -> CompareRequest:
    return CompareRequest(comparisons=[Comparison(prompt="p", answer_a=one, answer_b="x") for one in answers])


def test_a_mistake_of_ours_costs_one_judgment_and_its_words_stay_here(caplog: pytest.LogCaptureFixture) -> None:
    asked = request("a", "bug", "c")
    with Admission(100).promised(6) as promise, caplog.at_level(logging.ERROR):
        answer = asyncio.run(compared(Told(), JUDGE, asked, promise))
    assert [verdict.status for verdict in answer.verdicts] == ["ok", "model_error", "ok"]
    assert answer.verdicts[1].winner is None
    assert "ZeroDivisionError" in (answer.verdicts[1].error or "")
    assert "quoting" not in answer.model_dump_json()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_a_grade_fails_alone_too() -> None:
    told = Told(Reply(json.dumps({"explanation": "", "quality": 4}), finish="stop"))
    answers = [GradedAnswer(prompt="p", answer=text) for text in ("bug", "fine")]
    with Admission(100).promised(2) as promise:
        answer = asyncio.run(graded(told, JUDGE, GradeRequest(answers=answers), promise))
    assert [(grade.status, grade.score) for grade in answer.grades] == [("model_error", None), ("ok", 4.0)]


def test_usage_counts_attempts_and_what_they_cost() -> None:
    with Admission(100).promised(4) as promise:
        usage = asyncio.run(compared(Told(), JUDGE, request("a", "b"), promise)).usage
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cost) == (12, 28, 8, 2.0)


def test_cancelling_a_request_cancels_all_its_calls_and_they_are_owed_no_more() -> None:
    admission, told = Admission(100), Told()

    async def answer() -> None:
        with admission.promised(4) as promise:
            await compared(told, JUDGE, request("forever 1", "forever 2"), promise)

    async def hang_up() -> None:
        task = asyncio.create_task(answer())
        for _ in range(10):  # turns of the loop, in which every call begins to wait
            await asyncio.sleep(0)
        assert told.waiting == 4
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(hang_up())
    assert (told.waiting, admission.owed) == (0, 0)


LAB = '[lab]\nkind = "openai_compatible"\nbase_url = "{url}"\nmodel = "m"\nattempts = 1\nlogprobs = true\n'
SAYS = '{"explanation": "It wrote \\ud800.", "score_a": 8, "score_b": 3, "winner": "A", "quality": 7}'


def hostile(body: Body, _number: int) -> Behaviour:
    asked = body["messages"][1]["content"]
    if "endless" in asked:
        return Behaviour(raw=b"[" * 100_000)
    if "fine" in asked:
        return Behaviour(SAYS.replace("\\ud800", "x"))
    tokens = {"content": [{"token": "\ud800", "logprob": -0.1, "top_logprobs": []}]}
    told = completion(f"\udfff {SAYS}", logprobs=tokens, message={"reasoning_content": "\ud800"})
    return Behaviour(body={**told, "model": "\ud800", "system_fingerprint": "\udc00"})


def test_a_hostile_server_or_prompt_costs_one_judgment_not_the_request(tmp_path: Path, loopback: Loopback) -> None:
    loopback.behave = hostile
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    prompts = ["fine", "half a pair", "endless", [{"role": "user", "content": "fine", "tool_calls": deep}], "fine 2"]
    compare = {"comparisons": [{"prompt": prompt, "answer_a": "x", "answer_b": "y"} for prompt in prompts]}
    grade = {"answers": [{"prompt": prompt, "answer": "x"} for prompt in prompts]}
    expected = ["ok", "ok", "judge_transport", "invalid_input", "ok"]
    with running(tmp_path, LAB.format(url=loopback.url)) as server:
        for _ in range(2):  # the second time from the ledger
            said = server.http.post("/v1/compare", json=compare).json()
            assert [verdict["status"] for verdict in said["verdicts"]] == expected
            assert said["verdicts"][1]["orders"][0]["explanation"] == "It wrote ?."
            scored = server.http.post("/v1/grade", json=grade).json()
            assert [one["status"] for one in scored["grades"]] == expected
        assert said["verdicts"][1]["cached"]
        assert scored["grades"][1]["cached"]


def test_calls_are_counted_by_order_and_sample() -> None:
    one = request("a")
    assert calls_each(one) == 2
    assert calls_each(one.model_copy(update={"orders": "ba", "samples": 5})) == 5
    assert calls_each(GradeRequest(answers=[GradedAnswer(prompt="p", answer="a")], samples=3)) == 3


def test_what_is_done_makes_room_before_its_request_ends() -> None:
    admission = Admission(10)
    with admission.promised(8) as promise:
        with pytest.raises(Unavailable), admission.promised(3):
            pass
        promise.less(2)
        with admission.promised(3):
            assert admission.owed == 9
            assert admission.nearly_full
    assert admission.owed == 0


def test_a_request_larger_than_the_limit_has_its_turn_when_nothing_is_owed() -> None:
    admission = Admission(10)
    with admission.promised(30), pytest.raises(Unavailable, match="GUERDON_JUDGE_MAX_CALLS"), admission.promised(1):
        pass
    assert admission.owed == 0


def test_only_the_token_opens_the_door_and_without_one_it_stands_open() -> None:
    assert Bearer("sesame").whose(b"sesame")
    assert not Bearer("sesame").whose(b"sesam")
    assert not Bearer("sesame").whose(None)
    assert Bearer(None).whose(None)
