"""One run, from top to bottom: policy, rewards, trainer, train, save, report."""

import sys
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import PreTrainedTokenizerBase
from trl.trainer.grpo_config import GRPOConfig

from grpo_trainer import quiet, run_parts
from grpo_trainer.display import report
from grpo_trainer.display.live_view import LiveView
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.imputation.in_training import columns as imputation_columns
from grpo_trainer.model import model_cache, policy
from grpo_trainer.model.completion_positions import only_completions
from grpo_trainer.record import checkpoints, manifest, saving
from grpo_trainer.record.ledger import Ledger
from grpo_trainer.resumption import resumed
from grpo_trainer.step_watch import StepWatch
from grpo_trainer.stop_signal import Stopped, StopSignal
from grpo_trainer.teaching import rollout
from grpo_trainer.trainer import PolicyTrainer
from guerdon.client import RewardServerError
from guerdon.trl import TooManyFailed
from long_work import exit_status


def run(ready: Ready, stop: StopSignal) -> int:
    """Train the policy; return the exit status.

    Raises:
        RunFileError: TRL refuses the settings, or the policy cannot be loaded.
    """
    quiet.after_imports()
    only_completions()
    args = run_parts.grpo_config(ready)
    out, attempt = run_parts.agreed(ready, args)
    with LiveView(f"guerdon train {ready.name}", shown=args.process_index == 0) as view:
        trainer, tokenizer, facts = prepared(ready, args, attempt, view)
        run_parts.require_disk_space(ready, trainer, out)
        view.say(f"{facts['policy']['trained_parameters']:,} trained weights; writing to {out}")
        ledger = Ledger(out)
        watch = watched(trainer, ready, ledger, view, stop)
        checkpoint, said = resumed(trainer, watch, ledger, ready, facts) if ready.resume else (None, [])
        for line in said:
            view.say(line)
        if trainer.is_world_process_zero():
            ledger.manifest(facts)
        began = saving.beginning(trainer, tokenizer, ready)
        status = train(trainer, watch, stop, checkpoint)
        if checkpoint is not None and trainer.state.global_step == checkpoints.step(checkpoint) and not status:
            view.say(f"the run had come to its end with step {trainer.state.global_step}; saving what it trained")
        wrong = saving.save(trainer, tokenizer, ready, out, began)
    for sentence in wrong:
        print(f"guerdon train: {sentence}", file=sys.stderr)
    status = status or int(bool(wrong))
    if trainer.is_world_process_zero():
        ledger.manifest(facts | {"ended": manifest.now(), "exit_status": status})
        report.write(out)
        print(report.summary(out))
    return status


def prepared(
    ready: Ready, args: GRPOConfig, attempt: str, view: LiveView
) -> tuple[PolicyTrainer, PreTrainedTokenizerBase, dict[str, Any]]:
    """Load the policy and say what the run will do with it; return trainer, tokenizer and the run's manifest."""
    model_name = ready.config.policy.model
    once = f"; its GGUF file is converted once, into {model_cache.root()}" if policy.is_gguf(model_name) else ""
    view.say(f"loading {model_name}{once}")
    with args.main_process_first(desc="policy"):  # one rank converts a GGUF file, the others find it converted
        model, tokenizer = run_parts.load_policy(ready)
    prompt_tokens = run_parts.require_room_for_prompts(ready, args, model, tokenizer)
    for line in run_parts.announced(ready, args, prompt_tokens):
        view.say(line)
    fingerprint = policy.fingerprint(model)  # before an adapter is put around it
    reward = run_parts.remote_reward(ready, args, attempt)
    trainer = run_parts.make_trainer(ready, args, model, tokenizer, reward)
    return trainer, tokenizer, manifest.of(ready, trainer, attempt, fingerprint)


def watched(trainer: PolicyTrainer, ready: Ready, ledger: Ledger, view: LiveView, stop: StopSignal) -> StepWatch:
    weights = ready.config.weights
    columns = [*(f"term/{name}" for name in weights), *rollout.component_columns(ready.served, weights)]
    if ready.config.imputed is not None:
        columns += imputation_columns(ready.config.imputed)

    def on_step(record: dict[str, Any], rows: list[rollout.Row]) -> None:
        ledger.step(record, rows, columns)
        view.step(record)

    watch = StepWatch(trainer, ready.served, ready.config, stop, on_step, ledger.evaluation)
    trainer.add_callback(watch)
    return watch


def train(trainer: PolicyTrainer, watch: StepWatch, stop: StopSignal, checkpoint: Path | None) -> int:
    """Train to the end, to a signal, to a reward that keeps failing or to a run that teaches nothing.

    The last three leave a checkpoint to resume. All ranks leave together, by the same of them.
    """
    status, why = 0, ""
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except Stopped:
        pass
    except (TooManyFailed, RewardServerError) as error:
        status, why = 1, str(error)
    if watch.ended is not None:
        why = f"stopped after step {trainer.state.global_step}: {watch.ended}"
        status = 1 if watch.unscored else exit_status.DIAGNOSED
    if stop.asked is not None:
        status, why = stop.status, f"stopped after step {trainer.state.global_step}; --resume goes on"
    if status:
        if trainer.is_world_process_zero():
            print(f"guerdon train: {why}", file=sys.stderr)
        save_checkpoint(trainer)
    return status


def save_checkpoint(trainer: PolicyTrainer) -> None:
    """Save the step that the run has come to, unless it is saved already."""
    step, folder = trainer.state.global_step, Path(str(trainer.args.output_dir))
    saved = [checkpoints.is_whole(folder / f"checkpoint-{step}")]
    if trainer.args.world_size > 1:
        broadcast_object_list(saved)  # each of them looking would find what another one has just saved
    if step > 0 and not saved[0]:
        trainer._save_checkpoint(trainer.model, trial=None)
