"""How far the training is: one line per twentieth of its steps, with the loss and the time that is left."""

import sys
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class StepLines(TrainerCallback):
    def __init__(self) -> None:
        self._started = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "loss" not in logs or not state.global_step:
            return
        left = (time.monotonic() - self._started) / state.global_step * (state.max_steps - state.global_step)
        said = f"step {state.global_step}/{state.max_steps}, loss {float(logs['loss']):.3f}, about {left:.0f} s left"
        print(f"reward model: {said}", file=sys.stderr, flush=True)
