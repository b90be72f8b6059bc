"""Backends: what is sent, what is made of every form of answer, and what is said of failures."""

import asyncio
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.judge_server.loopback import Behaviour, Loopback, completion, error
from tests.judge_server.one_judge import judge, question

from judge_server.backends import connect, kinds
from judge_server.calls.retry import backoff_s, wait_s
from judge_server.judges import ConfigError, Judge
from judge_server.ledger.cache_key import prompt_hash
from judge_server.llm import Call, CallFailed, Reply, TokenLogprob
from judge_server.provider.provider_errors import retry_after_s

KINDS = ["openai", "openai_compatible", "together"]
SECRET = "sk-very-secret-0123456789"


def asked(one: Judge, call: Call, times: int = 1) -> list[Reply | CallFailed]:
    async def go() -> list[Reply | CallFailed]:
        backend = connect(one)
        try:
            return [await reply(backend.ask(call, 10.0)) for _ in range(times)]
        finally:
            await backend.close()

    async def reply(asking: Any) -> Reply | CallFailed:
        try:
            result: Reply = await asking
            return result
        except CallFailed as failure:
            return failure

    return asyncio.run(go())


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KEY_OF_TEST", SECRET)
    monkeypatch.setenv("OPENAI_ORG_ID", "our-organization")
    return str(request.param)


def test_a_call_is_sent_with_all_it_says(loopback: Loopback, kind: str) -> None:
    schema = {"type": "object", "properties": {"winner": {"type": "string"}}}
    call = question(temperature=0.5, top_p=0.9, seed=7, sample=2, schema=schema, top_logprobs=5)
    (reply,) = asked(judge(loopback.url, kind=kind, key_env="KEY_OF_TEST"), call)
    assert reply == Reply(
        '{"winner": "A"}', "stop", model="loopback-1", fingerprint="fp_loopback", prompt_tokens=50, completion_tokens=10
    )
    body = loopback.requests[0]
    assert body.pop("response_format")["json_schema"]["schema"] == schema
    limit = "max_completion_tokens" if kind == "openai" else "max_tokens"
    logprobs = {"logprobs": 5} if kind == "together" else {"logprobs": True, "top_logprobs": 5}
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "You judge."}, {"role": "user", "content": "which?"}],
        limit: 20,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 9,
        **logprobs,
    }
    assert loopback.headers[0]["authorization"] == f"Bearer {SECRET}"
    assert ("openai-organization" in loopback.headers[0]) == (kind == "openai")


def test_a_schema_that_is_refused_is_left_out_from_then_on(loopback: Loopback, kind: str) -> None:
    def behave(body: dict[str, Any], _number: int) -> Behaviour:
        refused = error("this server knows no response_format", param="response_format")
        return Behaviour(status=400, body=refused) if "response_format" in body else Behaviour()

    loopback.behave = behave
    replies = asked(judge(loopback.url, kind=kind), question(schema={"type": "object"}), times=3)
    assert all(isinstance(reply, Reply) for reply in replies)
    assert len(loopback.requests) == 4


def test_another_bad_request_is_a_failure(loopback: Loopback, kind: str) -> None:
    loopback.behave = lambda _body, _number: Behaviour(status=400, body=error("context length exceeded"))
    (failure,) = asked(judge(loopback.url, kind=kind), question(schema={"type": "object"}))
    assert isinstance(failure, CallFailed)
    assert (failure.status, failure.retriable, failure.sent) == ("judge_transport", False, False)
    assert "context length exceeded" in failure.reason
    assert len(loopback.requests) == 1


def test_reasons_hold_neither_key_nor_prompt(loopback: Loopback, kind: str) -> None:
    prompt = "a secret prompt that is nobody's business"
    for words in (
        f"Incorrect API key provided: {SECRET}",
        f"cannot process: {prompt}",
        "key sk-other-key-12345 is bad",
    ):
        body = error(words, "invalid_api_key")
        loopback.behave = lambda _body, _number, body=body: Behaviour(status=401, body=body)  # type: ignore[misc]
        (failure,) = asked(judge(loopback.url, kind=kind, key_env="KEY_OF_TEST"), question(prompt))
        assert isinstance(failure, CallFailed)
        for word in (SECRET, "sk-other", prompt[:24]):
            assert word not in failure.reason
        assert "invalid_api_key" in failure.reason
        assert "KEY_OF_TEST" in failure.reason


