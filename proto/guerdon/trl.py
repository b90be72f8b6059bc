"""Served rewards as one TRL reward function: `GRPOTrainer(reward_funcs=[RemoteReward({"sql_cot": 1.0}, …)])`."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from guerdon.client import AsyncRewardClient, Unreachable
from guerdon.messages import Group, Item, RewardInfo, RewardScores, Score, ScoreRequest
from guerdon.step_scores import StepScores

log = logging.getLogger("guerdon")

CONTEXT_SKIPS = frozenset({"prompt", "completion", "completion_ids", "reference", "trainer_state", "environments"})


class TooManyFailed(RuntimeError):
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
        max_failed_share: raise TooManyFailed when more than this share of a step's completions has no score.
            1.0 never raises: the failed rows are left out and the run goes on.
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
        self._calls: Counter[str] = Counter()
        self._served: dict[str, RewardInfo] = {}

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
        served = await self._served_scores(items)
        seconds = time.perf_counter() - started
        step = StepScores(self.weights, items, served, seconds)
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

    async def _served_scores(self, items: list[Item]) -> list[RewardScores]:
        request = ScoreRequest(rewards=list(self.weights), items=items, run=self.run, deadline_s=self.deadline_s)
        try:
            # A client per step: TRL runs each trainer's reward functions on an event loop of its own.
            async with AsyncRewardClient(self.url, self.token) as client:
                if not self._served:
                    await self._learn_what_is_served(client)
                return (await client.score(request)).rewards
        except Unreachable as error:
            lost = [Score.failed("timeout", str(error)) for _ in items]
            return [RewardScores(reward=name, version="", scores=lost) for name in self.weights]

    async def _learn_what_is_served(self, client: AsyncRewardClient) -> None:
        """Fetch the component names once, so that every rank logs the same metric keys whatever fails."""
        self._served = {info.name: info for info in await client.rewards()}

    def _components(self) -> list[tuple[str, str]]:
        return [
            (name, component)
            for name in self.weights
            for component in (self._served[name].components if name in self._served else ())
        ]

    def _refuse_too_many_failures(self, step: "StepScores") -> None:
        failed = sum(value is None for value in step.values)
        if not failed:
            return
        name, status, error = step.commonest_failure()
        message = f"{failed} of {len(step.values)} completions have no reward; commonest: {name} {status}: {error}"
        if failed > self.max_failed_share * len(step.values):
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
