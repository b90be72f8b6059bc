"""Several teams at one server: each with its own token, limits, groups and jobs."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_stack.stack import Stack
from reward_server.tenants import digest

TENANTS = f"""
[team-a]
token_sha256 = "{digest(b"token-a").hex()}"
[team-b]
token_sha256 = "{digest(b"token-b").hex()}"
items_per_minute = 10
[team-c]
token_sha256 = "{digest(b"token-c").hex()}"
max_in_flight = 2
"""
BODY = {"rewards": ["length"], "items": [{"completion": "words"}]}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, rewards_toml: Path) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    (directory / "tenants.toml").write_text(TENANTS)
    env = {"GUERDON_REWARD_TENANTS": str(directory / "tenants.toml"), "GUERDON_REWARD_TOKEN": "token-of-default"}
    with Stack(config=rewards_toml, directory=directory, worker=False, env=env) as running:
        yield running


def as_tenant(api: Stack, token: str | None) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    return httpx.Client(base_url=api.url, timeout=30, trust_env=False, headers=headers)


def member(slot: int, **more: Any) -> dict[str, Any]:
    item = {"completion": f"member {slot}", "group": {"id": "shared", "size": 2, "slot": slot}}
    return {"rewards": ["diversity"], "items": [item], **more}


@pytest.mark.parametrize("token", ["token-a", "token-b", "token-of-default"])
def test_every_tenant_is_let_in_with_its_own_token(api: Stack, token: str) -> None:
    with as_tenant(api, token) as http:
        assert http.post("/v1/score", json=BODY).status_code == 200
        assert http.get("/v1/rewards").status_code == 200


@pytest.mark.parametrize("token", [None, "token", "token-a ü", digest(b"token-a").hex()])
def test_nobody_else_is_and_hears_nothing_about_the_request(api: Stack, token: str | None) -> None:
    headers = {"authorization": b"Bearer " + token.encode()} if token is not None else {}
    with as_tenant(api, None) as http:
        for method, path in (
            ("POST", "/v1/score"),
            ("POST", "/v1/jobs"),
            ("GET", "/v1/jobs/0"),
            ("DELETE", "/v1/jobs/0"),
            ("GET", "/v1/rewards"),
            ("GET", "/v1/nothing"),
        ):
            answer = http.request(method, path, content=b"{" if method == "POST" else None, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "token" in answer.json()["error"]


def test_nobody_else_can_make_the_server_read_a_body(api: Stack) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as peer:
        peer.sendall(b"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n")
        assert peer.recv(64).startswith(b"HTTP/1.1 401")


def test_health_and_metrics_are_open(api: Stack) -> None:
    with as_tenant(api, None) as http:
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert http.get(path).status_code == 200


def test_a_tenant_over_its_own_limit_is_told_when_to_ask_again_and_nobody_else_is(api: Stack) -> None:
    items = [{"completion": "words"}] * 8
    with as_tenant(api, "token-b") as limited, as_tenant(api, "token-a") as free:
        limited.post("/v1/score", json=BODY | {"items": items})
        over = limited.post("/v1/score", json=BODY | {"items": items})
        assert over.status_code == 429
        assert 0 < int(over.headers["retry-after"]) <= 60
        assert "items_per_minute of team-b is 10" in over.json()["error"]
        assert limited.post("/v1/jobs", json=BODY | {"items": items}).status_code == 429
        assert free.post("/v1/score", json=BODY | {"items": items}).status_code == 200
        never = limited.post("/v1/score", json=BODY | {"items": items * 2})
        assert never.status_code == 422
        assert "send fewer" in never.json()["error"]


def test_jobs_count_as_in_flight_until_they_end(api: Stack) -> None:
    body = {"rewards": ["queued_length"], "items": [{"completion": "a"}, {"completion": "b"}], "deadline_s": 600}
    with as_tenant(api, "token-c") as http:
        job = http.post("/v1/jobs", json=body).json()
        assert http.post("/v1/score", json=BODY).status_code == 429
        http.delete(f"/v1/jobs/{job['id']}")
        assert http.post("/v1/score", json=BODY).status_code == 200


def test_groups_of_two_tenants_do_not_meet(api: Stack) -> None:
    with as_tenant(api, "token-a") as one, as_tenant(api, "token-of-default") as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.post, "/v1/score", json=member(0, deadline_s=1))
        apart = other.post("/v1/score", json=member(1, deadline_s=0.5))
        for answer in (apart, waiting.result()):
            assert answer.json()["rewards"][0]["scores"][0]["status"] == "cohort_incomplete"


def test_another_tenants_job_is_404(api: Stack) -> None:
    with as_tenant(api, "token-a") as one, as_tenant(api, "token-b") as other:
        job = one.post("/v1/jobs", json=BODY, headers={"idempotency-key": "shared"}).json()
        path = f"/v1/jobs/{job['id']}"
        assert other.get(path).status_code == other.delete(path).status_code == 404
        own = other.post("/v1/jobs", json=BODY, headers={"idempotency-key": "shared"}).json()
        assert own["id"] != job["id"]
        assert one.get(path, params={"wait_s": 30}).json()["state"] == "done"


def test_a_wrong_tenants_toml_is_named_with_what_would_have_worked(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text('[team-a]\ntoken = "canary-token"\n')
    env = {**os.environ, "GUERDON_REWARD_TENANTS": str(path), "GUERDON_REWARD_PORT": "0"}
    command = [sys.executable, "-m", "reward_server"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "python -m reward_server.tenants team-a" in ended.stderr
    assert "canary-token" not in ended.stderr
    assert "Traceback" not in ended.stderr