def test_a_redirect_is_not_followed(loopback: Loopback, kind: str) -> None:
    loopback.behave = lambda _body, _number: Behaviour(status=307, headers={"location": f"{loopback.url}/elsewhere"})
    (failure,) = asked(judge(loopback.url, kind=kind), question())
    assert isinstance(failure, CallFailed)
    assert "redirects are not followed" in failure.reason
    assert len(loopback.requests) == 1


def test_logprobs_are_read_in_both_forms(loopback: Loopback, kind: str) -> None:
    top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.5}]
    openai = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": top}]}
    together = {"tokens": ["A"], "token_logprobs": [-0.1], "top_logprobs": [{"A": -0.1, "B": -2.5}]}
    for told in (openai, together):
        body = completion("A", logprobs=told)
        loopback.behave = lambda _body, _number, body=body: Behaviour(body=body)  # type: ignore[misc]
        (reply,) = asked(judge(loopback.url, kind=kind), question(top_logprobs=2))
        assert isinstance(reply, Reply)
        assert reply.logprobs == (TokenLogprob("A", -0.1, (("A", -0.1), ("B", -2.5))),)


def test_numbers_that_are_none_become_log_probabilities_that_are(loopback: Loopback) -> None:
    raw = json.dumps(completion("A", logprobs={"tokens": ["A", "B", "C"], "token_logprobs": [math.nan, 1e-9, None]}))
    loopback.behave = lambda _body, _number: Behaviour(raw=raw.encode())
    (reply,) = asked(judge(loopback.url), question(top_logprobs=2))
    assert isinstance(reply, Reply)
    assert [one.logprob for one in reply.logprobs] == [-math.inf, 0.0, -math.inf]


def test_reasoning_is_kept_apart_from_content(loopback: Loopback, kind: str) -> None:
    for name in ("reasoning_content", "reasoning"):
        body = completion(None, message={name: "hmm"}, finish_reason="length")
        loopback.behave = lambda _body, _number, body=body: Behaviour(body=body)  # type: ignore[misc]
        (reply,) = asked(judge(loopback.url, kind=kind), question())
        assert isinstance(reply, Reply)
        assert (reply.text, reply.reasoning, reply.finish) == ("", "hmm", "length")


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(str).map(str.encode))
def test_no_answer_breaks_its_reader(content: bytes) -> None:
    from judge_server.provider.chat_answer import read_answer
    from judge_server.provider.provider_errors import Place

    with pytest.raises(CallFailed):
        read_answer(content, Place("j", "url", "m", None, None), question())


def test_every_file_of_backends_is_a_kind(tmp_path: Path) -> None:
    assert kinds() == ["openai", "openai_compatible", "replay", "together"]
    with pytest.raises(ConfigError, match="known: openai, openai_compatible, replay, together"):
        connect(judge("http://127.0.0.1:9", kind="anthropic"))


def replayed(tmp_path: Path, lines: list[dict[str, Any]], calls: list[Call]) -> list[Reply | CallFailed]:
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + os.linesep)
    one = Judge(name="stored", kind="replay", file=file)
    backend = connect(one)

    async def go() -> list[Reply | CallFailed]:
        found: list[Reply | CallFailed] = []
        for call in calls:
            try:
                found.append(await backend.ask(call, 1.0))
            except CallFailed as failure:
                found.append(failure)
        return found

    return asyncio.run(go())


def test_replay_answers_by_key_then_by_match_then_by_script(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"reply": {"text": "first"}},
        {"match": "apple", "reply": {"text": "fruit"}},
        {"key": prompt_hash(question("apple pie").turns), "sample": 1, "reply": {"text": "pie", "prompt_tokens": 3}},
    ]
    calls = [question("apple pie", sample=1), question("apple pie"), question("x"), question("x")]
    *replies, failure = replayed(tmp_path, lines, calls)
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == ["pie", "fruit", "first"]
    assert isinstance(failure, CallFailed)
    assert "holds no reply" in failure.reason


@pytest.mark.parametrize("line", ['{"reply": {"txt": "a"}}', '{"replies": []}', "nonsense", '{"match": "a"}', "[]"])
def test_a_wrong_line_of_replies_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text('{"reply": {"text": "fine"}}\n\n' + line)
    with pytest.raises(ConfigError, match="line 3"):
        connect(Judge(name="stored", kind="replay", file=file))


@given(st.integers(1, 12))
def test_a_backoff_is_between_half_and_all_of_what_doubles(attempt: int) -> None:
    assert 0.25 * 2 ** (attempt - 1) <= backoff_s(attempt) <= 0.5 * 2 ** (attempt - 1)


