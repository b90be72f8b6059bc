"""One run's imputation: which completions of a batch are scored, what the others get, and how well that went."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from grpo_trainer.config.run_config import Imputation
from grpo_trainer.imputation import doubly_robust, rank_agreement
from grpo_trainer.imputation.gate import Gate
from grpo_trainer.imputation.ridge import Floats, GroupRidge
from grpo_trainer.imputation.subset import Mask, drawn
from long_work import json_file

ARRAYS, FACTS = "imputation.safetensors", "imputation.json"


@dataclass(frozen=True)
class Plan:
    """What is done with one batch of N completions.

    Attributes:
        imputing: whether the warm-up is over and the gate open.
        drawn: (N,) whose reward the imputation learns from: all while it is not imputing.
        asked: (N,) who is sent to the reward: `drawn`, and everyone in oracle mode.
    """

    imputing: bool
    drawn: Mask
    asked: Mask


@dataclass(frozen=True)
class Outcome:
    """What came of one batch of N completions.

    Attributes:
        predicted: (N,) what the hidden states say.
        used: (N,) rewards to train on, NaN for none.
        record: the ledger's, of this batch.
        rho: the rank agreement of each group that has one, of which the record has the means by the same names.
    """

    predicted: Floats
    used: Floats
    record: dict[str, Any]
    rho: dict[str, list[float]]


class Imputer:
    """Every rank has one, given the same gathered rows in the same order, so that all plan alike."""

    def __init__(self, settings: Imputation, group_size: int, seed: int) -> None:
        self.settings, self.size, self.seed = settings, group_size, seed
        self.gate = Gate(settings.threshold, settings.window)
        self.ridge: GroupRidge | None = None  # as wide as the policy's hidden state, known with the first batch
        self.batches = 0
        self._settled = self._state()

    def plan(self, completions: int, progress: float) -> Plan:
        """Return whom to score of a batch; `progress` is the share of the run that is done, in [0, 1]."""
        imputing = progress >= self.settings.from_share and self.gate.open
        everyone = np.ones(completions, dtype=np.bool_)
        groups = completions // self.size
        subset = drawn(groups, self.size, self.settings.q, (self.seed, self.batches)) if imputing else everyone
        return Plan(imputing, subset, everyone if self.settings.mode == "oracle" else subset)

    def complete(self, plan: Plan, features: Floats, truth: Floats) -> Outcome:
        """Return the batch's rewards, then learn from its scores.

        Args:
            features: (N, d) of every completion.
            truth: (N,) the reward where it was asked for, NaN elsewhere and where it failed.
        """
        ridge = self.ridge = self.ridge or GroupRidge(features.shape[1], self.settings.ridge, self.settings.half_life)
        groups = np.arange(len(truth)) // self.size
        predicted = ridge.predict(features, groups)
        seen = np.where(plan.drawn, truth, np.nan)
        would_use = doubly_robust.corrected(predicted, seen, plan.drawn, self.size) if plan.imputing else seen
        agreements = rank_agreement.within_groups(predicted, seen, self.size) if ridge.fitted else []
        before = self.gate.open
        self.gate.add(agreements)
        known = np.isfinite(seen)
        if known.any():
            ridge.learn(features[known], truth[known], groups[known])
        self.batches += 1
        used = truth if self.settings.mode == "oracle" else would_use
        oracle = self._against_truth(plan, predicted, would_use, truth)
        record = self._record(plan, before, agreements, used)
        if oracle:
            record["oracle"] = {name: rank_agreement.mean(rho) for name, rho in oracle.items()}
        return Outcome(predicted, used, record, {"rank_agreement": agreements, **oracle})

    def _record(self, plan: Plan, open_before: bool, agreements: list[float], used: Floats) -> dict[str, Any]:
        found = self.gate.interval
        return {
            "mode": self.settings.mode,
            "imputing": plan.imputing,
            "completions": len(plan.drawn),
            "calls": int(plan.asked.sum()),
            # in oracle mode what would have been saved
            "calls_saved": int((~plan.drawn).sum()),
            "imputed": int((~plan.asked & np.isfinite(used)).sum()),
            "rank_agreement": rank_agreement.mean(agreements),
            "gate": {
                "open": self.gate.open,
                "changed": self.gate.open != open_before,
                "groups": self.gate.groups,
                **(found._asdict() if found else dict.fromkeys(("mean", "low", "high"))),
            },
        }

    def _against_truth(self, plan: Plan, predicted: Floats, would_use: Floats, truth: Floats) -> dict[str, list[float]]:
        """Return, in oracle mode, how what imputation would have said ranks each group against its true rewards."""
        if self.settings.mode != "oracle" or not plan.imputing:
            return {}
        said = {"predicted": predicted, "used": would_use}
        return {name: rank_agreement.within_groups(one, truth, self.size) for name, one in said.items()}

    def settle(self) -> None:
        """Note that the step is done: a checkpoint is of the last step that was, and so is what `save` writes.

        A run may be stopped between a batch and the end of its step, which is then made anew.
        """
        self._settled = self._state()

    def _state(self) -> tuple[dict[str, Floats], dict[str, Any]]:
        # no copies: the ridge replaces its arrays, it never changes one
        arrays = self.ridge.state() if self.ridge else {}
        return arrays, {"batches": self.batches, "gate": self.gate.state()}

    def save(self, folder: Path) -> None:
        """Write all that the next batch depends on into a checkpoint, the facts last: with them it is whole."""
        arrays, facts = self._settled
        save_file(arrays, folder / ARRAYS)
        json_file.write(folder / FACTS, facts)

    def restore(self, folder: Path) -> bool:
        """Take up what a checkpoint says; return False where it says nothing, and everything is scored again."""
        if not (folder / FACTS).exists():
            return False
        facts = json_file.read(folder / FACTS)
        self.batches = facts["batches"]
        self.gate.restore(facts["gate"]["open"], facts["gate"]["evidence"])
        if arrays := load_file(folder / ARRAYS):
            self.ridge = GroupRidge(len(arrays["targets"]), self.settings.ridge, self.settings.half_life)
            self.ridge.restore(arrays)
        self.settle()
        return True
