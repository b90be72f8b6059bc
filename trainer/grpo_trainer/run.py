"""One run, from top to bottom: policy, data, rewards, trainer, train, save, report."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from datasets import Dataset
from transformers import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig

from grpo_trainer import manifest, policy, quiet, rollout
from grpo_trainer.ledger import Ledger
from grpo_trainer.live_view import LiveView
from grpo_trainer.model_cache import CacheError
from grpo_trainer.preflight import Ready
from grpo_trainer.run_file import RunFileError
from grpo_trainer.step_watch import StepWatch
from grpo_trainer.stop_signal import StopSignal
from grpo_trainer.trainer import PolicyTrainer
from guerdon.client import RewardServerError
from guerdon.trl import RemoteReward, TooManyFailed, own_attempt


def run(ready: Ready, stop: StopSignal) -> int:
    """Train the policy; return the exit status.

    Raises:
        RunFileError: TRL refuses the settings, or the policy cannot be loaded.
    """
    quiet.after_imports()
    config, weights = ready.config, ready.config.weights
    args = grpo_config(ready)
    first = args.process_index == 0
    out, attempt = agreed(ready, args)
    with LiveView(f"guerdon train {ready.name}", shown=first) as view:
        view.say(f"{ready.name}: loading {config.policy.model}; writing to {out}")
        with args.main_process_first(desc="loading the policy"):  # one rank converts a GGUF, the others find it
            model, tokenizer = loaded_policy(ready, args)
        train_rows, validation_rows = ready.rows
        reward = RemoteReward(
            weights,
            num_generations=args.num_generations,
            num_generations_eval=args.num_generations_eval,
            url=config.services.reward_url,
            run=ready.name,
            attempt=attempt,
            token=ready.token,
            deadline_s=config.services.deadline_s,
            max_failed_share=config.services.max_failed_share,
        )
        fingerprint = policy.fingerprint(model) if first else ""
        trainer = PolicyTrainer(
            model=model,
            remote_reward=reward,
            args=args,
            train_dataset=Dataset.from_list(train_rows),
            eval_dataset=Dataset.from_list(validation_rows) if args.eval_strategy != "no" else None,
            processing_class=tokenizer,
            peft_config=policy.adapter(config.policy),
        )
        trainer.remove_callback(PrinterCallback)
        ledger = Ledger(out)
        columns = [*(f"term/{name}" for name in weights), *rollout.component_columns(ready.served, weights)]

        def on_step(record: dict[str, Any], rows: list[rollout.Row]) -> None:
            ledger.step(record, rows, columns)
            view.step(record)

        trainer.add_callback(StepWatch(trainer, ready.served, weights, stop, on_step, ledger.evaluation))
        checkpoint = last_checkpoint(out, ledger, first) if ready.resume else None
        if first:
            ledger.manifest(manifest.of(ready, trainer, attempt, fingerprint))
        status = finished(lambda: trainer.train(resume_from_checkpoint=checkpoint), trainer, stop, view)
        saved = save(trainer, ready, out)
        if first:
            ...
    return status
