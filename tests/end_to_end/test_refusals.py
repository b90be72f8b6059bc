"""Every route refuses in one form; no request can name a model, a path or a URL."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_stack.stack import Stack

GOOD: dict[str, Any] = {
    "rewards": ["length"],
    "items": [{"completion": "words", "group": {"id": "g", "size": 1, "slot": 0}}],
}
POSTS = ["/v1/score", "/v1/jobs"]
ELSEWHERE = ["/etc/passwd", "../../secrets", "https://evil.example/model", "file:///etc/passwd", "s3://bucket/model"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, rewards_toml: Path) -> Iterator[Stack]:
    with Stack(config=rewards_toml, directory=tmp_path_factory.mktemp("stack"), worker=False) as running:
        yield running


@pytest.fixture(scope="module")
def http(api: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, timeout=60, trust_env=False) as client:
        yield client


def refused(answer: httpx.Response) -> bool:
    body = answer.json()
    return answer.status_code in {400, 404, 405, 408, 413, 422} and body.keys() == {"error", "fields"}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_request_cannot_name_a_model_a_path_or_a_url_as_its_reward(http: httpx.Client, path: str, name: str) -> None:
    answer = http.post(path, json=GOOD | {"rewards": [name]})
    assert answer.status_code == 422
    assert "unknown rewards" in answer.json()["error"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("field", ["model", "path", "url", "base_url", "kind", "config"])
@pytest.mark.parametrize("level", ["request", "item", "group"])
def test_a_request_cannot_name_one_as_a_further_field_at_any_level(
    http: httpx.Client, path: str, field: str, level: str
) -> None:
    body = json.loads(json.dumps(GOOD))
    place = {"request": body, "item": body["items"][0], "group": body["items"][0]["group"]}[level]
    place[field] = ELSEWHERE[0]
    answer = http.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"].endswith(field)
    assert ELSEWHERE[0] not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        json.dumps(GOOD).encode("utf-16"),
        b'{"rewards": ["length"], "items": [{"completion": "\\ud800"}]}',
        b'{"rewards": ["length"], "items": [{"completion": "a", "reference": NaN}]}',
        b'{"rewards": ["length"], "items": [{"completion": "a", "reference": 1e999}]}',
        b'{"rewards": ["length"], "items": [{"completion": "a", "\\ud800": 1}]}',
        b'{"rewards": ["length"], "priority": "urgent", "items": [{"completion": "a"}]}',
        b'{"rewards": ["length"], "items": [{"completion": "a", "context": '
        + b'{"a":' * 5000
        + b"1"
        + b"}" * 5001
        + b"]}",
        b"x" * 9_000_000,
    ],
)
def test_a_job_that_is_no_sensible_request_is_refused(http: httpx.Client, body: bytes) -> None:
    assert refused(http.post("/v1/jobs", content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize("depth", [100, 200, 250, 253, 256, 300, 500])
def test_a_job_of_any_depth_is_accepted_or_refused(http: httpx.Client, depth: int) -> None:
    body = '{"rewards": ["length"], "items": [{"completion": "a", "reference": ' + "[" * depth + "]" * depth + "}]}"
    answer = http.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 202 or refused(answer)
    if answer.status_code == 202:
        assert http.get(answer.headers["location"], params={"wait_s": 30}).json()["state"] == "done"


@pytest.mark.parametrize("wait_s", ["-1", "61", "nan", "inf", "1e999", "soon", "", "1" * 5000])
def test_a_wait_that_is_none_is_refused(http: httpx.Client, wait_s: str) -> None:
    answer = http.get("/v1/jobs/x", params={"wait_s": wait_s})
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "wait_s"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs"),
        ("PUT", "/v1/jobs"),
        ("POST", "/v1/jobs/x"),
        ("PATCH", "/v1/jobs/x"),
        ("DELETE", "/v1/score"),
    ],
)
def test_a_method_that_a_route_does_not_have_is_405(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 405
    assert refused(answer)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(max_size=40), query=st.text(max_size=20), method=st.sampled_from(["GET", "DELETE", "POST"]))
def test_no_path_or_query_is_answered_with_a_500(http: httpx.Client, path: str, query: str, method: str) -> None:
    target = http.base_url.copy_with(raw_path=b"/v1/jobs/" + _quoted(path) + b"?wait_s=" + _quoted(query))
    assert refused(http.request(method, target))


def _quoted(text: str) -> bytes:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass")).encode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: json.dumps(text).encode()))
def test_no_body_of_a_job_is_answered_with_a_500(http: httpx.Client, body: bytes) -> None:
    assert refused(http.post("/v1/jobs", content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/jobs/%ff%fe",
        b"/v1/jobs/\xff",
        b"/v1/jobs/x?wait_s=%ff",
        b"/v1/jobs/%00",
        b"/v1/jobs/a%0d%0ab",
        b"//v1/jobs",
    ],
)
def test_bytes_that_are_no_text_in_a_target_are_refused(api: Stack, target: bytes) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as peer:
        peer.sendall(b"GET " + target + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert peer.recv(64).split()[1] in {b"400", b"404", b"422"}


@pytest.mark.parametrize("key", [b"\xff\xfe", b"x" * 201, b"", b"caf\xc3\xa9", b"a b c"])
def test_any_idempotency_key_is_taken_or_refused(http: httpx.Client, key: bytes) -> None:
    answer = http.post("/v1/jobs", json=GOOD, headers={b"idempotency-key": key})
    assert answer.status_code == 202 or refused(answer)


def test_bulk_is_a_priority_and_anything_else_is_refused(http: httpx.Client) -> None:
    assert http.post("/v1/score", json=GOOD | {"priority": "bulk"}).status_code == 200
    answer = http.post("/v1/score", json=GOOD | {"priority": "urgent"})
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "priority"
