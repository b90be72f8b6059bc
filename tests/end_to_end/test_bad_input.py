"""Whatever comes in, the answer is a clear refusal, never a 500 and never an echo."""

import json
import socket
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_stack.stack import Stack

GOOD: dict[str, Any] = {"rewards": ["length"], "items": [{"completion": "words"}]}
SECRET = "do-not-echo-this"


def post(http: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    return http.post("/v1/score", content=body, headers={"content-type": "application/json", **headers})


def with_item(text: str) -> bytes:
    return b'{"rewards": ["length"], "items": [{"completion": ' + text.encode() + b"}]}"


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"rewards": ["lenght"]}, "rewards", "known: ["),
        ({"rewards": []}, "rewards", "at least 1"),
        ({"rewards": ["length", "length"]}, "body", "more than once"),
        ({"items": []}, "items", "at least 1"),
        ({"items": [{}]}, "items.0.completion", "required"),
        ({"items": [{"completion": 3}]}, "items.0.completion", "string"),
        ({"items": [{"completion": "a", "modle": "/etc/passwd"}]}, "items.0.modle", "not permitted"),
        ({"deadline_s": 0}, "deadline_s", "greater than 0"),
        ({"deadline_s": 1e9}, "deadline_s", "less than or equal"),
        ({"items": [{"completion": "a", "group": {"id": "g", "size": 2, "slot": 2}}]}, "items.0.group", "slot 2"),
    ],
)
def test_a_wrong_request_is_422_and_names_the_field(
    http: httpx.Client, change: dict[str, Any], field: str, says: str
) -> None:
    answer = http.post("/v1/score", json=GOOD | change)
    assert answer.status_code == 422
    fields = answer.json()["fields"]
    assert any(problem["field"].startswith(field) and says in problem["problem"] for problem in fields), fields


@pytest.mark.parametrize(
    "items",
    [
        [{"prompt": "p", "completion": "a"}, {"prompt": "q", "completion": "b"}],
        [{"completion": "a", "group": {"id": "g", "size": 2, "slot": 0}}, {"completion": "b"}],
        [{"completion": text, "group": {"id": "g", "size": 2, "slot": 0}} for text in "ab"],
        [{"completion": text, "group": {"id": "g", "size": 2 + i, "slot": i}} for i, text in enumerate("ab")],
    ],
)
def test_a_group_reward_says_which_item_lacks_a_proper_group(http: httpx.Client, items: list[dict[str, Any]]) -> None:
    answer = http.post("/v1/score", json={"rewards": ["diversity"], "items": items})
    assert answer.status_code == 422
    assert "group" in answer.json()["fields"][0]["field"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        json.dumps(GOOD).encode("utf-16"),
        with_item('"\\ud800"'),
        with_item("NaN"),
        with_item('"a", "reference": NaN'),
        with_item('"a", "reference": Infinity'),
        with_item('"a", "reference": 1e999'),
        with_item('"a", "reference": ' + "1" * 5000),
        with_item('"a", "context": ' + "[" * 100_000 + "]" * 100_000),
        with_item('"a", "reference": ' + "[" * 2000 + "]" * 2000),
        with_item('"a", "reference": ' + "[" * 1000 + "]" * 1000),
    ],
)
def test_a_body_that_is_no_sensible_json_is_refused_and_not_a_500(http: httpx.Client, body: bytes) -> None:
    answer = post(http, body)
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]


def test_a_refusal_never_echoes_the_input(http: httpx.Client) -> None:
    answer = http.post("/v1/score", json=GOOD | {"items": [{"completion": SECRET, "reference": SECRET, "x": SECRET}]})
    assert answer.status_code == 422
    assert SECRET not in answer.text


def test_a_body_over_the_limit_is_413_by_its_declared_length(http: httpx.Client) -> None:
    answer = post(http, with_item('"' + "x" * 10_000_000 + '"'))
    assert answer.status_code == 413
    assert "8388608 bytes" in answer.json()["error"]


def test_a_chunked_body_over_the_limit_is_413_by_counting(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as peer:
        peer.sendall(b"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        peer.sendall(b"transfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n" % (1 << 20) + b"x" * (1 << 20) + b"\r\n"
        try:
            for _ in range(12):
                peer.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server need not read what it refuses
        assert peer.recv(64).startswith(b"HTTP/1.1 413")


def test_a_text_body_is_refused_with_a_reason(http: httpx.Client) -> None:
    answer = http.post("/v1/score", content=b"hello", headers={"content-type": "text/plain"})
    assert answer.status_code == 422


def test_an_unknown_path_is_a_404_in_our_own_form(http: httpx.Client) -> None:
    answer = http.get("/v1/nothing")
    assert (answer.status_code, answer.json()["error"]) == (404, "Not Found")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: json.dumps(text).encode()))
def test_no_body_is_answered_with_a_500(http: httpx.Client, body: bytes) -> None:
    assert post(http, body).status_code in {400, 422}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), json_values, st.dictionaries(st.text(), json_values, max_size=3))
def test_any_well_formed_item_is_answered_with_one_score_per_reward(
    http: httpx.Client, completion: str, reference: Any, context: dict[str, Any]
) -> None:
    item = {"completion": completion, "reference": reference, "context": context}
    rewards = ["length", "queued_length", "queued_match", "sql_cot"]
    answer = http.post("/v1/score", json={"rewards": rewards, "items": [item]})
    assert answer.status_code == 200
    for served in answer.json()["rewards"]:
        [score] = served["scores"]
        assert (score["value"] is None) == (score["status"] != "ok")


@pytest.mark.parametrize("depth", [100, 200, 250, 253, 256, 300, 500])
def test_deep_nesting_is_scored_or_refused_and_never_a_500(http: httpx.Client, depth: int) -> None:
    body = (
        '{"rewards": ["queued_match"], "items": [{"completion": "a", "reference": ' + "[" * depth + "]" * depth + "}]}"
    )
    answer = post(http, body.encode())
    assert answer.status_code in {200, 422}
    assert "timeout" not in answer.text
    assert http.get("/readyz").status_code == 200
