"""How far a training by transformers' Trainer is: a line per log, with the loss and the time that is left.

The one file here that imports transformers; whoever needs it has done so already.
"""

import sys
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class StepLines(TrainerCallback):
    """Lines on stderr, of the first rank only."""

    def __init__(self, name: str) -> None:
        self._name, self._started, self._before = name, time.monotonic(), 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started, self._before = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if not state.is_world_process_zero or logs is None or "loss" not in logs or not state.global_step:
            return
        each = (time.monotonic() - self._started) / max(1, state.global_step - self._before)
        left = each * (state.max_steps - state.global_step)
        said = f"step {state.global_step}/{state.max_steps}, loss {float(logs['loss']):.3f}, about {left:.0f} s left"
        print(f"{self._name}: {said}", file=sys.stderr, flush=True)
