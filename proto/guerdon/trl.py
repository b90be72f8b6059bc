"""Served rewards as one TRL reward function: `GRPOTrainer(reward_funcs=[RemoteReward({"sql_cot": 1.0}, …)])`."""

import asyncio
import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import httpx
from pydantic import ValidationError

from guerdon.client import RETRIED, AsyncRewardClient, Refused, RewardServerError, Unreachable, Unreadable
from guerdon.messages import Group, Item, RewardInfo, RewardScores, Score, ScoreRequest, Status
from guerdon.step_scores import StepScores

log = logging.getLogger("guerdon")

CONTEXT_SKIPS = frozenset({"prompt", "completion", "completion_ids", "reference", "trainer_state", "environments"})


NOT_ASKED = Score.failed("cancelled", "not asked for")
"""Stands where a reward was not asked to score an item: no failure, and no number."""


class TooManyFailed(RuntimeError):  # read as what happened
    """More of a step's completions failed than `max_failed_share` allows."""


class RemoteReward:
    """All served rewards of a run, weighted, as one async reward function.

    One object carries every reward because TRL leaves a row out of the baseline only when *all* functions returned
    None for it; a None among several would count as 0. Here a row is None as soon as one of its terms is null.

    Every dataset column but `reference` travels to the server as the item's `context`.

    Args:
        rewards: served name -> weight.
        url: the reward server.
        num_generations: G of the GRPO config; completions arrive in runs of G per prompt.
        num_generations_eval: the same in evaluation, where it differs.
        run: the run's name; part of the group ids, and what the server is fair between.
        attempt: a nonce of this launch, equal on all ranks, so that a restarted run opens new groups. One process
            makes its own; several ranks must be given one.
        token: bearer token of the server, if it wants one.
        deadline_s: how long one step waits for its scores before the missing ones become typed timeouts.
        max_failed_share: raise TooManyFailed when more than this share of a step's completions has no score, of all
            that were asked for, or of those that one reward was asked for. 1.0 never raises: the failed rows are left
            out and the run goes on.
        served: what GET /v1/rewards says, where it is known already; asked for at the first step otherwise.
        on_scores: called after every step with what came back; what `guerdon train` builds its ledger from.
    """

    def __init__(
        self,
        rewards: Mapping[str, float] | str,
        *,
        num_generations: int,
        num_generations_eval: int | None = None,
        url: str = "http://127.0.0.1:8000",
        run: str = "run",
        attempt: str | None = None,
        token: str | None = None,
        deadline_s: float = 120.0,
        max_failed_share: float = 1.0,
        on_scores: Callable[[StepScores], None] | None = None,
        served: Mapping[str, RewardInfo] | None = None,
    ) -> None:
        self.weights = {rewards: 1.0} if isinstance(rewards, str) else dict(rewards)
        if not self.weights:
            raise ValueError("RemoteReward needs at least one reward, e.g. RemoteReward({'sql_cot': 1.0}, …)")
        if num_generations < 1:
            raise ValueError(f"num_generations is {num_generations}; it is the G of your GRPOConfig, at least 1")
        self.__name__ = "+".join(self.weights)
        self.group_size = {"train": num_generations, "eval": num_generations_eval or num_generations}
        self.phase: Literal["train", "eval"] = "train"  # TRL does not tell; a trainer that evaluates may set it
        self.url, self.run, self.token = url, run, token
        self.attempt = attempt or own_attempt()
        self.deadline_s, self.max_failed_share = deadline_s, max_failed_share
        self.on_scores = on_scores
        self.asked: dict[str, Sequence[bool]] = {}  # reward -> whom of the next call it scores; everyone if not here
        self._calls: Counter[str] = Counter()
        self._served: dict[str, RewardInfo] = dict(served or {})
        self._client: tuple[asyncio.AbstractEventLoop, AsyncRewardClient] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_client": None}  # connections stay with their process

    async def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        *,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Return one float or None per completion, in order.

        Raises:
            TooManyFailed: more than `max_failed_share` of them failed.
            Refused: the server refuses the request as a whole (an unknown reward, a missing token).
        """
        items = self._items(prompts, completions, columns)
        started = time.perf_counter()
        served, requests = await self._served_scores(items)
        seconds = time.perf_counter() - started
        step = StepScores(self.weights, items, served, seconds, dict(self.asked), requests)
        if log_metric is not None:
            step.log_metrics(log_metric, self._components())
        if log_extra is not None:
            log_extra("reward_status", step.statuses)
        if self.on_scores is not None:
            self.on_scores(step)
        self._refuse_too_many_failures(step)
        return step.values

    def _items(self, prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]) -> list[Item]:
        # TRL hands each rank a contiguous shard of the global order, so rank · len + i is the global index, and runs
        # of G consecutive indices are one group, wherever the ranks cut it.
        phase, size = self.phase, self.group_size[self.phase]
        call = self._calls[phase]
        self._calls[phase] += 1
        rollout = f"{self.run}/{self.attempt}/{phase}/{call}"
        first = int(os.environ.get("RANK", "0")) * len(prompts)
        context = {
            name: column
            for name, column in columns.items()
            if name not in CONTEXT_SKIPS and isinstance(column, list) and len(column) == len(prompts)
        }
        references = columns.get("reference") or [None] * len(prompts)
        return [
            Item(
                prompt=prompts[i],
                completion=completions[i],
                reference=references[i],
                context={name: column[i] for name, column in context.items()},
                group=Group(id=f"{rollout}/{(first + i) // size}", size=size, slot=(first + i) % size),
            )
            for i in range(len(prompts))
        ]

    async def _served_scores(self, items: list[Item]) -> tuple[list[RewardScores], dict[str, str]]:
        """Return the scores in the order of the weights, and the id of the request that asked for each reward."""
        everyone = [True] * len(items)
        parts: dict[tuple[bool, ...], list[str]] = {}  # rewards that score the same items share a request
        for name in self.weights:
            parts.setdefault(tuple(self.asked.get(name, everyone)), []).append(name)
        ids = {asked: uuid.uuid4().hex for asked in parts}
        answers = await asyncio.gather(*(self._part(names, items, asked, ids[asked]) for asked, names in parts.items()))
        by_name = {scores.reward: scores for answer in answers for scores in answer}
        requests = {name: ids[asked] for asked, names in parts.items() if any(asked) for name in names}
        return [by_name[name] for name in self.weights], requests

    async def _part(
        self, names: list[str], items: list[Item], asked: Sequence[bool], request_id: str
    ) -> list[RewardScores]:
        """Return the scores of all items by these rewards, `NOT_ASKED` of those that are not asked for."""
        sent = [item for item, wanted in zip(items, asked, strict=True) if wanted]
        if not sent:
            return [RewardScores(reward=name, version="", scores=[NOT_ASKED] * len(items)) for name in names]
        found = await self._scored(names, sent, request_id)
        for served in found:
            scores = iter(served.scores)
            served.scores = [next(scores) if wanted else NOT_ASKED for wanted in asked]
        return found

    async def _scored(self, names: list[str], items: list[Item], request_id: str) -> list[RewardScores]:
        request = ScoreRequest(rewards=names, items=items, run=self.run, deadline_s=self.deadline_s)
        client = await self._client_of_this_loop()
        try:
            await self._learn_what_is_served(client)
            return self._as_asked(request, (await client.score(request, request_id)).rewards)
        except Unreachable as error:
            return self._lost(request, "timeout", error)
        except Unreadable as error:
            return self._lost(request, "model_error", error)

    def _lost(self, request: ScoreRequest, status: Status, error: Exception) -> list[RewardScores]:
        scores = [Score.failed(status, str(error)) for _ in request.items]
        return [RewardScores(reward=name, version="", scores=scores) for name in request.rewards]

    async def _client_of_this_loop(self) -> AsyncRewardClient:
        # Connections belong to the event loop that opened them: each trainer has its own, and so has each asyncio.run.
        # Within a loop they are kept, because setting up TLS anew costs a step tens of milliseconds.
        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            self._client = loop, AsyncRewardClient(self.url, self.token)
        return self._client[1]

    async def _learn_what_is_served(self, client: AsyncRewardClient) -> None:
        """Fetch the component names once, so that every rank logs the same metric keys whatever fails.

        A server that cannot tell now is asked again at the next step: that is no reason to lose a run, or its scores.
        """
        if self._served:
            return
        try:
            self._served = {info.name: info for info in await client.rewards()}
        except (httpx.RequestError, ValidationError) as error:
            log.warning("%s does not say which components its rewards have: %r", self.url, error)
        except Refused as error:
            if error.status_code not in RETRIED:
                raise
            log.warning("%s", error)

    def _as_asked(self, request: ScoreRequest, served: list[RewardScores]) -> list[RewardScores]:
        """Return the scores in the order of the weights.

        Raises:
            RewardServerError: the answer is not what was asked for, so no weight could be trusted to its reward.
        """
        by_name = {scores.reward: scores for scores in served}
        if set(by_name) != set(request.rewards) or any(len(s.scores) != len(request.items) for s in served):
            got = ", ".join(f"{scores.reward} ({len(scores.scores)} scores)" for scores in served)
            raise RewardServerError(f"{self.url} was asked for {request.rewards} of {len(request.items)} items: {got}")
        return [by_name[name] for name in request.rewards]

    def _components(self) -> list[tuple[str, str]]:
        return [
            (name, component)
            for name in self.weights
            for component in (self._served[name].components if name in self._served else ())
        ]

    def _refuse_too_many_failures(self, step: "StepScores") -> None:
        missing = step.missing
        if not missing.failed:
            return
        name, status, error = step.commonest_failure()
        # What a reward raised may quote the completion: it belongs into the ledger, not into a log.
        why = f"{status}: {error}" if status not in {"model_error", "invalid_input"} else status
        message = f"{missing.failed} of {missing.asked} completions have no reward; commonest: {name} {why}"
        if missing.failed > self.max_failed_share * missing.asked:
            raise TooManyFailed(f"{message} (max_failed_share is {self.max_failed_share:g})")
        log.warning("%s; they are left out of this step", message)


def own_attempt() -> str:
    """Return a nonce for a single process.

    Raises:
        ValueError: there are several ranks, which could not agree on one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("with several ranks pass attempt=, a text that is new at every launch and equal on all ranks")
    return f"{time.time_ns():x}"
