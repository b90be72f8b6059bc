import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import REGISTRY

from reward_server import memory
from reward_server.metrics import OWED, Owed, observe_call, serve_metrics
from reward_server.settings import Settings


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def watched() -> Iterator[None]:
    yield
    OWED.watch(dict, [])


@pytest.mark.usefixtures("watched")
def test_what_is_owed_is_told_per_reward_with_the_age_of_the_oldest() -> None:
    OWED.watch(lambda: {"helpful": Owed(12, time.time() - 100)}, ["helpful", "idle"])
    assert sample("guerdon_owed_items", reward="helpful") == 12
    assert 100 <= sample("guerdon_owed_seconds", reward="helpful") < 200
    assert REGISTRY.get_sample_value("guerdon_owed_items", {"reward": "idle"}) == 0
    assert REGISTRY.get_sample_value("guerdon_owed_seconds", {"reward": "idle"}) == 0


@pytest.mark.usefixtures("watched")
def test_names_that_are_not_served_do_not_become_labels() -> None:
    OWED.watch(lambda: {"made-up": Owed(1, time.time())}, ["helpful"])
    assert REGISTRY.get_sample_value("guerdon_owed_items", {"reward": "made-up"}) is None


def test_a_model_call_is_counted_with_its_fill_and_padding() -> None:
    before = sample("guerdon_model_tokens_total", reward="call")
    observe_call("call", items=4, tokens=80, padded=100, seconds=0.5, budget=400)
    assert sample("guerdon_model_tokens_total", reward="call") - before == 80
    assert sample("guerdon_batch_fill_sum", reward="call") == 0.25
    assert sample("guerdon_batch_padding_sum", reward="call") == 1.25
    assert sample("guerdon_batch_items_sum", reward="call") == 4
    assert sample("guerdon_model_seconds_sum", reward="call") == 0.5


def test_a_worker_serves_its_metrics_where_it_is_told_to() -> None:
    port = serve_metrics(Settings(metrics_port=0))
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    assert "guerdon_model_seconds" in text
    assert "process_resident_memory_bytes" in text


def test_metrics_cannot_be_reached_on_other_addresses_than_the_host() -> None:
    port = serve_metrics(Settings(metrics_port=0, host="127.0.0.2"))
    assert port is not None
    socket.create_connection(("127.0.0.2", port), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_without_a_port_nothing_is_served() -> None:
    assert serve_metrics(Settings()) is None


def test_a_port_that_is_taken_is_named_with_what_would_help() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port}.*GUERDON_REWARD_METRICS_PORT"):
            serve_metrics(Settings(metrics_port=port))


def test_this_process_knows_its_memory() -> None:
    resident = memory.resident()
    assert resident is not None
    held = bytearray(64 << 20)
    grown = memory.resident()
    assert grown is not None
    assert grown - resident > len(held) // 2


def test_asking_for_accelerators_does_not_load_torch() -> None:
    code = "from reward_server import memory; import sys; print(memory.accelerators(), 'torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[] False\n"