@given(st.floats(0, 100), st.integers(1, 6), st.floats(0, 100), st.floats(0, 100))
def test_a_wait_is_no_shorter_than_asked_and_within_every_bound(
    after: float, attempt: int, max_wait_s: float, left_s: float
) -> None:
    failure = CallFailed("judge_quota", "429", retriable=True, retry_after_s=after)
    if attempt >= 5 or after > max_wait_s or after >= left_s:
        with pytest.raises(CallFailed) as given_up:
            wait_s(failure, attempt, 5, max_wait_s, left_s)
        assert given_up.value.status == "judge_quota"
        assert given_up.value.retry_after_s == after
    elif after + 0.25 < left_s:
        assert after <= wait_s(failure, attempt, 5, max_wait_s, left_s) < left_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_words_that_quote_a_prompt_switch_nothing_off(loopback: Loopback, kind: str) -> None:
    words = "Invalid prompt: '... temperature, seed and logprobs of a grammar school ...' flagged by policy"

    def behave(body: dict[str, Any], _number: int) -> Behaviour:
        return Behaviour(status=400, body=error(words)) if "evil" in str(body["messages"]) else Behaviour()

    loopback.behave = behave
    call = question("innocent", seed=1, schema={"type": "object"}, top_logprobs=2)
    failure, reply = asked_in_turn(judge(loopback.url, kind=kind), [replace(call, turns=(("user", "evil"),)), call])
    assert isinstance(failure, CallFailed)
    assert isinstance(reply, Reply)
    assert len(loopback.requests) == 2
    assert loopback.requests[0].keys() == loopback.requests[1].keys()


def test_a_field_is_left_out_from_then_on_only_where_the_server_answers_without(loopback: Loopback, kind: str) -> None:
    def behave(body: dict[str, Any], _number: int) -> Behaviour:
        evil = "evil" in str(body["messages"])
        return Behaviour(status=400, body=error("seed is not supported: evil")) if evil else Behaviour()

    loopback.behave = behave
    failure, reply = asked_in_turn(judge(loopback.url, kind=kind), [question("evil", seed=1), question(seed=1)])
    assert isinstance(failure, CallFailed)
    assert isinstance(reply, Reply)
    assert ["seed" in body for body in loopback.requests] == [True, False, True]


@pytest.mark.parametrize("field", ["temperature", "top_p"])
def test_how_a_judge_samples_is_never_changed_unasked(loopback: Loopback, kind: str, field: str) -> None:
    refusal = error(f"Unsupported value: '{field}' does not support 0.5 with this model.", param=field)

    def behave(body: dict[str, Any], _number: int) -> Behaviour:
        return Behaviour(status=400, body=refusal) if body.get(field, 1) != 1 else Behaviour()

    loopback.behave = behave
    (failure,) = asked(judge(loopback.url, kind=kind), sampled(field, 0.5))
    (reply,) = asked(judge(loopback.url, kind=kind), sampled(field, 1.0))
    assert isinstance(failure, CallFailed)
    assert f"set {field} = 1" in failure.reason
    assert isinstance(reply, Reply)
    assert len(loopback.requests) == 2
    assert (field in loopback.requests[1]) == (kind != "openai")  # whose reasoning models refuse the field itself


def test_a_request_that_cannot_be_made_was_not_sent_and_is_not_tried_again(
    loopback: Loopback, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_TEST", "sk-é-abc")
    (failure,) = asked(judge(loopback.url, kind=kind, key_env="KEY_OF_TEST"), question())
    assert isinstance(failure, CallFailed)
    assert (failure.status, failure.retriable, failure.sent) == ("judge_transport", False, False)
    assert "abc" not in failure.reason
    assert loopback.requests == []


def test_a_prompt_that_a_filter_stops_is_refused(loopback: Loopback, kind: str) -> None:
    loopback.behave = lambda _body, _number: Behaviour(status=400, body=error("filtered", "content_filter"))
    (failure,) = asked(judge(loopback.url, kind=kind), question())
    assert isinstance(failure, CallFailed)
    assert (failure.status, failure.retriable, failure.sent) == ("judge_refused", False, False)


def asked_in_turn(one: Judge, calls: list[Call]) -> list[Reply | CallFailed]:
    """Ask one backend several calls, one after another."""

    async def go() -> list[Reply | CallFailed]:
        backend = connect(one)
        answers: list[Reply | CallFailed] = []
        for call in calls:
            try:
                answers.append(await backend.ask(call, 10.0))
            except CallFailed as failure:
                answers.append(failure)
        await backend.close()
        return answers

    return asyncio.run(go())


def sampled(field: str, value: float) -> Call:
    settings: dict[str, Any] = {field: value}
    return question(**settings)
