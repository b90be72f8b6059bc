"""What the judge clients send, what they make of the answers, and when they ask again or give up."""

import asyncio
import json
import re
import socket
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import count, cycle, repeat

import httpx
import pytest
from tests.loopback_http import Wire, wired

from guerdon.client import Attempts, Refused, ServerError, Unreachable, Unreadable
from guerdon.judge_client import AsyncJudgeClient, JudgeClient
from guerdon.judge_messages import CompareRequest, GradeRequest

EXAMPLES = files("guerdon") / "examples"


def example(name: str) -> str:
    return (EXAMPLES / f"{name}.json").read_text()


COMPARE = CompareRequest.model_validate_json(example("compare_request"))
GRADE = GradeRequest.model_validate_json(example("grade_request"))


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wired() as wire:
        yield wire


Ask = Callable[[str], dict[str, object]]
"""Ask every route of a server once, and return what came, by route."""


def with_threads(url: str) -> dict[str, object]:
    with JudgeClient(url, token="t") as client:
        return {
            "compare": client.compare(COMPARE),
            "grade": client.grade(GRADE),
            "judges": client.judges(),
            "budget": client.budget("run7"),
        }


def with_asyncio(url: str) -> dict[str, object]:
    async def asked() -> dict[str, object]:
        async with AsyncJudgeClient(url, token="t") as client:
            return {
                "compare": await client.compare(COMPARE),
                "grade": await client.grade(GRADE),
                "judges": await client.judges(),
                "budget": await client.budget("run7"),
            }

    return asyncio.run(asked())


@pytest.mark.parametrize("ask", [with_threads, with_asyncio])
def test_every_route_is_asked_with_the_token_and_its_answer_read(wire: Wire, ask: Ask) -> None:
    bodies = [example(name) for name in ("compare_response", "grade_response", "judge_list", "budget_list")]
    wire.answers = [(200, body) for body in bodies]
    got = ask(wire.url)
    assert [(one.method, one.path) for one in wire.asked] == [
        ("POST", "/v1/compare"),
        ("POST", "/v1/grade"),
        ("GET", "/v1/judges"),
        ("GET", "/v1/budget?run=run7"),
    ]
    assert {one.headers["authorization"] for one in wire.asked} == {"Bearer t"}
    compared, graded = (json.loads(body) for body in bodies[:2])
    assert [verdict.winner for verdict in got["compare"].verdicts] == ["a", None]  # type: ignore[attr-defined]
    assert compared["verdicts"][1]["status"] == got["compare"].verdicts[1].status  # type: ignore[attr-defined]
    assert graded["grades"][0]["criteria"] == got["grade"].grades[0].criteria  # type: ignore[attr-defined]
    assert [judge.name for judge in got["judges"]] == ["local", "openai"]  # type: ignore[attr-defined]
    assert [budget.left_cost for budget in got["budget"]] == [2.17]  # type: ignore[attr-defined]


@pytest.mark.parametrize("ask", [with_threads, with_asyncio])
def test_every_attempt_says_what_is_left_of_the_deadline(wire: Wire, ask: Ask) -> None:
    bodies = [example(name) for name in ("compare_response", "grade_response", "judge_list", "budget_list")]
    wire.answers = [(503, "{}"), (502, "a proxy's page"), *((200, body) for body in bodies)]
    ask(wire.url)
    first, _, third = (CompareRequest.model_validate_json(one.body) for one in wire.asked[:3])
    assert third.deadline_s < first.deadline_s <= COMPARE.deadline_s
    assert third.comparisons == COMPARE.comparisons
    assert third.allowance == COMPARE.allowance


def test_the_budget_of_all_runs_is_asked_for_without_a_run(wire: Wire) -> None:
    wire.answers = [(200, example("budget_list"))]
    with JudgeClient(wire.url) as client:
        client.budget()
    assert wire.asked[0].path == "/v1/budget"


@pytest.mark.parametrize("code", [401, 422])
def test_a_refusal_is_raised_at_once_in_the_servers_words(wire: Wire, code: int) -> None:
    wire.answers = [(code, '{"error": "there is no judge \'gtp\'", "fields": []}')] * 2
    with JudgeClient(wire.url) as client, pytest.raises(Refused, match="there is no judge 'gtp'") as refused:
        client.grade(GRADE)
    assert refused.value.status_code == code
    assert len(wire.asked) == 1


def test_what_is_no_judge_server_is_said_to_be_none(wire: Wire) -> None:
    wire.answers = [(200, "<html>")]
    with JudgeClient(wire.url) as client, pytest.raises(Unreadable, match="not of this contract"):
        client.judges()


def test_a_server_that_is_not_there_is_given_up_when_the_patience_ends_and_not_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = r"no answer in 0\.2 s \(\d attempts\); last: ConnectError"
    with JudgeClient(f"http://127.0.0.1:{port}", patience_s=0.2) as client, pytest.raises(Unreachable, match=said):
        client.compare(COMPARE)


def test_patience_begins_anew_with_every_answer() -> None:
    now = [0.0]
    attempts = Attempts("http://server", 1e6, clock=lambda: now[0], patience_s=30)
    lost = httpx.ConnectError("refused")
    for _ in range(5):
        attempts.wait_s(lost)
        now[0] += 20
        attempts.wait_s(httpx.Response(503, headers={"retry-after": "1"}))
        now[0] += 20
    attempts.wait_s(lost)
    now[0] += 31
    with pytest.raises(ServerError, match=r"no answer in 30 s \(12 attempts\)"):
        attempts.wait_s(lost)


def given_up(attempts: Attempts, now: list[float], outcomes: Iterator[httpx.Response | httpx.TransportError]) -> str:
    """Ask again, without any real waiting, until that ends; return what is said then."""
    for outcome in outcomes:
        try:
            now[0] += attempts.wait_s(outcome)
        except Unreachable as error:
            return str(error)
    raise AssertionError("asked for ever")


def test_a_server_that_only_answers_with_faults_is_given_up_long_before_the_deadline(wire: Wire) -> None:
    wire.answers = [(500, '{"error": "internal"}'), (502, "a proxy's page")] * 100
    now = [0.0]
    attempts = Attempts(wire.url, 1800, clock=lambda: now[0], patience_s=30)
    with httpx.Client(base_url=wire.url, trust_env=False) as http:
        said = given_up(attempts, now, (http.get("/v1/judges") for _ in count()))
    assert re.search(r"no answer in 180 s \(\d+ attempts\); last: 50[02]: (internal|a proxy's page)", said)
    assert 170 < now[0] <= 180
    assert len(wire.asked) < 80


def test_faults_with_lost_connections_between_them_are_no_better() -> None:
    now = [0.0]
    attempts = Attempts("http://server", 1800, clock=lambda: now[0], patience_s=30)
    assert "no answer in 180 s" in given_up(attempts, now, cycle([httpx.Response(500), httpx.ConnectError("refused")]))


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_says_when_to_come_back_is_asked_until_the_deadline(code: int) -> None:
    now = [0.0]
    attempts = Attempts("http://server", 1800, clock=lambda: now[0], patience_s=30)
    put_off = httpx.Response(code, headers={"retry-after": "20"})
    assert "no answer in 1800 s" in given_up(attempts, now, repeat(put_off))
    assert now[0] > 1750
