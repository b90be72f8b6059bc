"""One record per optimizer step: what it was taught, how long it took, how far the policy moved."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from grpo_trainer import rollout
from grpo_trainer.stop_signal import StopSignal
from grpo_trainer.trainer import PolicyTrainer
from guerdon.messages import RewardInfo

OF_TRL = ("loss", "grad_norm", "learning_rate", "kl", "entropy")
"""Metrics of TRL's own that the record keeps; kl exists only where a reference policy does (beta > 0)."""


class StepWatch(TrainerCallback):
    """Hands every step's record and rows to `on_step`, on the main process, before the step's checkpoint is saved."""

    def __init__(
        self,
        trainer: PolicyTrainer,
        served: Mapping[str, RewardInfo],
        weights: Mapping[str, float],
        stop: StopSignal,
        on_step: Callable[[dict[str, Any], list[rollout.Row]], None],
        on_evaluation: Callable[[dict[str, Any]], None],
    ) -> None:
        self.trainer, self.served, self.weights, self.stop = trainer, served, weights, stop
        self.on_step, self.on_evaluation = on_step, on_evaluation
        self._started = time.perf_counter()
        self._before: list[torch.Tensor] = []
        self._change: float | None = None

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started = time.perf_counter()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.stop.hold()  # from here until the ledger has the step, half of it would be done
        self._before = [weight.detach().clone() for weight in self._trained()]

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._change = relative_change(self._before, self._trained())
        self._before = []

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if args.world_size > 1 and any(gather_object([self.stop.asked is not None])):
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
            rows, reward_seconds = self.trainer.take_rows()
            if state.is_world_process_zero:
                self.on_step(self._record(state, logs, rows, reward_seconds), rows)
            self.stop.release()
        elif "eval_loss" in logs and state.is_world_process_zero:
            self.on_evaluation({"step": state.global_step, **logs})

    def _record(self, state: TrainerState, logs: dict[str, Any], rows: list[Any], reward_seconds: float) -> Any:
        step_seconds = time.perf_counter() - self._started
        taught = rollout.record(rows, self.served, self.weights, self.trainer.scales_by_group) if rows else {}
        return {
            "step": state.global_step,
            "steps": state.max_steps,
            "time": time.time(),
            **taught,
            "clipped_share": logs.get("completions/clipped_ratio"),
            "parameter_change": self._change,
            "reward_seconds": reward_seconds,
            "step_seconds": step_seconds,
            "reward_time_share": reward_seconds / step_seconds if step_seconds > 0 else None,
            **{name: logs.get(name) for name in OF_TRL},
        }

    def _trained(self) -> list[torch.Tensor]:
        return [weight for weight in self.trainer.model.parameters() if weight.requires_grad]


@torch.no_grad()
def relative_change(before: list[torch.Tensor], after: list[torch.Tensor]) -> float | None:
    """Return ‖after - before‖ / ‖before‖ over all tensors; None where there is nothing to compare with."""
    moved = sum(float((new - old).double().pow(2).sum()) for old, new in zip(before, after, strict=True))
    size = sum(float(old.double().pow(2).sum()) for old in before)
    return (moved / size) ** 0.5 if size > 0 else None
