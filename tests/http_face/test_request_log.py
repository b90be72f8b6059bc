import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from http_face.body_limit import BodyLimit
from http_face.log_lines import JsonLine
from http_face.request_log import RequestLog, note
from reward_server.travel import travelling

CANARY = "canary-text"


def make_app() -> FastAPI:
    app, router = FastAPI(), APIRouter()

    @router.post("/v1/score")
    async def score(request: Request) -> dict[str, str]:
        note(items=3, rewards=["a", "b"], run="run\n7", tenant=None)
        return travelling()

    @router.get("/v1/jobs/{one}")
    async def job(one: str) -> str:
        return one

    @router.get("/v1/bug")
    async def bug() -> None:
        raise ValueError(CANARY)

    @router.get("/healthz")
    async def healthz() -> str:
        return "alive"

    app.include_router(router)
    app.include_router(router, prefix="/dialect")
    app.add_middleware(BodyLimit, max_bytes=1000, timeout_s=5)
    app.add_middleware(RequestLog)
    return app


@pytest.fixture
def http() -> Iterator[TestClient]:
    with TestClient(make_app()) as client:
        yield client


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What has been logged so far, as JSON lines."""
    stream = io.StringIO()
    handler, logger = logging.StreamHandler(stream), logging.getLogger("guerdon.requests")
    handler.setFormatter(JsonLine())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def answers(route: str, code: int) -> float:
    return REGISTRY.get_sample_value("guerdon_requests_total", {"route": route, "code": str(code)}) or 0.0


def test_a_request_id_is_echoed_and_travels_to_the_queue(http: TestClient) -> None:
    answer = http.post("/v1/score", headers={"x-request-id": "trainer-7/12"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "trainer-7/12"


@pytest.mark.parametrize("bad", ["", " ", "a b", "x" * 129, "tab\there", "ümlaut"])
def test_an_unusable_request_id_is_replaced(http: TestClient, bad: str) -> None:
    answer = http.post("/v1/score", headers=[(b"x-request-id", bad.encode())])
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["x-request-id"] != bad
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "content", "code"),
    [
        ("GET", "/v1/bug", b"", 500),
        ("POST", "/v1/score", b"x" * 1001, 413),
        ("GET", "/nowhere", b"", 404),
        ("GET", "/v1/score", b"", 405),
    ],
)
def test_errors_carry_the_request_id_as_well(
    http: TestClient, method: str, path: str, content: bytes, code: int
) -> None:
    answer = http.request(method, path, content=content, headers={"x-request-id": "mine"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (code, "mine")


def test_a_v1_request_is_one_line_with_what_was_noted(http: TestClient, lines: Lines) -> None:
    http.post("/v1/score?secret=canary", json={"text": CANARY})
    [told] = lines()
    assert (told["method"], told["route"], told["status"]) == ("POST", "/v1/score", 200)
    assert (told["items"], told["rewards"], told["run"]) == (3, ["a", "b"], "run\n7")
    assert "tenant" not in told
    assert told["ms"] >= 0
    assert "canary" not in json.dumps(told)


def test_probes_leave_no_line(http: TestClient, lines: Lines) -> None:
    http.get("/healthz")
    assert lines() == []


def test_a_mistake_of_ours_is_answered_by_its_type_and_logged_without_its_message(
    http: TestClient, lines: Lines
) -> None:
    answer = http.get("/v1/bug", headers={"x-request-id": "mine"})
    assert answer.status_code == 500
    assert "ValueError" in answer.json()["error"]
    mistake, request = lines()
    assert mistake["level"] == "ERROR"
    assert mistake["exception"][-1] == "ValueError"
    assert mistake["request_id"] == request["request_id"] == "mine"
    assert CANARY not in json.dumps([mistake, request, answer.text])


def test_routes_are_counted_by_their_template(http: TestClient) -> None:
    before = answers("/v1/jobs/{one}", 200), answers("/dialect/v1/jobs/{one}", 200)
    http.get("/v1/jobs/1")
    http.get("/v1/jobs/2")
    http.get("/dialect/v1/jobs/3")
    after = answers("/v1/jobs/{one}", 200), answers("/dialect/v1/jobs/{one}", 200)
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


def test_paths_made_up_by_callers_do_not_become_labels(http: TestClient) -> None:
    before = answers("other", 404)
    for index in range(20):
        http.get(f"/made-up/{index}")
        http.post(f"/made-up/{index}", content=b"x" * 1001)
    routes = {
        sample.labels["route"]
        for metric in REGISTRY.collect()
        if metric.name == "guerdon_requests"
        for sample in metric.samples
    }
    assert not any("made-up" in route for route in routes)
    assert answers("other", 404) - before == 20


def test_what_is_refused_before_routing_is_counted_for_its_route(http: TestClient) -> None:
    http.post("/v1/score")
    before = answers("/v1/score", 413)
    http.post("/v1/score", content=b"x" * 1001)
    assert answers("/v1/score", 413) - before == 1


def test_refusals_are_counted_by_reason(http: TestClient) -> None:
    def refused() -> float:
        return REGISTRY.get_sample_value("guerdon_refused_total", {"reason": "too_large"}) or 0.0

    before = refused()
    http.post("/v1/score", content=b"x" * 1001)
    assert refused() - before == 1


def test_while_draining_connections_are_closed_after_their_answer() -> None:
    app = make_app()
    with TestClient(app) as client:
        assert "connection" not in client.get("/healthz").headers
        app.state.draining = True
        answer: httpx.Response = client.get("/healthz")  # type: ignore[assignment]
        assert answer.headers["connection"] == "close"


def test_a_caller_that_leaves_in_the_middle_of_its_body_is_no_mistake_of_ours(lines: Lines) -> None:
    app = FastAPI()

    @app.post("/v1/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    async def leaves() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def nobody(message: Any) -> None:
        raise AssertionError("nothing is to be answered")

    async def call() -> None:
        app.add_middleware(RequestLog)
        scope = {"type": "http", "method": "POST", "path": "/v1/read", "headers": [], "query_string": b""}
        await app(scope, leaves, nobody)

    asyncio.run(call())
    [told] = lines()
    assert told["status"] == 499
    assert told["level"] == "INFO"
