"""Imputation between TRL and the reward server: who is asked for, and what the trainer is given for the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from grpo_trainer.imputation import step_record
from grpo_trainer.imputation.hidden_states import pooled
from grpo_trainer.imputation.imputer import Imputer, Outcome, Plan
from grpo_trainer.imputation.ridge import Floats
from guerdon.step_scores import StepScores
from guerdon.trl import RemoteReward

IMPUTED, TOO_FEW = "imputed", "imputed: too few of its group were scored"
"""Statuses of completions that were not scored on purpose: with a reward, and without."""


class ImputedReward:
    """One run's imputed reward. All ranks call its methods at the same time, in the order ask, complete, rows.

    Attributes:
        name: the served reward that is imputed.
    """

    def __init__(self, name: str, imputer: Imputer, remote: RemoteReward, accelerator: Accelerator) -> None:
        self.name, self.imputer, self.remote, self.accelerator = name, imputer, remote, accelerator
        self._states: Floats = np.empty((0, 0))
        self._plan: Plan
        self._outcome: Outcome
        self._shard = slice(0)
        self._outcomes: list[Outcome] = []

    def ask(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[int]],
        *,
        batch: int,
        progress: float,
    ) -> None:
        """Decide who of the next call's completions is scored; token ids of this rank's, `progress` in [0, 1]."""
        local = pooled(model, prompts, completions, batch, self.accelerator.device)
        self._states = self.accelerator.gather(local).cpu().double().numpy()
        self._plan = self.imputer.plan(len(self._states), progress)
        first = self.accelerator.process_index * len(prompts)
        self._shard = slice(first, first + len(prompts))
        self.remote.asked = {self.name: self._plan.asked[self._shard].tolist()}

    def complete(self, scores: StepScores) -> Floats:
        """Return the weighted reward of every completion of all ranks, NaN for none; `scores` are this rank's."""
        self.remote.asked = {}
        place = list(scores.weights).index(self.name)
        weight = scores.weights[self.name]
        own = [score.value for score in scores.rewards[place].scores]
        others = [terms for at, terms in enumerate(scores.terms) if at != place]
        rest = [_sum(terms) for terms in zip(*others, strict=True)] if others else [0.0] * len(own)
        gathered: list[tuple[Any, Any]] = gather_object(list(zip(own, rest, strict=True)))
        truth, added = (np.array([_number(row[side]) for row in gathered]) for side in (0, 1))
        self._outcome = self.imputer.complete(self._plan, self._states, truth)
        self._outcomes.append(self._outcome)
        rewards: Floats = weight * self._outcome.used + added
        return rewards

    def rows(self, rows: list[dict[str, Any]], scores: StepScores, rewards: Floats) -> None:
        """Say in this rank's ledger rows who was scored, what was predicted, and what was trained on.

        `predicted/NAME` and `imputed/NAME` are weighted, as `term/NAME` is, which stays empty where nobody was asked.
        """
        weight = scores.weights[self.name]
        outcome, asked = self._outcome, self._plan.asked[self._shard]
        shard = zip(rows, asked, outcome.predicted[self._shard], outcome.used[self._shard], strict=True)
        for (row, scored, predicted, used), reward in zip(shard, rewards[self._shard], strict=True):
            row[f"scored/{self.name}"] = float(scored)
            row[f"predicted/{self.name}"] = float(weight * predicted)
            row[f"imputed/{self.name}"] = float(weight * used) if np.isfinite(used) else None
            row["reward"] = float(reward) if np.isfinite(reward) else None
            if not scored and row["status"] == "ok":
                row["status"] = IMPUTED if np.isfinite(used) else TOO_FEW

    def take_record(self) -> dict[str, Any]:
        """Return the ledger's record of the batches since the last call; nothing when there were none."""
        outcomes, self._outcomes = self._outcomes, []
        return {"imputation": {"reward": self.name, **step_record.of_step(outcomes)}} if outcomes else {}

    def settle(self) -> None:
        self.imputer.settle()

    def save(self, folder: Path) -> None:
        self.imputer.save(folder)

    def restore(self, checkpoint: str) -> bool:
        return self.imputer.restore(Path(checkpoint))


def columns(name: str) -> list[str]:
    """Return the numeric columns of the ledger's rows that are imputation's."""
    return [f"{part}/{name}" for part in ("scored", "predicted", "imputed")]


def _sum(terms: Sequence[float | None]) -> float | None:
    return None if any(term is None for term in terms) else sum(term for term in terms if term is not None)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def as_tensor(rewards: Floats, like: torch.Tensor) -> torch.Tensor:
    """Return (N, 1): the one column that TRL has for a RemoteReward."""
    return torch.tensor(rewards, dtype=like.dtype, device=like.device).unsqueeze(1)
