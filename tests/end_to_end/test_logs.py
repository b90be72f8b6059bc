"""What one request leaves in the logs and traces of the processes it went through."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_stack.stack import Stack

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Logs:
    """The logs of a stack whose processes write JSON lines and, between them, spans."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def objects(self, process: str) -> list[dict[str, Any]]:
        text = (self._directory / f"{process}.log").read_text()
        decoder, place, found = json.JSONDecoder(), text.find("{"), []
        while place >= 0:
            try:
                one, end = decoder.raw_decode(text, place)
            except ValueError:  # the last of it is being written
                break
            found.append(one)
            place = text.find("{", end)
        return found

    def lines(self, process: str, **fields: str) -> list[dict[str, Any]]:
        return [one for one in self.objects(process) if "logger" in one and fields.items() <= one.items()]

    def spans(self, process: str) -> list[dict[str, Any]]:
        return [one for one in self.objects(process) if one.get("context", {}).get("trace_id") == f"0x{TRACE}"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, light_toml: Path) -> Iterator[Stack]:
    env = {
        "GUERDON_REWARD_LOG_FORMAT": "json",
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with Stack(config=light_toml, directory=tmp_path_factory.mktemp("stack"), threads=1, env=env) as running:
        yield running


@pytest.fixture
def logs(stack: Stack) -> Logs:
    assert stack.directory is not None
    return Logs(stack.directory)


def eventually(condition: Callable[[], object], within_s: float = 20) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_a_request_is_one_line_with_its_id_and_what_it_asked_for(http: httpx.Client, logs: Logs) -> None:
    body = {"rewards": ["length"], "items": [{"completion": "a"}, {"completion": "b"}], "run": "run\n7"}
    http.post("/v1/score", json=body, headers={"x-request-id": "one-line"})
    eventually(lambda: logs.lines("reward-api", request_id="one-line"))
    [line] = logs.lines("reward-api", request_id="one-line")
    told = {name: line[name] for name in ("method", "route", "status", "items", "rewards", "run")}
    assert told == {"method": "POST", "route": "/v1/score", "status": 200, "items": 2, "rewards": ["length"],
                    "run": "run\n7"}  # fmt: skip


def test_what_a_worker_logs_about_failed_items_names_their_request(http: httpx.Client, logs: Logs) -> None:
    body = {"rewards": ["queued_match"], "items": [{"completion": "without a reference"}]}
    answer = http.post("/v1/score", json=body, headers={"x-request-id": "it-failed"})
    assert answer.json()["rewards"][0]["scores"][0]["status"] != "ok"
    eventually(lambda: logs.lines("reward-worker", request_id="it-failed"))
    [line] = logs.lines("reward-worker", request_id="it-failed")
    assert line["reward"] == "queued_match"


def test_a_request_and_its_work_on_the_worker_are_one_trace(http: httpx.Client, logs: Logs) -> None:
    body = {"rewards": ["queued_length"], "items": [{"completion": "traced"}]}
    http.post("/v1/score", json=body, headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    eventually(lambda: logs.spans("reward-api") and logs.spans("reward-worker"))
    [request], [work] = logs.spans("reward-api"), logs.spans("reward-worker")
    assert (request["name"], work["name"]) == ("POST /v1/score", "score queued_length")
    assert work["parent_id"] == request["context"]["span_id"]
    assert request["resource"]["attributes"]["service.name"] == "guerdon-reward-api"
    assert work["resource"]["attributes"]["service.name"] == "guerdon-reward-worker"
