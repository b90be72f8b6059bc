import math
import threading
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from guerdon.messages import Range, Score
from reward_server.catalog import Served
from reward_server.rewards import Reward
from reward_server.score_distribution import Histogram, ScoreDistribution, bounds

finite = st.floats(-1e6, 1e6)


class Probe(Reward):
    range: ClassVar[Range] = Range(low=0, high=1)
    components: ClassVar[dict[str, Range]] = {"margin": Range(low=-1, high=1), "loss": Range(low=0)}


SERVED = Served("probe", Probe(), "probe.1", "inline")


def told(distribution: ScoreDistribution) -> dict[tuple[str, ...], float]:
    """Every sample as Prometheus reads it: (name, reward, component, le) → number."""
    registry = CollectorRegistry()
    registry.register(distribution)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples: list[Any] = [sample for family in families for sample in family.samples]
    return {
        (one.name, *(one.labels[name] for name in ("reward", "component", "le") if name in one.labels)): one.value
        for one in samples
    }


def test_a_bounded_range_has_its_floor_and_ten_equal_steps() -> None:
    assert bounds(Range(low=0, high=1)) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert bounds(Range(low=-1, high=1)) == pytest.approx([-1 + step / 5 for step in range(11)])


@given(st.none() | finite, st.none() | st.floats(1e-3, 1e6))
def test_bounds_rise_from_the_declared_floor_to_the_declared_ceiling(low: float | None, width: float | None) -> None:
    high = width if low is None or width is None else low + width
    found = bounds(Range(low=low, high=high))
    assert found == sorted(set(found))
    assert low is None or found[0] == low
    assert high is None or found[-1] == high


def test_an_unbounded_range_has_magnitudes_of_both_signs() -> None:
    found = bounds(Range())
    assert found == [-one if one else 0.0 for one in reversed(found)]
    assert bounds(Range(low=0)) == [one for one in found if one >= 0]


@given(st.lists(finite), st.sampled_from([Range(), Range(low=0), Range(high=0), Range(low=-2, high=5)]))
def test_the_buckets_say_how_many_are_at_most_their_bound(numbers: list[float], declared: Range) -> None:
    histogram = Histogram(declared)
    for number in numbers:
        histogram.observe(number)
    for bound, count in histogram.cumulated():
        assert count == sum(number <= float(bound) for number in numbers)
    assert histogram.cumulated()[-1] == ("+Inf", len(numbers))
    assert math.isclose(histogram.sum, sum(numbers), abs_tol=1e-6)


def test_values_and_declared_components_are_counted_and_nothing_else() -> None:
    distribution = ScoreDistribution()
    scores = [
        Score(value=0.0, components={"margin": -0.5, "loss": None, "undeclared": 3.0}),
        Score(value=0.25, components={"margin": 0.5}),
        Score.failed("timeout", "late"),
    ]
    distribution.observe(SERVED, scores)
    samples = told(distribution)
    assert samples["guerdon_score_bucket", "probe", "0.0"] == 1
    assert samples["guerdon_score_bucket", "probe", "0.3"] == 2
    assert samples["guerdon_score_count", "probe"] == 2
    assert samples["guerdon_score_sum", "probe"] == 0.25
    assert samples["guerdon_component_bucket", "probe", "margin", "+Inf"] == 2
    assert samples["guerdon_component_bucket", "probe", "loss", "+Inf"] == 0
    assert not any("undeclared" in key for key in samples)


def test_counts_from_several_threads_add_up() -> None:
    distribution = ScoreDistribution()
    scores = [Score(value=0.5)] * 100
    threads = [
        threading.Thread(target=lambda: [distribution.observe(SERVED, scores) for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(distribution)["guerdon_score_count", "probe"] == 4 * 50 * 100
