"""Score one list of items under served rewards: what a reward needs first, then the reward, and each reward once."""

import asyncio
import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ValidationError

from guerdon.messages import Item as WireItem
from guerdon.messages import Score, Usage
from reward_server.boundary import Outcome, failure, scored
from reward_server.catalog import Catalog, Served
from reward_server.content import Fields, fields
from reward_server.inquiry import inquire
from reward_server.outcomes import as_answer, as_score, as_scores, outcomes_here
from reward_server.rewards import Answer, Item, Reward
from reward_server.work_queue import WorkQueue

LONG = 100_000
"""Characters from which inline rewards are computed off the event loop, so that other callers are not kept waiting."""
ITEM_COST = 100
"""Characters that an item counts as by itself: 1,000 short ones are work too."""
UNSAID: Fields = {"prompt": "", "completion": "", "reference": None, "context": {}}
"""The fields of an item that a question need not give."""

_NO_ANSWER: Outcome = {"status": "timeout", "error": "no worker answered before the deadline"}
_IN_NO_GROUP = Score.failed("cohort_incomplete", "the item's group is not whole")


@dataclass(frozen=True)
class Terms:
    """On what terms items are scored: by when (Unix time), for which run, and whether everything else goes first."""

    deadline: float
    run: str = ""
    bulk: bool = False


