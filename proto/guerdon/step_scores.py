"""The scores of one training step: what came back, weighted into one reward per completion."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from guerdon.messages import Item, RewardScores, Score


class Missing(NamedTuple):
    """How many completions lack a score, of those that one was asked for."""

    failed: int
    asked: int

    @property
    def share(self) -> float:
        return self.failed / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class StepScores:
    """Every term of every completion of one step on one rank, N completions and K rewards.

    Attributes:
        weights: reward name -> weight, K of them.
        items: the N completions as they were sent.
        rewards: K lists of N scores, in the order of `weights`.
        seconds: how long the step waited for them.
        asked: reward -> N, who of them it was asked to score; everyone where it is not in here. The others' scores
            are null, and no failures.
        requests: reward -> the id of the request that asked for it, by which the servers' log lines of it are found;
            none where nobody was asked for.
    """

    weights: Mapping[str, float]
    items: list[Item]
    rewards: list[RewardScores]
    seconds: float
    asked: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def terms(self) -> list[list[float | None]]:
        """(K, N) weighted terms, null where that reward has no score."""
        return [
            [None if score.value is None else weight * score.value for score in served.scores]
            for weight, served in zip(self.weights.values(), self.rewards, strict=True)
        ]

    @cached_property
    def values(self) -> list[float | None]:
        """N sums of the terms; null when any term is null, so that no partial sum stands in for a reward."""
        return [
            None if any(term is None for term in row) else math.fsum(term for term in row if term is not None)
            for row in zip(*self.terms, strict=True)
        ]

    @cached_property
    def statuses(self) -> list[str]:
        """N statuses: ok, or the first failed term's as `reward: status`."""
        return ["ok" if found is None else f"{found[0]}: {found[1].status}" for found in self._failures]

    @cached_property
    def errors(self) -> list[str | None]:
        """N reasons, of the failures that `statuses` names."""
        return [None if found is None else found[1].error for found in self._failures]

    @property
    def failed(self) -> int:
        """How many completions lack a score that was asked for."""
        return sum(status != "ok" for status in self.statuses)

    @property
    def missing(self) -> Missing:
        """Of all rewards together, or of that one which lacks the larger share of the scores it was asked for.

        A reward that is asked for few completions may have failed at every one of them, and few are missing in all.
        """
        places = range(len(self.items))
        asked = [{index for index in places if self._asked(served, index)} for served in self.rewards]
        failed = [{index for index in places if self._failed(served, index)} for served in self.rewards]
        found = [Missing(len(lost), len(wanted)) for lost, wanted in zip(failed, asked, strict=True)]
        return max([Missing(len(set().union(*failed)), len(set().union(*asked))), *found], key=lambda one: one.share)

    def request(self, reward: str, index: int) -> str | None:
        """Return the id of the request that this item's score was asked for with; None where it was not asked for."""
        asked = self.asked.get(reward)
        return self.requests.get(reward) if asked is None or asked[index] else None

    def _asked(self, served: RewardScores, index: int) -> bool:
        asked = self.asked.get(served.reward)
        return asked is None or asked[index]

    @cached_property
    def _failures(self) -> list[tuple[str, Score] | None]:
        """Each item's first reward that failed, with its score; None where none did."""
        return [
            next(((served.reward, served.scores[at]) for served in self.rewards if self._failed(served, at)), None)
            for at in range(len(self.items))
        ]

    def _failed(self, served: RewardScores, index: int) -> bool:
        return not served.scores[index].ok and self._asked(served, index)

    def commonest_failure(self) -> tuple[str, str, str]:
        """Return (reward, status, an error text of that status) of the most frequent failure; needs one to exist."""
        failures = [
            (served.reward, score.status, score.error or "")
            for served in self.rewards
            for index, score in enumerate(served.scores)
            if self._failed(served, index)
        ]
        commonest, _ = Counter(failure[:2] for failure in failures).most_common(1)[0]
        return next(failure for failure in failures if failure[:2] == commonest)

    def log_metrics(self, log_metric: Callable[[str, float], None], components: Iterable[tuple[str, str]]) -> None:
        """Report the failed share, the wait and every component's mean; the same keys whatever failed."""
        log_metric("guerdon/failed_share", self.failed / max(1, len(self.values)))
        log_metric("guerdon/reward_seconds", self.seconds)
        scores = {served.reward: served.scores for served in self.rewards}
        for name, component in components:
            found = [value for score in scores[name] if (value := score.components.get(component)) is not None]
            log_metric(f"{name}/{component}", math.fsum(found) / len(found) if found else math.nan)
