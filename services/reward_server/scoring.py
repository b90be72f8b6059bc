"""Answer a score request: each reward's needs first, then the reward, every item by itself and every group whole."""

import asyncio
import base64
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import ValidationError

from guerdon.messages import Item as WireItem
from guerdon.messages import RewardScores, Score, ScoreRequest, ScoreResponse, Usage
from reward_server.boundary import Outcome, scored
from reward_server.catalog import Catalog, Served
from reward_server.content import fields
from reward_server.job_queue import JobQueue
from reward_server.metrics import ITEMS
from reward_server.rewards import Item, Reward

LONG = 100_000
"""Characters from which inline rewards are computed off the event loop, so that other callers are not kept waiting."""


ITEM_COST = 100
"""Characters that an item counts as by itself: 1,000 short ones are work too."""


class Refused(ValueError):
    """The request as a whole is wrong. `field` names what, the message what would have worked."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


@dataclass
class Scoring:
    """One request on its way through the server."""

    request: ScoreRequest
    catalog: Catalog
    queue: JobQueue
    deadline: float
    usage: Usage = field(default_factory=Usage)

    async def answer(self) -> ScoreResponse:
        """Return the scores of every reward of the request.

        Raises:
            Refused: an unknown reward, or a group reward for items without groups.
            Unavailable: the workers' queue cannot take the work now.
        """
        served = self._served()
        groups = {one.name: self._groups() for one in served if one.scope == "group"}
        self.usage.items = len(self.request.items)
        if len(served) == 1:
            scores = [await self._scores(served[0], groups)]
        else:
            scores = list(await asyncio.gather(*(self._scores(one, groups) for one in served)))
        rewards = [
            RewardScores.model_construct(reward=one.name, version=one.version, scores=its)
            for one, its in zip(served, scores, strict=True)
        ]
        for one in rewards:
            _count(one)
        return ScoreResponse.model_construct(rewards=rewards, usage=self.usage)

    def _served(self) -> list[Served]:
        known = self.catalog.rewards
        if unknown := sorted(set(self.request.rewards) - known.keys()):
            raise Refused("rewards", f"unknown rewards {unknown}; known: {sorted(known)}")
        return [known[name] for name in self.request.rewards]

    async def _scores(self, served: Served, groups: dict[str, list[list[int]]]) -> list[Score]:
        reward, wire = _reward(served), self.request.items
        if served.runs == "worker":
            wait = await self._on_worker(served, [fields(item, reward.reads) for item in wire])
            return [_as_score(outcome) for outcome in wait]
        items = [Item.from_wire(item) for item in wire]
        scores: list[Score | None] = [None] * len(items)
        if reward.embeds:
            await self._embed(reward, items, scores)
        if served.scope == "group":
            parts = groups[served.name]
            _fail_broken_groups(parts, scores, wire)
        else:
            parts = [list(range(len(items)))]
        for part in parts:
            await _score_part(served, items, [i for i in part if scores[i] is None], scores)
        return [score if score is not None else Score.failed("model_error", "was not scored") for score in scores]

    async def _on_worker(self, served: Served, contents: list[dict[str, object]]) -> list[Outcome]:
        wait = await self.queue.outcomes(served, contents, self.deadline)
        self.usage.cached += wait.cached
        self.usage.model_tokens += wait.model_tokens
        return [outcome if outcome is not None else _NO_ANSWER for outcome in wait.outcomes]

    async def _embed(self, reward: Reward, items: list[Item], scores: list[Score | None]) -> None:
        """Give each item the embeddings its reward asks for; an item whose embeddings failed has failed."""
        places: list[tuple[int, str]] = []
        for index, item in enumerate(items):
            try:
                places += [(index, text) for text in reward.texts(item)]
            except Exception as error:  # noqa: BLE001 - a reward's own complaint about an item
                scores[index] = Score.failed("invalid_input", str(error)[:500])
        if not places:
            return
        outcomes = await self._on_worker(self.catalog.encoder, [{"completion": text} for _, text in places])
        for (index, _), outcome in zip(places, outcomes, strict=True):
            if outcome["status"] == "ok":
                items[index].vectors.append(np.frombuffer(base64.b64decode(outcome["vector"]), dtype="<f4"))
            elif scores[index] is None:
                scores[index] = Score.failed(outcome["status"], f"embedding: {outcome.get('error')}")

    def _groups(self) -> list[list[int]]:
        """Return the indices of each group's members, in the order of their slots.

        Raises:
            Refused: an item without `group` although the items do not share one prompt, or a slot used twice.
        """
        items = self.request.items
        named = [item.group is not None for item in items]
        if not any(named):
            if any(item.prompt != items[0].prompt for item in items):
                raise Refused(
                    "items.0.group", "give every item a `group`, or all items one prompt: that makes one group"
                )
            return [list(range(len(items)))]
        if not all(named):
            raise Refused(f"items.{named.index(False)}.group", "give every item a `group`, or none of them")
        slots: dict[str, dict[int, int]] = defaultdict(dict)
        for index, item in enumerate(items):
            assert item.group is not None
            members = slots[item.group.id]
            if item.group.size != items[next(iter(members.values()), index)].group.size:  # type: ignore[union-attr]
                raise Refused(f"items.{index}.group.size", f"the members of {item.group.id!r} disagree about its size")
            if item.group.slot in members:
                raise Refused(f"items.{index}.group.slot", f"slot {item.group.slot} of {item.group.id!r} is taken")
            members[item.group.slot] = index
        return [[members[slot] for slot in sorted(members)] for members in slots.values()]


_NO_ANSWER: Outcome = {"status": "timeout", "error": "no worker answered before the deadline"}


def _as_score(outcome: Outcome) -> Score:
    try:
        return Score.model_validate(outcome)
    except ValidationError:
        return Score.failed("model_error", "the worker's outcome is no score")


def _reward(served: Served) -> Reward:
    assert isinstance(served.kind, Reward)
    return served.kind


def _fail_broken_groups(groups: list[list[int]], scores: list[Score | None], wire: Sequence[WireItem]) -> None:
    """Fail a group as one when a member is missing or has failed: scored without it, the others would be wrong."""
    for group in groups:
        first = wire[group[0]].group
        if first is not None and first.size != len(group):
            missing = Score.failed("cohort_incomplete", f"{len(group)} of the group's {first.size} members arrived")
            for index in group:
                scores[index] = missing
        elif failed := next((scores[index] for index in group if scores[index] is not None), None):
            for index in group:
                scores[index] = scores[index] or Score.failed(failed.status, f"a member of the group: {failed.error}")


async def _score_part(served: Served, items: list[Item], part: list[int], scores: list[Score | None]) -> None:
    if not part:
        return
    some = [items[index] for index in part]
    run: Callable[[], list[Score]] = lambda: scored(_reward(served), some, served.scope)  # noqa: E731
    if sum(ITEM_COST + len(item.completion) + len(item.prompt) for item in some) > LONG:
        results = await asyncio.to_thread(run)
    else:
        results = run()
    for index, score in zip(part, results, strict=True):
        scores[index] = score


def _count(rewards: RewardScores) -> None:
    tally: dict[str, int] = {}
    for score in rewards.scores:
        tally[score.status] = tally.get(score.status, 0) + 1
    for status, count in tally.items():
        ITEMS.labels(rewards.reward, status).inc(count)


def deadline_of(request: ScoreRequest) -> float:
    """Return when the caller stops waiting, as Unix time: the same clock for workers on other machines."""
    return time.time() + request.deadline_s
