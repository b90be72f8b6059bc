"""What Prometheus can ask this server. Labels are names from the catalog and words of ours, never of a request."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from http_face.request_metrics import SECONDS
from reward_server.memory import accelerators
from reward_server.score_distribution import ScoreDistribution
from reward_server.settings import Settings

log = logging.getLogger(__name__)

ITEMS_PER_CALL = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
TENTHS = tuple(tenth / 10 for tenth in range(1, 11))
PADDING = (1.0, 1.02, 1.05, 1.1, 1.15, 1.25, 1.5, 2, 4)

HELD = Gauge("guerdon_held_requests", "Requests held until there is room for their items")

ITEMS = Counter("guerdon_items_total", "Scored items by reward and status", ["reward", "status"])
CACHED = Counter("guerdon_cached_total", "Model results that came from the cache", ["reward"])
COHORTS = Gauge("guerdon_cohorts_waiting", "Groups whose members have not all arrived")

QUEUE_WAIT = Histogram("guerdon_queue_seconds", "From publishing a message to its reply", buckets=SECONDS)
IN_FLIGHT = Gauge("guerdon_in_flight", "Distinct items that workers owe an answer for")
RESUBMITTED = Counter("guerdon_resubmitted_total", "Items asked for again", ["reward"])
DEAD_LETTERS = Counter("guerdon_dead_letters_total", "Items given up because workers died over them", ["reward"])

CALL_SECONDS = Histogram("guerdon_model_seconds", "Time of one model call", ["reward"], buckets=SECONDS)
CALL_ITEMS = Histogram("guerdon_batch_items", "Items in one model call", ["reward"], buckets=ITEMS_PER_CALL)
CALL_FILL = Histogram("guerdon_batch_fill", "Padded tokens of a model call / its budget", ["reward"], buckets=TENTHS)
CALL_PADDING = Histogram("guerdon_batch_padding", "Padded tokens of a model call / tokens", ["reward"], buckets=PADDING)
TOKENS = Counter("guerdon_model_tokens_total", "Tokens that went through a model", ["reward"])


def observe_call(reward: str, items: int, tokens: int, padded: int, seconds: float, budget: int) -> None:
    """Count one model call: its items, their tokens, the tokens with padding, and the padded tokens allowed."""
    CALL_SECONDS.labels(reward).observe(seconds)
    CALL_ITEMS.labels(reward).observe(items)
    CALL_FILL.labels(reward).observe(padded / budget)
    CALL_PADDING.labels(reward).observe(padded / max(1, tokens))
    TOKENS.labels(reward).inc(tokens)


class Owed(NamedTuple):
    """What is owed for one reward: distinct items queued or in flight, and since when the oldest waits (Unix time)."""

    items: int
    since: float


class OwedItems(Collector):
    """What autoscalers look at: what is owed per reward, and how old it is. Asked for when somebody scrapes."""

    def __init__(self) -> None:
        self._owed: Callable[[], Mapping[str, Owed]] = dict
        self._rewards: list[str] = []

    def watch(self, owed: Callable[[], Mapping[str, Owed]], rewards: Iterable[str]) -> None:
        """Ask `owed` from now on; of `rewards` it leaves out nothing is owed, which is a 0 and not a gap."""
        self._owed, self._rewards = owed, list(rewards)

    def collect(self) -> Iterator[Metric]:
        items = GaugeMetricFamily("guerdon_owed_items", "Distinct items queued or in flight", labels=["reward"])
        ages = GaugeMetricFamily("guerdon_owed_seconds", "How long the oldest of them has waited", labels=["reward"])
        owed = self._owed()
        now = time.time()
        for reward in self._rewards:
            its = owed.get(reward, Owed(0, now))
            items.add_metric([reward], its.items)
            ages.add_metric([reward], max(0.0, now - its.since))
        yield from (items, ages)


class AcceleratorMemory(Collector):
    """Memory of the accelerators that this process uses."""

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("guerdon_accelerator_bytes", "Accelerator memory", labels=["device", "memory"])
        for device in accelerators():
            family.add_metric([device.name, "allocated"], device.allocated)
            family.add_metric([device.name, "reserved"], device.reserved)
        yield family


OWED = OwedItems()
SCORES = ScoreDistribution()
observe_scores = SCORES.observe
REGISTRY.register(OWED)
REGISTRY.register(SCORES)
REGISTRY.register(AcceleratorMemory())


def serve_metrics(settings: Settings) -> int | None:
    """Serve this process' metrics on `host`:`metrics_port`, from a thread; return the port, None without one.

    Raises:
        ValueError: the port cannot be listened on.
    """
    if settings.metrics_port is None:
        return None
    try:
        server, _ = start_http_server(settings.metrics_port, settings.host)
    except OSError as error:
        raise ValueError(
            f"metrics cannot be served on {settings.host} port {settings.metrics_port}: {error.strerror}; "
            "give this process another GUERDON_REWARD_METRICS_PORT"
        ) from error
    log.info("metrics are served on %s port %d", settings.host, server.server_port)
    return server.server_port
