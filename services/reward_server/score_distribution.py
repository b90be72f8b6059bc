"""How the scores of each reward are distributed, in Prometheus histograms over the ranges the rewards declare."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from guerdon.messages import Range, Score
from reward_server.catalog import Served
from reward_server.rewards import Reward

MAGNITUDES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
UNBOUNDED = (*(-one for one in reversed(MAGNITUDES)), 0.0, *MAGNITUDES)


def bounds(range_: Range) -> list[float]:
    """Return the buckets' upper bounds: the floor itself and ten equal steps, or magnitudes of both signs.

    The floor has a bucket of its own because how many scores lie exactly on it is what one asks first.
    """
    low, high = range_.low, range_.high
    if low is not None and high is not None and low < high:
        return [low, *((low * (10 - step) + high * step) / 10 for step in range(1, 10)), high]
    inner = [one for one in UNBOUNDED if (low is None or one > low) and (high is None or one < high)]
    return [*([low] if low is not None else []), *inner, *([high] if high not in (None, low) else [])]


class Histogram:
    """Counts by bucket, and the sum."""

    def __init__(self, range_: Range) -> None:
        self.bounds = bounds(range_)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, number: float) -> None:
        self.counts[bisect_left(self.bounds, number)] += 1
        self.sum += number

    def cumulated(self) -> list[tuple[str, float]]:
        """Return (upper bound, numbers up to it), as Prometheus wants it."""
        total, rows = 0, []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows


class ScoreDistribution(Collector):
    """One histogram per reward, and one per component it declares; what it does not declare is not counted.

    The client's own Histogram takes a lock and five calls for each number; here it is one lock for all of a request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Histogram] = {}
        self._components: dict[str, dict[str, Histogram]] = {}

    def observe(self, served: Served, scores: Sequence[Score]) -> None:
        """Count the values and components of scores; what is null has no place in a distribution."""
        with self._lock:
            if served.name not in self._values:
                self._declare(served)
            value, components = self._values[served.name], self._components[served.name]
            for score in scores:
                if score.value is None:
                    continue
                value.observe(score.value)
                for name, number in score.components.items():
                    if number is not None and name in components:
                        components[name].observe(number)

    def _declare(self, served: Served) -> None:
        assert isinstance(served.kind, Reward)
        self._values[served.name] = Histogram(served.kind.range)
        declared = served.kind.served_components()
        self._components[served.name] = {name: Histogram(range_) for name, range_ in declared.items()}

    def collect(self) -> Iterator[Metric]:
        values = HistogramMetricFamily("guerdon_score", "Values of scores", labels=["reward"])
        parts = HistogramMetricFamily("guerdon_component", "Components of scores", labels=["reward", "component"])
        with self._lock:
            for reward, histogram in self._values.items():
                values.add_metric([reward], histogram.cumulated(), histogram.sum)
                for component, its in self._components[reward].items():
                    parts.add_metric([reward, component], its.cumulated(), its.sum)
        yield from (values, parts)
