"""What Prometheus reads from a running API and its worker."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from local_stack.address import free_port
from local_stack.stack import Stack

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
ITEMS = [{"completion": f"item {index} " * (index + 1), "reference": "item"} for index in range(8)]


@pytest.fixture(scope="module")
def worker_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, rewards_toml: Path, worker_port: int) -> Iterator[Stack]:
    env = {"GUERDON_REWARD_METRICS_PORT": str(worker_port)}
    with Stack(config=rewards_toml, directory=tmp_path_factory.mktemp("stack"), threads=1, env=env) as running:
        with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
            body = {"rewards": ["similarity", "queued_length", "diversity"], "items": ITEMS}
            assert client.post("/v1/score", json=body).status_code == 200
        yield running


@pytest.fixture
def api(http: httpx.Client) -> Samples:
    return samples(http.get("/metrics").text)


@pytest.fixture
def worker(stack: Stack, worker_port: int) -> Samples:
    return samples(httpx.get(f"http://127.0.0.1:{worker_port}/metrics", trust_env=False).text)


def samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_the_api_counts_items_and_how_their_scores_lie(api: Samples) -> None:
    for reward in ("similarity", "queued_length", "diversity"):
        assert api[key("guerdon_items_total", reward=reward, status="ok")] == 8
        assert api[key("guerdon_score_bucket", reward=reward, le="+Inf")] == 8
    assert api[key("guerdon_component_bucket", reward="diversity", component="distinct_1", le="+Inf")] == 8


def test_the_api_tells_what_is_owed_for_every_reward_on_workers(api: Samples) -> None:
    for reward in ("queued_length", "queued_match", "embeddings"):
        assert api[key("guerdon_owed_items", reward=reward)] == 0
        assert api[key("guerdon_owed_seconds", reward=reward)] == 0
    assert key("guerdon_owed_items", reward="length") not in api


def test_the_worker_counts_its_model_calls(worker: Samples) -> None:
    for reward in ("embeddings", "queued_length"):
        calls = worker[key("guerdon_model_seconds_count", reward=reward)]
        assert calls >= 1
        assert worker[key("guerdon_batch_items_count", reward=reward)] == calls
        assert worker[key("guerdon_batch_fill_count", reward=reward)] == calls
        assert worker[key("guerdon_batch_padding_sum", reward=reward)] >= calls
    assert worker[key("guerdon_batch_items_sum", reward="queued_length")] == 8
    assert worker[key("guerdon_model_tokens_total", reward="embeddings")] > 8
    assert worker[key("process_resident_memory_bytes")] > 50e6


def test_names_that_callers_make_up_do_not_become_labels(http: httpx.Client) -> None:
    for index in range(5):
        http.get(f"/v1/made-up/{index}")
        http.post("/v1/score", json={"rewards": [f"made-up-{index}"], "items": ITEMS, "run": f"made-up-{index}"})
        http.post("/v1/score", json={"rewards": ["length"], "items": ITEMS, "run": f"made-up-{index}"})
    text = http.get("/metrics").text
    assert "made-up" not in text
    assert 'guerdon_requests_total{code="404",route="other"}' in text
    assert 'guerdon_requests_total{code="422",route="/v1/score"}' in text
