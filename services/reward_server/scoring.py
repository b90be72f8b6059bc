"""Answer a score request: every reward of it, items by themselves and groups whole, wherever their members arrive."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import orjson

from guerdon.messages import Item, RewardScores, Score, ScoreRequest, ScoreResponse, Usage
from http_face.refused import Refused
from reward_server.catalog import Catalog, Served
from reward_server.cohort import Cohorts
from reward_server.cohort_record import Cohort
from reward_server.cohort_scorer import ScoreGroup
from reward_server.concurrently import concurrently
from reward_server.content import canonical, fields
from reward_server.evaluation import Evaluation, Terms, whole_groups
from reward_server.groups import Group, grouped
from reward_server.metrics import ITEMS, observe_scores
from reward_server.work_queue import OnceAdmitted, PersistentQueue, WorkQueue

__all__ = ["Refused", "Scoring", "deadline_of"]

WHOLE_ITEM = tuple(name for name in Item.model_fields if name != "group")


@dataclass
class Scoring:
    """One request on its way through the server.

    Attributes:
        deadline: Unix time.
        tenant: whose it is; runs and groups of two tenants never meet.
        bulk: whether everything interactive goes first, whatever the request says.
        cohorts: where members of one group that arrive in several requests meet; without it such groups fail.
    """

    request: ScoreRequest
    catalog: Catalog
    queue: WorkQueue
    deadline: float
    tenant: str = "default"
    bulk: bool = False
    cohorts: Cohorts | None = None
    usage: Usage = field(default_factory=Usage)

    def check(self) -> None:
        """Look at the request without scoring anything.

        Raises:
            Refused: an unknown reward, or a group reward for items without groups.
        """
        if any(one.scope == "group" for one in self._served):
            _ = self._groups

    async def answer(self) -> ScoreResponse:
        """Return the scores of every reward of the request.

        Raises:
            Refused: as of `check`.
            Unavailable: the workers' queue cannot take the first work now. What comes after is asked for persistently.
        """
        self.check()
        self.usage.items = len(self.request.items)
        whole = [list(group.members.values()) for group in self._groups_if_any if group.whole]
        queue = OnceAdmitted(self.queue)
        evaluation = Evaluation(self.catalog, queue, self._terms, self.request.items, whole, self.usage)
        try:
            scores = await concurrently(self._scores(one, evaluation) for one in self._served)
        finally:
            evaluation.close()
        rewards = [
            RewardScores.model_construct(reward=one.name, version=one.version, scores=its)
            for one, its in zip(self._served, scores, strict=True)
        ]
        for one in rewards:
            _count(one)
            observe_scores(self.catalog.rewards[one.reward], one.scores)
        return ScoreResponse.model_construct(rewards=rewards, usage=self.usage)

    @cached_property
    def _served(self) -> list[Served]:
        known = self.catalog.rewards
        if unknown := sorted(set(self.request.rewards) - known.keys()):
            raise Refused("rewards", f"unknown rewards {unknown}; known: {sorted(known)}")
        return [known[name] for name in self.request.rewards]

    @cached_property
    def _groups(self) -> list[Group]:
        return grouped(self.request.items)

    @property
    def _groups_if_any(self) -> list[Group]:
        return self._groups if any(one.scope == "group" for one in self._served) else []

    @property
    def _terms(self) -> Terms:
        bulk = self.bulk or self.request.priority == "bulk"
        return Terms(self.deadline, f"{self.tenant}/{self.request.run or ''}", bulk)

    async def _scores(self, served: Served, evaluation: Evaluation) -> list[Score]:
        partial = [group for group in self._groups_if_any if not group.whole] if served.scope == "group" else []
        if not partial:
            return await evaluation.scores(served)
        whole, *joined = await concurrently(
            [self._whole(served, evaluation), *(self._joined(served, group) for group in partial)]
        )
        for some in joined:
            whole |= some
        return [whole[index] for index in range(len(self.request.items))]

    async def _whole(self, served: Served, evaluation: Evaluation) -> dict[int, Score]:
        return dict(enumerate(await evaluation.scores(served)))

    async def _joined(self, served: Served, group: Group) -> dict[int, Score]:
        """Return the scores of a group's members, by their index, once those of other requests have come."""
        if self.cohorts is None:
            why = f"{len(group.members)} of the group's {group.size} members arrived"
            return dict.fromkeys(group.members.values(), Score.failed("cohort_incomplete", why))
        cohort = Cohort(self.tenant, served.name, served.version, f"{self.request.run or ''}|{group.id}", group.size)
        texts = {slot: _member(self.request.items[index]) for slot, index in group.members.items()}
        joined = await self.cohorts.scores(cohort, texts, self.deadline, self._score_of_groups(served))
        joined |= _unsendable(texts)  # however the group ended, for its own request this is why
        return {group.members[slot]: score for slot, score in joined.items()}

    def _score_of_groups(self, served: Served) -> ScoreGroup:
        async def score(texts: list[bytes], deadline: float) -> list[Score]:
            if broken := _unsendable(dict(enumerate(texts))):
                scores = whole_groups([range(len(texts))], broken)
                return [scores[slot] for slot in range(len(texts))]
            items = [Item.model_validate(orjson.loads(text)) for text in texts]
            terms, queue = replace(self._terms, deadline=deadline), PersistentQueue(self.queue)
            evaluation = Evaluation(self.catalog, queue, terms, items, [range(len(items))], self.usage)
            try:
                return await evaluation.scores(served)
            finally:
                evaluation.close()

        return score


def _member(item: Item) -> bytes:
    """Return what is kept of a group's member: its fields, or why they cannot be: the others shall not wait for it."""
    try:
        return canonical(fields(item, WHOLE_ITEM))
    except TypeError as error:
        return orjson.dumps(f"the item cannot be sent: {error}")


def _unsendable(texts: Mapping[int, bytes]) -> dict[int, Score]:
    """Return the failures of the members that could not be written."""
    return {
        slot: Score.failed("invalid_input", orjson.loads(text)) for slot, text in texts.items() if text.startswith(b'"')
    }


def _count(rewards: RewardScores) -> None:
    for status, count in Counter(score.status for score in rewards.scores).items():
        ITEMS.labels(rewards.reward, status).inc(count)


def deadline_of(request: ScoreRequest) -> float:
    """Return when the caller stops waiting, as Unix time: the same clock for workers on other machines."""
    return time.time() + request.deadline_s
