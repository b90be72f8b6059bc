"""What the judge clients send, what they make of the answers, and when they ask again or give up."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

import httpx
import pytest

from guerdon.client import Attempts, Refused, ServerError, Unreachable, Unreadable
from guerdon.judge_client import AsyncJudgeClient, JudgeClient
from guerdon.judge_messages import CompareRequest, GradeRequest

EXAMPLES = files("guerdon") / "examples"


def example(name: str) -> str:
    return (EXAMPLES / f"{name}.json").read_text()


COMPARE = CompareRequest.model_validate_json(example("compare_request"))
GRADE = GradeRequest.model_validate_json(example("grade_request"))


@dataclass
class Wire:
    """A server that answers with what it is given, one after the other, and remembers what it was asked."""

    answers: list[tuple[int, str]]
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire([])

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            wire.asked.append((self.command, self.path, headers, body))
            code, text = wire.answers.pop(0)
            self.send_response(code)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer  # noqa: N815 - the names http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        wire.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield wire
        server.shutdown()
        thread.join()


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
    assert [(method, path) for method, path, *_ in wire.asked] == [
        ("POST", "/v1/compare"),
        ("POST", "/v1/grade"),
        ("GET", "/v1/judges"),
        ("GET", "/v1/budget?run=run7"),
    ]
    assert {headers["authorization"] for _, _, headers, _ in wire.asked} == {"Bearer t"}
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
    first, _, third = (CompareRequest.model_validate_json(body) for *_, body in wire.asked[:3])
    assert third.deadline_s < first.deadline_s <= COMPARE.deadline_s
    assert third.comparisons == COMPARE.comparisons
    assert third.allowance == COMPARE.allowance


def test_the_budget_of_all_runs_is_asked_for_without_a_run(wire: Wire) -> None:
    wire.answers = [(200, example("budget_list"))]
    with JudgeClient(wire.url) as client:
        client.budget()
    assert wire.asked[0][1] == "/v1/budget"


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
        attempts.wait_s(httpx.Response(503))
        now[0] += 20
    attempts.wait_s(lost)
    now[0] += 31
    with pytest.raises(ServerError, match=r"no answer in 30 s \(12 attempts\)"):
        attempts.wait_s(lost)