@dataclass
class Evaluation:
    """Items on their way through the server. Cancel what is left of it with `close`.

    Attributes:
        groups: the indices of each whole group's members, in the order of their slots. Under a group reward, items of
            no group are `cohort_incomplete`.
        usage: what it costs is added here.
    """

    catalog: Catalog
    queue: WorkQueue
    terms: Terms
    items: Sequence[WireItem]
    groups: Sequence[Sequence[int]] = ()
    usage: Usage = field(default_factory=Usage)
    _tasks: dict[str, asyncio.Task[list[Score]]] = field(default_factory=dict)

    async def scores(self, served: Served) -> list[Score]:
        """Return the scores of all items, in order.

        Raises:
            Unavailable: the queue cannot take the work now.
        """
        return await self._task(served)

    def close(self) -> None:
        for task in self._tasks.values():
            if not task.cancel() and not task.cancelled():
                task.exception()  # seen: of several that failed, one was raised

    def _task(self, served: Served) -> asyncio.Task[list[Score]]:
        """Return the one task that scores the items under a reward, for all who need it."""
        if served.name not in self._tasks:
            self._tasks[served.name] = asyncio.create_task(self._scored(served))
        return self._tasks[served.name]

    async def _scored(self, served: Served) -> list[Score]:
        parts: list[Sequence[int]] = list(self.groups) if served.scope == "group" else [range(len(self.items))]
        scores: dict[int, Score] = {}
        if parts and served.runs == "worker":
            scores = await self._on_worker(served, parts)
        elif parts:
            scores = await self._inline(served, parts)
        return [scores.get(index, _IN_NO_GROUP) for index in range(len(self.items))]

    async def _on_worker(self, served: Served, parts: list[Sequence[int]]) -> dict[int, Score]:
        reads = served.kind.reads
        if served.scope == "item":
            answers = await self._outcomes(served, [fields(item, reads) for item in self.items])
            return {index: as_score(outcome) for index, outcome in enumerate(answers)}
        groups = [{"members": [fields(self.items[index], reads) for index in part]} for part in parts]
        scores: dict[int, Score] = {}
        for part, outcome in zip(parts, await self._outcomes(served, groups), strict=True):
            scores |= dict(zip(part, as_scores(outcome, len(part)), strict=True))
        return scores

    async def _inline(self, served: Served, parts: list[Sequence[int]]) -> dict[int, Score]:
        reward = served.kind
        assert isinstance(reward, Reward)
        items = {index: Item.from_wire(self.items[index]) for part in parts for index in part}
        needed = {name: self._task(self.catalog.rewards[name]) for name in reward.needs()}
        scores: dict[int, Score] = {}
        if reward.embeds:
            scores |= await self._embed(reward, items)
        if reward.asks():
            scores |= await inquire(reward, without(items, scores), self._answers, self.terms.deadline)
        for name, task in needed.items():
            found = await task
            for index, item in items.items():
                item.scores[name] = found[index]
        if served.scope == "group":
            scores = whole_groups(parts, scores)
        for part in parts:
            scores |= await _run(served, {index: items[index] for index in part if index not in scores})
        return scores

    async def _embed(self, reward: Reward, items: Mapping[int, Item]) -> dict[int, Score]:
        """Give each item the embeddings its reward asks for; return the failures of those that lack some."""
        failed: dict[int, Score] = {}
        places: list[tuple[int, str]] = []
        for index, item in items.items():
            try:
                places += [(index, text) for text in reward.texts(item)]
            except Exception as error:  # noqa: BLE001 - a reward's own complaint about an item
                failed[index] = Score.failed("invalid_input", str(error)[:500])
        if not places:
            return failed
        encoder = self.catalog.encoder
        assert encoder is not None  # catalog.load: there is one wherever a reward embeds
        answers = await self._outcomes(encoder, [{"completion": text} for _, text in places])
        for (index, _), outcome in zip(places, answers, strict=True):
            if outcome["status"] == "ok":
                items[index].vectors.append(np.frombuffer(base64.b64decode(outcome["vector"]), dtype="<f4"))
            elif index not in failed:
                failed[index] = Score.failed(outcome["status"], f"embedding: {outcome.get('error')}")
        return failed

    async def _answers(self, name: str, contents: list[Fields]) -> Sequence[Answer]:
        """Put a reward's questions about other items to something served."""
        served = self.catalog.served[name]
        if served.scope == "group":
            return [Score.failed("model_error", "it scores whole groups, and cannot be asked about one item")] * len(
                contents
            )
        if isinstance(served.kind, Reward) and served.runs == "inline":
            return await self._scores_of_others(served, contents)
        read = [{one: content.get(one, UNSAID[one]) for one in served.kind.reads} for content in contents]
        return [as_answer(outcome) for outcome in await self._outcomes(served, read)]

    async def _scores_of_others(self, served: Served, contents: list[Fields]) -> list[Score]:
        valid: dict[int, WireItem] = {}
        scores: dict[int, Score] = {}
        for index, content in enumerate(contents):
            try:
                valid[index] = WireItem.model_validate(UNSAID | content)
            except ValidationError as error:
                scores[index] = failure(error)
        others = Evaluation(self.catalog, self.queue, self.terms, list(valid.values()), usage=self.usage)
        try:
            scores |= dict(zip(valid, await others.scores(served), strict=True))
        finally:
            others.close()
        return [scores[index] for index in range(len(contents))]

    async def _outcomes(self, served: Served, contents: Sequence[Fields]) -> list[Outcome]:
        if served.runs == "inline":
            return await asyncio.to_thread(outcomes_here, served.kind, contents)
        terms = self.terms
        wait = await self.queue.outcomes(served, contents, terms.deadline, run=terms.run, bulk=terms.bulk)
        self.usage.cached += wait.cached
        self.usage.model_tokens += wait.model_tokens
        return [outcome if outcome is not None else _NO_ANSWER for outcome in wait.outcomes]


def without(items: Mapping[int, Item], failed: Mapping[int, Score]) -> dict[int, Item]:
    return {index: item for index, item in items.items() if index not in failed}


def whole_groups(parts: Iterable[Sequence[int]], failed: Mapping[int, Score]) -> dict[int, Score]:
    """Fail a group as one when a member has failed: scored without it, the others would be wrong."""
    all_failed = dict(failed)
    for part in parts:
        first = next((failed[index] for index in part if index in failed), None)
        if first is not None:
            others = Score.failed(first.status, f"a member of the group: {first.error}")
            all_failed |= {index: others for index in part if index not in failed}
    return all_failed


async def _run(served: Served, items: Mapping[int, Item]) -> dict[int, Score]:
    if not items:
        return {}
    reward, some = served.kind, list(items.values())
    assert isinstance(reward, Reward)
    run: Callable[[], Any] = lambda: scored(reward, some, served.scope)  # noqa: E731
    if sum(ITEM_COST + len(item.completion) + len(item.prompt) for item in some) > LONG:
        return dict(zip(items, await asyncio.to_thread(run), strict=True))
    return dict(zip(items, run(), strict=True))
