import json
import logging
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reward_server.boundary import outcomes
from reward_server.rewards import Item
from reward_server.rewards.logprob_preference import LogprobPreference
from reward_server.rewards.participant import Participant

Reply = tuple[int, dict[str, str], str]
KEY = "sk-very-secret"


@dataclass
class Served:
    """A real HTTP server on a port of its own: `reply` decides, `requests` remembers."""

    reply: Callable[[str, dict[str, Any]], Reply]
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def endpoint() -> Iterator[Served]:
    served = Served(lambda path, body: chat({"A": -1.0, "B": -1.0}))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            served.requests.append((self.path, body))
            served.keys.append(self.headers["authorization"])
            status, headers, content = served.reply(self.path, body)
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()


def chat(top: dict[str, float], text: str = "A") -> Reply:
    first = {"token": text, "logprob": -0.1, "bytes": None}
    likely = [{"token": token, "logprob": log, "bytes": None} for token, log in top.items()]
    content = [{**first, "top_logprobs": likely}]
    return ok("chat.completion", {"message": {"role": "assistant", "content": text}, "logprobs": {"content": content}})


def completion(**logprobs: Any) -> Reply:
    return ok("text_completion", {"text": "A", "logprobs": logprobs})


def ok(what: str, choice: dict[str, Any]) -> Reply:
    body = {"id": "1", "object": what, "created": 1, "model": "m", "choices": [{"index": 0, **choice}]}
    return 200, {}, json.dumps(body)


def failing(status: int, **headers: str) -> Callable[[str, dict[str, Any]], Reply]:
    """Answer with an error that repeats the prompt, as endpoints do."""
    return lambda path, body: (status, headers, json.dumps({"error": {"message": f"no: {json.dumps(body)}"}}))


def by_order(tea_first: dict[str, float], milk_first: dict[str, float]) -> Callable[[str, dict[str, Any]], Reply]:
    return lambda path, body: chat(tea_first if "A: tea" in body["messages"][-1]["content"] else milk_first)


def kind(endpoint: Served, **settings: Any) -> LogprobPreference:
    built = LogprobPreference(base_url=endpoint.url, model_name="m", **{"max_retries": 0} | settings)
    built.load()
    return built


def item(a: str = "tea", b: str = "milk") -> Item:
    return Item("", "", context={"transcript": [], "option_a": a, "option_b": b, "system": "a private persona"})


def test_letters_are_read_from_one_call_per_order_and_renormalised(endpoint: Served) -> None:
    endpoint.reply = by_order(
        {"A": math.log(0.4), " A": math.log(0.2), "B": math.log(0.2), "The": -2},
        {"A": math.log(0.3), "B": math.log(0.6)},
    )
    [score] = kind(endpoint).score([item()])
    assert score.value == pytest.approx(1 / (1 + math.exp(-(math.log(3) + math.log(2)) / 2)))
    assert score.components == pytest.approx(
        {"log_odds": math.log(6) / 2, "bias": math.log(1.5) / 2, "letter_mass": 0.8, "flipped": 0}
    )
    asked = [body for _, body in endpoint.requests]
    assert len(asked) == 2
    wanted = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20, "model": "m"}
    assert all(wanted.items() <= body.items() for body in asked)
    assert asked[0]["messages"][0] == {"role": "system", "content": "a private persona"}


def test_identical_options_are_exactly_one_half_for_one_call(endpoint: Served) -> None:
    endpoint.reply = lambda path, body: chat({"A": -0.3, "B": -4.0})
    [score] = kind(endpoint).score([item("tea", "tea")])
    assert (score.value, len(endpoint.requests)) == (0.5, 1)


@pytest.mark.parametrize("told", [{"A": -0.1, "The": -3.0}, {"A": -0.1, "B": -9999.0}])
def test_a_letter_that_the_endpoint_does_not_tell_is_missing_and_not_made_up(
    endpoint: Served, told: dict[str, float]
) -> None:
    endpoint.reply = lambda path, body: chat(told)
    [score] = kind(endpoint).score([item()])
    assert (score.value, score.status) == (None, "letter_missing")
    assert "'B'" in (score.error or "") or "B is not among" in (score.error or "")


def test_a_missing_letter_is_asked_for_where_the_endpoint_echoes(endpoint: Served) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        assert path == "/v1/completions"
        if not body.get("echo"):
            return completion(tokens=[" A"], token_logprobs=[-0.2], top_logprobs=[{" A": -0.2, "The": -3.0}])
        assert body["prompt"].endswith("Assistant: B")
        return completion(tokens=["Assistant", ":", " B", "."], token_logprobs=[None, -1.0, -7.5, -0.1])

    endpoint.reply = reply
    [score] = kind(endpoint, echo=True, chat_template="plain").score([item("tea", "tea")])
    assert score.value == 0.5
    assert score.components["bias"] == pytest.approx(-0.2 + 7.5)
    assert score.components["letter_mass"] == pytest.approx(math.exp(-0.2) + math.exp(-7.5))
    assert endpoint.requests[0][1]["prompt"].startswith("System: a private persona\nUser: Option A: tea")


