"""An API that is told to stop drops nobody."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local_stack.address import free_port
from local_stack.stack import Stack

LIGHT = {"rewards": ["length"], "items": [{"completion": "inline"}]}
PENDING = {"rewards": ["queued_length"], "items": [{"completion": "no worker will take this"}], "deadline_s": 6}


class Api:
    """One API process of the test's own, which nobody restarts."""

    def __init__(self, redis_url: str, config: Path, drain_s: float) -> None:
        self.port = free_port()
        env = {
            "GUERDON_REDIS_URL": redis_url,
            "GUERDON_REWARD_PORT": str(self.port),
            "GUERDON_REWARD_CONFIG": str(config),
            "GUERDON_REWARD_DRAIN_S": str(drain_s),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reward_server"], env=os.environ | env, stderr=subprocess.PIPE, text=True
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        eventually(self.ready)

    def ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except ConnectionError:
            return False
        return True

    def end(self) -> None:
        self.http.close()
        self.process.kill()
        self.process.communicate()


def eventually(condition: Callable[[], bool], within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Stack(directory=tmp_path_factory.mktemp("redis"), worker=False) as stack:
        assert stack.redis_url is not None
        yield stack.redis_url


@pytest.fixture
def start(redis_url: str, rewards_toml: Path) -> Iterator[Callable[[float], Api]]:
    started: list[Api] = []

    def one(drain_s: float) -> Api:
        started.append(Api(redis_url, rewards_toml, drain_s))
        return started[-1]

    yield one
    for api in started:
        api.end()


def test_after_sigterm_it_serves_on_unready_then_finishes_what_is_in_flight(start: Callable[[float], Api]) -> None:
    api = start(2.0)
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=api.http.base_url, timeout=30, trust_env=False) as other:
        in_flight = pool.submit(other.post, "/v1/score", json=PENDING)
        eventually(lambda: "guerdon_requests_open 2.0" in api.http.get("/metrics").text)
        api.process.send_signal(signal.SIGTERM)
        eventually(lambda: api.http.get("/readyz").status_code == 503)
        assert api.http.get("/readyz").json()["draining"] is True
        answer = api.http.post("/v1/score", json=LIGHT)
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        eventually(lambda: not api.listens())
        assert not in_flight.done()
        assert in_flight.result().json()["rewards"][0]["scores"][0]["status"] == "timeout"
    assert api.process.wait(30) == 0


def test_a_kept_connection_is_answered_during_the_drain(start: Callable[[float], Api]) -> None:
    api = start(2.0)
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)

    def asked() -> int:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert asked() == 200
    kept = connection.sock
    api.process.send_signal(signal.SIGTERM)
    eventually(lambda: api.http.get("/readyz").status_code == 503)
    assert connection.sock is kept
    assert asked() == 503
    connection.close()
    assert api.process.wait(30) == 0


def test_an_interrupt_does_not_wait_for_balancers_but_for_what_is_in_flight(start: Callable[[float], Api]) -> None:
    api = start(3600.0)
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=api.http.base_url, timeout=30, trust_env=False) as other:
        in_flight = pool.submit(other.post, "/v1/score", json=PENDING | {"deadline_s": 3})
        eventually(lambda: "guerdon_requests_open 2.0" in api.http.get("/metrics").text)
        api.process.send_signal(signal.SIGINT)
        eventually(lambda: not api.listens())
        assert in_flight.result().status_code == 200
    assert api.process.wait(30) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(start: Callable[[float], Api], second: signal.Signals) -> None:
    api = start(3600.0)
    api.process.send_signal(signal.SIGTERM)
    eventually(lambda: api.http.get("/readyz").status_code == 503)
    api.process.send_signal(second)
    assert api.process.wait(30) == 128 + second
