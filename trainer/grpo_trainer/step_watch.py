"""One record per optimizer step: what it was taught, how long it took, how far the policy moved."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.stop_signal import StopSignal
from grpo_trainer.teaching import parameter_change, rollout
from grpo_trainer.teaching.liveness import FAILED, Liveness
from grpo_trainer.teaching.sensitivity import Sensitivity
from grpo_trainer.teaching.skill import RunningSkill
from grpo_trainer.trainer import PolicyTrainer
from guerdon.messages import RewardInfo

OF_TRL = ("loss", "grad_norm", "learning_rate", "kl", "entropy")
"""Metrics of TRL's own that the record keeps; kl exists only where a reference policy does (beta > 0)."""

TRACKED = ("signal_share", "sign_flip_share", "skill", "weights", "terms")
"""What of the record goes to the trackers by name of the reward; other numbers go as they are."""

Record = dict[str, Any]


class StepWatch(TrainerCallback):
    """Hands every step's record and rows to `on_step`, on the main process, before the step's checkpoint is saved.

    `ended` says why the run ended itself, where it did, and `unscored` whether that was for want of scores, which may
    come again; `sensitivity`, which terms have taught nothing so far.
    """

    def __init__(
        self,
        trainer: PolicyTrainer,
        served: Mapping[str, RewardInfo],
        config: RunConfig,
        stop: StopSignal,
        on_step: Callable[[Record, list[rollout.Row]], None],
        on_evaluation: Callable[[Record], None],
    ) -> None:
        self.trainer, self.served, self.weights, self.stop = trainer, served, config.weights, stop
        self.on_step, self.on_evaluation = on_step, on_evaluation
        self.ended: str | None = None
        self.unscored = False
        self._liveness = Liveness(config.liveness.steps)
        self.sensitivity = Sensitivity(config.weights, scaled=trainer.scales_by_group)
        self._judged_after = config.liveness.completions
        self._skill = RunningSkill(served)
        self._started = time.perf_counter()
        self._before: list[torch.Tensor] = []
        self._change: float | None = None
        self._rows: list[rollout.Row] = []
        self._taught: Record = {}

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started = time.perf_counter()
        if self.trainer.is_deepspeed_enabled:  # its engine has taken the step before the next event
            self._before = parameter_change.copied(self._held())

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.stop.hold()  # from here until the ledger has the step, half of it would be done
        if not self.trainer.is_deepspeed_enabled:
            self._before = parameter_change.copied(self._held())

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        parts = [parameter_change.squares(self._before, self._held())]
        self._change = parameter_change.relative(gather_object(parts) if args.world_size > 1 else parts)
        self._before = []

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._rows, reward_seconds = self.trainer.take_rows()
        scaled = self.trainer.scales_by_group
        self._taught = rollout.record(self._rows, self.served, self.weights, scaled) if self._rows else {}
        self._taught |= self._skill.follow(self._rows)
        if self.trainer.imputation is not None:
            self._taught |= self.trainer.imputation.take_record()
            self.trainer.imputation.settle()
        self._taught |= {"parameter_change": self._change, "reward_seconds": reward_seconds}
        self.trainer.report(tracked(self._taught))
        if args.world_size > 1:
            self.stop.agree(gather_object([self.stop.sent]))
            if self.stop.asked is not None:
                control.should_training_stop = control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        if "loss" in logs:
            record = self._record(state, logs)
            if state.is_world_process_zero:
                self.on_step(record, self._rows)
            self.ended = self._reason_to_end(record)  # every rank has the same rows, so they end at the same step
            if self.ended is not None:
                self.unscored = (record.get("failed_share") or 0) >= FAILED
                control.should_training_stop = control.should_save = True
            self.stop.release()
        elif "eval_loss" in logs and state.is_world_process_zero:
            self.on_evaluation({"step": state.global_step, **logs})

    def _record(self, state: TrainerState, logs: Mapping[str, Any]) -> Record:
        step_seconds = time.perf_counter() - self._started
        reward_seconds = self._taught["reward_seconds"]
        return {
            "step": state.global_step,
            "steps": state.max_steps,
            "time": time.time(),
            **self._taught,
            "clipped_share": logs.get("completions/clipped_ratio"),
            "step_seconds": step_seconds,
            "reward_time_share": reward_seconds / step_seconds if step_seconds > 0 else None,
            **{name: logs.get(name) for name in OF_TRL},
        }

    def _reason_to_end(self, record: Record) -> str | None:
        self.sensitivity.follow(self._rows)
        if stands_still := self._liveness.follow(record):  # first: it knows of failures, and says why nothing differs
            return stands_still
        judged = 0 < self._judged_after <= self.sensitivity.completions
        return self.sensitivity.refusal() if judged and self.sensitivity.silent else None

    def _held(self) -> list[torch.Tensor]:
        return parameter_change.held(self.trainer.model.parameters())


def tracked(taught: Record) -> dict[str, float]:
    """Return the signals of a step as flat numbers: `signals/NAME`, and `signals/NAME/REWARD` where there are several.

    Everything that is undefined is left out.
    """
    found: dict[str, Any] = {f"signals/{name}": value for name, value in taught.items()}
    for name in TRACKED:
        for reward, value in (taught.get(name) or {}).items():
            found[f"signals/{name}/{reward}"] = value.get("mean") if isinstance(value, dict) else value
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
