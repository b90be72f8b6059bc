"""How much each completion of a group adds to the subsets of it that are good and diverse at once."""

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from guerdon.messages import Range, Score, Status
from reward_server.rewards import Item, Reward
from reward_server.rewards.variety.degenerate import REFUSAL, degenerate
from reward_server.rewards.variety.signals import flipped, signal

Clusters = list[Hashable | None]
"""The cluster of every member; None for a degenerate one."""

DEGENERATE = "degenerate"
"""The label in `context.cluster` of a completion that counts for nothing."""
FLAG = Range(low=0, high=1, better="lower")
SHARE = Range(low=0, high=1, better="higher")
SUMS_TO_ZERO = 'an advantage, which sums to zero over the group: train on it with scale_rewards = "none"'


class Unlabelled(ValueError):
    """A member of the group says nothing of its cluster."""


class Polychromic(Reward):
    """Quality and diversity of a group in one reward, from the scores of another served reward and from clusters.

    `polychromic` (Hamid et al. 2025): f(set) = mean quality of the set × its clusters / its size. A member's value is
    the mean of f over all subsets of size `subset` that hold it, minus the mean over all subsets. That is an advantage
    already and sums to zero over the group, so runs set `scale_rewards = "none"`: scaling would inflate .002 to ±1.
    `darling` (Li et al. 2025): (quality - the group's lowest) × diversity. `additive`: quality + `diversity_weight` ×
    diversity. Diversity is the share of the group that stands in other clusters; these two do not sum to zero.

    A degenerate completion (empty, a refusal, off the required format, or labelled "degenerate" in `context.cluster`)
    makes no cluster and has no diversity, but its quality counts. A member whose quality is null is null for the same
    reason, and the others are scored among themselves.
    """

    scope: ClassVar[Literal["item", "group"]] = "group"
    reads: ClassVar[tuple[str, ...]] = ("completion", "context")
    range: ClassVar[Range] = Range(low=None, high=None, better="higher")
    components: ClassVar[dict[str, Range]] = {
        "quality": Range(better="higher"),
        "diversity": SHARE,
        "cluster_size": Range(low=1, better="lower"),
        "degenerate": FLAG,
        "distinct": SHARE,
        "flipped": FLAG,
        "no_signal": FLAG,
    }

    quality: str = Field(min_length=1)
    """The served reward whose value is a completion's quality."""
    objective: Literal["polychromic", "darling", "additive"] = "polychromic"
    """What is made of quality and diversity."""
    subset: int = Field(default=4, ge=1)
    """Completions in a set of the polychromic objective; no more than a group has."""
    diversity_weight: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """The weight of diversity in the additive objective."""
    clusters: Literal["exact", "near", "embedding", "labels"] = "near"
    """What counts as one. exact: equal texts; near: texts whose sets of three-word shingles, without case and marks,
    have a Jaccard index of `jaccard`; embedding: texts whose embeddings have a cosine of `cosine`; labels: an equal
    `context.cluster`, a text or a whole number. Near and embedding join whatever a chain of similar texts connects, so
    that the order of the group does not matter."""
    jaccard: float = Field(default=0.7, gt=0, le=1)
    """The Jaccard index of their shingles from which two texts are near duplicates."""
    cosine: float = Field(default=0.9, ge=-1, le=1)
    """The cosine of their embeddings from which two texts are one."""
    required_format: str | None = None
    """A regular expression that the whole of a completion has to match; `.` matches line ends too."""
    refusals: tuple[str, ...] = (REFUSAL,)
    """Regular expressions that tell a refusal by a completion's first 300 characters."""
    no_signal_below: float = Field(default=1e-3, ge=0)
    """`no_signal` is 1 where the group's absolute advantages sum to less."""

    @field_validator("required_format", "refusals")
    @classmethod
    def _compiles(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for pattern in (value,) if isinstance(value, str) else value or ():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return value

    def needs(self) -> tuple[str, ...]:
        return (self.quality,)

    @property
    def embeds(self) -> bool:  # type: ignore[override]  # the other ways to cluster need no model
        return self.clusters == "embedding"

    def texts(self, item: Item) -> list[str]:
        return [item.completion] if self.embeds else []

    def score(self, items: list[Item]) -> list[Score]:
        qualities = [item.scores[self.quality] for item in items]
        missing = next((one.status for one in qualities if not one.ok), None)
        scored = iter(self._scored([item for item, one in zip(items, qualities, strict=True) if one.ok], missing))
        return [next(scored) if one.ok else self._without(one) for one in qualities]

    def _without(self, quality: Score) -> Score:
        return Score.failed(quality.status, f"{self.quality}: {quality.error}")

    def _scored(self, members: list[Item], missing: Status | None) -> list[Score]:
        """Score the members that have a quality among themselves; `missing` is why another one has none."""
        enough = max(2, self.subset) if self.objective == "polychromic" else 2
        if len(members) < enough:
            why = f"{len(members)} of the group's members have a quality; {self.objective} needs {enough}"
            return [Score.failed(missing or "invalid_input", why) for _ in members]
        try:
            return self._of(members, self.clustered(members))
        except Unlabelled as error:
            return [Score.failed("invalid_input", str(error)) for _ in members]

    def _of(self, members: list[Item], clusters: Clusters) -> list[Score]:
        found = [item.scores[self.quality].value for item in members]
        quality = [value for value in found if value is not None]
        diversity, sizes = outside(clusters), Counter(clusters)
        values = self.valued(quality, diversity, clusters)
        shared = self._of_group(values, quality, clusters)
        notes = {"value": SUMS_TO_ZERO} if self.objective == "polychromic" else {}
        if shared["flipped"] is None:
            notes["flipped"] = "the advantage or the quality is the same for all"
        rows = zip(values, quality, diversity, clusters, strict=True)
        return [
            Score(
                value=value,
                components={
                    "quality": good,
                    "diversity": other,
                    "cluster_size": sizes[cluster],
                    "degenerate": float(cluster is None),
                    **shared,
                },
                notes=notes,
            )
            for value, good, other, cluster in rows
        ]

    def valued(self, quality: Sequence[float], diversity: Sequence[float], clusters: Clusters) -> list[float]:
        """Return each member's value under the objective."""
        from reward_server.rewards.variety.subsets import advantages

        if self.objective == "polychromic":
            return advantages(quality, clusters, self.subset)
        pairs = zip(quality, diversity, strict=True)
        if self.objective == "darling":
            lowest = min(quality)  # without the shift a negative quality would reward duplicates
            return [(good - lowest) * other for good, other in pairs]
        return [good + self.diversity_weight * other for good, other in pairs]

    def clustered(self, members: Sequence[Item]) -> Clusters:
        """Return the cluster of each member; degenerate ones connect nothing.

        Raises:
            Unlabelled: a member has no label where labels are the clusters.
        """
        proper = [i for i, item in enumerate(members) if not self.is_degenerate(item)]
        found: Clusters = [None] * len(members)
        for i, cluster in zip(proper, self._partition([members[i] for i in proper]), strict=True):
            found[i] = cluster
        return found

    def is_degenerate(self, item: Item) -> bool:
        labelled = item.context.get("cluster") == DEGENERATE
        return labelled or degenerate(item.completion, self.required_format, self.refusals)

    def _partition(self, members: Sequence[Item]) -> Sequence[Hashable]:
        from reward_server.rewards.variety.clusters import by_cosine, near_duplicates
        from reward_server.rewards.variety.cosine import stacked

        if self.clusters == "labels":
            return [label(item) for item in members]
        texts = [item.completion for item in members]
        if self.clusters == "near":
            return near_duplicates(texts, self.jaccard)
        if self.clusters == "embedding" and members:
            return by_cosine(stacked([item.vectors[0] for item in members]), self.cosine)
        return texts

    def _of_group(
        self, values: Sequence[float], quality: Sequence[float], clusters: Clusters
    ) -> dict[str, float | None]:
        """Return the components that the members of a group share."""
        return {
            "distinct": len(set(clusters) - {None}) / len(clusters),
            "flipped": flipped(values, quality),
            "no_signal": float(signal(values) < self.no_signal_below),
        }


def outside(clusters: Clusters) -> list[float]:
    """Return per member the share of the group that stands in other clusters, in [0, 1); 0 for a degenerate one."""
    count, sizes = len(clusters), Counter(clusters)
    return [(count - sizes[None] - sizes[one]) / count if one is not None else 0.0 for one in clusters]


def label(item: Item) -> Hashable:
    """Return the cluster that the caller put a completion in.

    Raises:
        Unlabelled: there is none.
    """
    found = item.context.get("cluster")
    if isinstance(found, bool) or not isinstance(found, str | int):  # True would be the same cluster as 1
        raise Unlabelled('clusters = "labels" needs a text or whole number in every item\'s `context.cluster`')
    return found