def test_an_endpoint_that_takes_the_letter_for_something_else_misses_it(endpoint: Served) -> None:
    endpoint.reply = lambda path, body: completion(
        tokens=["x", "y", "z"], token_logprobs=[-1.0, -1.0, -1.0], top_logprobs=[{"A": -0.2}]
    )
    [score] = kind(endpoint, echo=True, chat_template="plain").score([item()])
    assert score.status == "letter_missing"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_an_endpoints_error_is_told_by_its_status_without_prompt_or_key(
    endpoint: Served, status: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    endpoint.reply = failing(status)
    with caplog.at_level(logging.INFO):
        [score] = kind(endpoint, api_key_env="SOME_KEY").score([item()])
    assert (score.status, score.error) == ("model_error", f"the endpoint answered with status {status}")
    assert endpoint.keys[0] == f"Bearer {KEY}"
    assert KEY not in caplog.text
    assert "persona" not in caplog.text


def test_retries_are_bounded(endpoint: Served) -> None:
    endpoint.reply = failing(503, **{"retry-after-ms": "1"})
    kind(endpoint, max_retries=2).score([item("tea", "tea")])
    assert len(endpoint.requests) == 3


def test_silence_is_a_timeout(endpoint: Served) -> None:
    over = threading.Event()

    def reply(path: str, body: dict[str, Any]) -> Reply:
        over.wait(30)
        return chat({})

    endpoint.reply = reply
    [score] = kind(endpoint, timeout_s=0.2).score([item("tea", "tea")])
    over.set()
    assert (score.value, score.status) == (None, "timeout")


def test_an_endpoint_that_is_not_there_is_an_error(endpoint: Served) -> None:
    absent = LogprobPreference(base_url="http://127.0.0.1:9/v1", model_name="m", max_retries=0)
    absent.load()
    [score] = absent.score([item()])
    assert score.status == "model_error"
    assert "no connection" in (score.error or "")


def test_a_redirect_is_not_followed(endpoint: Served) -> None:
    endpoint.reply = lambda path, body: (307, {"location": endpoint.url.replace("/v1", "/elsewhere")}, "")
    [score] = kind(endpoint).score([item("tea", "tea")])
    assert score.error == "the endpoint answered with status 307"
    assert [path for path, _ in endpoint.requests] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "content", ["", "no JSON", "{}", '{"choices": []}', '{"choices": [{"logprobs": null}]}', "[1]"]
)
def test_an_answer_in_another_form_is_an_error(endpoint: Served, content: str) -> None:
    endpoint.reply = lambda path, body: (200, {}, content)
    [score] = kind(endpoint).score([item()])
    assert (score.value, score.status) == (None, "model_error")
    assert "lacks what was asked for" in (score.error or "")


def test_one_failing_order_fails_its_item_alone(endpoint: Served) -> None:
    endpoint.reply = lambda path, body: (
        failing(500)(path, body) if "milk" in str(body) else chat({"A": -0.3, "B": -2.0})
    )
    bad, good = kind(endpoint).score([item(), item("rye", "oat")])
    assert (bad.status, good.status) == ("model_error", "ok")


def test_a_key_that_is_not_set_is_named(endpoint: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ValueError, match="NO_SUCH_KEY is not set"):
        kind(endpoint, api_key_env="NO_SUCH_KEY")


def test_calls_go_side_by_side_up_to_the_limit(endpoint: Served) -> None:
    together = threading.Barrier(2, timeout=30)
    busy, most = threading.Semaphore(2), []

    def reply(path: str, body: dict[str, Any]) -> Reply:
        most.append(busy.acquire(blocking=False))  # fails if a third call is under way
        together.wait()  # passes only if a second call is under way
        busy.release()
        return chat({"A": -0.3, "B": -2.0})

    endpoint.reply = reply
    scores = kind(endpoint, max_concurrency=2).score([item("a", "b"), item("c", "d")])
    assert all(score.ok for score in scores)
    assert most == [True] * 4


@pytest.fixture
def participant(endpoint: Served, tmp_path: Path) -> Participant:
    (tmp_path / "personas.toml").write_text('ann = "Ann, a nurse."')
    built = Participant(
        base_url=endpoint.url, model_name="m", max_retries=0, temperature=0.7, personas=str(tmp_path / "personas.toml")
    )
    built.load()
    return built


def question(text: str) -> Item:
    return Item("", "", context={"persona": "ann", "transcript": [], "question": text})


def test_a_participant_answers_with_a_seed_made_of_the_content(endpoint: Served, participant: Participant) -> None:
    endpoint.reply = lambda path, body: chat({}, f" {body['messages'][-1]['content']} Yes. ")
    assert participant.write([question("Tea?"), question("Milk?"), question("Tea?")]) == [
        "Tea? Yes.",
        "Milk? Yes.",
        "Tea? Yes.",
    ]
    seeds = {body["messages"][-1]["content"]: body["seed"] for _, body in endpoint.requests}
    assert len(set(seeds.values())) == 2
    assert "Ann, a nurse." in endpoint.requests[0][1]["messages"][0]["content"]


def test_nobody_is_asked_again_because_a_neighbour_failed(endpoint: Served, participant: Participant) -> None:
    endpoint.reply = lambda path, body: failing(500)(path, body) if "Bad" in str(body) else chat({}, "Yes.")
    found = outcomes(participant, [question(text) for text in ("One?", "Bad?", "Two?", "Three?")])
    assert [outcome["status"] for outcome in found] == ["ok", "model_error", "ok", "ok"]
    assert "status 500" in found[1]["error"]
    assert len(endpoint.requests) == 4


def test_an_empty_answer_is_an_error(endpoint: Served, participant: Participant) -> None:
    endpoint.reply = lambda path, body: chat({}, " ")
    [outcome] = outcomes(participant, [question("Tea?")])
    assert outcome["status"] == "model_error"
    assert "empty" in outcome["error"]
