"""A client that hangs up leaves no work behind."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_stack.stack import Stack


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, rewards_toml: Path) -> Iterator[Stack]:
    """An API without any worker: what is asked of one stays in flight until its deadline."""
    with Stack(config=rewards_toml, directory=tmp_path_factory.mktemp("stack"), worker=False) as running:
        yield running


def eventually(condition: Callable[[], bool], within_s: float = 20) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def gauge(http: httpx.Client, name: str) -> float:
    lines = http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def sent(api: Stack, path: str, body: Any) -> socket.socket:
    content = json.dumps(body).encode()
    peer = socket.create_connection(("127.0.0.1", api.port), timeout=20)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    peer.sendall(head.encode() + content)
    return peer


def test_items_of_a_client_that_closes_its_connection_are_forgotten(api: Stack) -> None:
    items = [{"completion": f"nobody waits {i}"} for i in range(5)]
    with httpx.Client(base_url=api.url, trust_env=False) as http:
        body = {"rewards": ["queued_length", "queued_match", "length"], "items": items, "deadline_s": 600}
        with sent(api, "/v1/score", body):
            eventually(lambda: gauge(http, "guerdon_in_flight") == 10)
        eventually(lambda: gauge(http, "guerdon_in_flight") == 0)
        assert http.get("/readyz").json()["backlog"] == 0


def test_what_another_client_still_waits_for_stays(api: Stack) -> None:
    body = {"rewards": ["queued_length"], "items": [{"completion": "both wait"}], "deadline_s": 600}
    with httpx.Client(base_url=api.url, trust_env=False) as http, sent(api, "/v1/score", body) as stays:
        eventually(lambda: gauge(http, "guerdon_in_flight") == 1)
        own = {"completion": "only one waits"}
        with sent(api, "/v1/score", body | {"items": [*body["items"], own]}):
            eventually(lambda: gauge(http, "guerdon_in_flight") == 2)
        eventually(lambda: gauge(http, "guerdon_in_flight") == 1)
        stays.close()
        eventually(lambda: gauge(http, "guerdon_in_flight") == 0)


def test_a_member_of_a_group_that_hangs_up_no_longer_waits(api: Stack) -> None:
    item = {"completion": "alone", "group": {"id": "hang-up", "size": 2, "slot": 0}}
    with httpx.Client(base_url=api.url, trust_env=False) as http:
        with sent(api, "/v1/score", {"rewards": ["diversity"], "items": [item], "deadline_s": 600}):
            eventually(lambda: gauge(http, "guerdon_cohorts_waiting") == 1)
        eventually(lambda: gauge(http, "guerdon_cohorts_waiting") == 0)


def test_a_connection_that_stays_open_gets_one_answer_after_the_other(api: Stack) -> None:
    body = {"rewards": ["length"], "items": [{"completion": "words"}]}
    with httpx.Client(base_url=api.url, trust_env=False) as http:
        for _ in range(3):
            assert http.post("/v1/score", json=body).json()["rewards"][0]["scores"][0]["value"] == 1.0


def test_a_job_goes_on_without_its_client_and_its_items_are_forgotten_when_it_is_cancelled(api: Stack) -> None:
    body = {"rewards": ["queued_length"], "items": [{"completion": "a job's"}], "deadline_s": 600}
    with httpx.Client(base_url=api.url, trust_env=False) as http:
        job = http.post("/v1/jobs", json=body).json()
        eventually(lambda: gauge(http, "guerdon_in_flight") == 1)
        with socket.create_connection(("127.0.0.1", api.port), timeout=20) as peer:
            peer.sendall(f"GET /v1/jobs/{job['id']}?wait_s=60 HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            eventually(lambda: gauge(http, "guerdon_requests_open") == 2)  # the one that asks, and the one that waits
        eventually(lambda: gauge(http, "guerdon_requests_open") == 1)
        assert gauge(http, "guerdon_in_flight") == 1
        assert http.delete(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"
        eventually(lambda: gauge(http, "guerdon_in_flight") == 0)
