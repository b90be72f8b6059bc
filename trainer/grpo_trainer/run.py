"""One run, from top to bottom: policy, rewards, trainer, train, save, report."""

import sys
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from transformers.trainer_utils import get_last_checkpoint
from trl.trainer.grpo_config import GRPOConfig

from grpo_trainer import manifest, model_cache, policy, quiet, report, rollout
from grpo_trainer.completion_positions import only_completions
from grpo_trainer.ledger import Ledger
from grpo_trainer.live_view import LiveView
from grpo_trainer.model_cache import CacheError
from grpo_trainer.preflight import Ready
from grpo_trainer.run_file import RunFileError
from grpo_trainer.step_watch import StepWatch
from grpo_trainer.stop_signal import Stopped, StopSignal
from grpo_trainer.trainer import PolicyTrainer
from guerdon.client import RewardServerError
from guerdon.trl import RemoteReward, TooManyFailed, own_attempt


def run(ready: Ready, stop: StopSignal) -> int:
    """Train the policy; return the exit status.

    Raises:
        RunFileError: TRL refuses the settings, or the policy cannot be loaded.
    """
    quiet.after_imports()
    only_completions()
    args = grpo_config(ready)
    out, attempt = agreed(ready, args)
    with LiveView(f"guerdon train {ready.name}", shown=args.process_index == 0) as view:
        once = f"; its GGUF file is converted once, into {model_cache.root()}"
        view.say(f"loading {ready.config.policy.model}{once if policy.is_gguf(ready.config.policy.model) else ''}")
        with args.main_process_first(desc="policy"):  # one rank converts a GGUF file, the others find it converted
            model, tokenizer = load_policy(ready)
        fingerprint = policy.fingerprint(model)
        reward = remote_reward(ready, args, attempt)
        trainer = make_trainer(ready, args, model, tokenizer, reward)
        ledger, checkpoint = Ledger(out), None
        if ready.resume:
            checkpoint = resumed(trainer, ledger)
        watch(trainer, ready, ledger, view, stop)
        facts = manifest.of(ready, trainer, attempt, fingerprint)
        if trainer.is_world_process_zero():
            ledger.manifest(facts)
        view.say(f"{facts['policy']['trained_parameters']:,} trained weights; writing to {out}")
        status = train(trainer, stop, checkpoint)
        save(trainer, tokenizer, ready, out)
    if trainer.is_world_process_zero():
        ledger.manifest(facts | {"ended": manifest.now(), "exit_status": status})
        report.write(out)
        print(report.summary(out))
    return status


def grpo_config(ready: Ready) -> GRPOConfig:
    """Return TRL's settings.

    Raises:
        RunFileError: TRL refuses a value, or a combination of them.
    """
    settings: dict[str, Any] = {
        "bf16": policy.dtype_of(ready.config.policy.dtype) is policy.BFLOAT16 and not ready.config.grpo.get("fp16"),
        "report_to": "none",
        "save_total_limit": 2,
        **ready.config.grpo,
        "disable_tqdm": True,
        "logging_steps": 1,
        "output_dir": str(ready.out / "checkpoints"),
    }
    try:
        args = GRPOConfig(**settings)
    except (ValueError, TypeError, ImportError) as error:
        raise RunFileError(f"[grpo]: TRL refuses these settings: {policy.first_line(error)}") from error
    if args.eval_strategy != "no" and not ready.rows[1]:
        raise RunFileError("[grpo] eval_strategy asks for evaluations, but the dataset has no validation rows.")
    return args


def agreed(ready: Ready, args: GRPOConfig) -> tuple[Path, str]:
    """Return the directory and the launch's nonce, which all ranks take from the first."""
    if args.world_size == 1:
        return ready.out, own_attempt()
    shared = [str(ready.out), f"{manifest.now()}-{ready.name}"]
    broadcast_object_list(shared)
    args.output_dir = str(Path(shared[0]) / "checkpoints")
    return Path(shared[0]), shared[1]


def load_policy(ready: Ready) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    settings = ready.config.policy
    try:
        source = policy.located(settings.model)
        tokenizer = policy.load_tokenizer(settings, source)
        return policy.load_model(settings, source, tokenizer, policy.dtype_of(settings.dtype)), tokenizer
    except (policy.PolicyError, CacheError) as error:
        raise RunFileError(f"[policy]: {error}") from error


def remote_reward(ready: Ready, args: GRPOConfig, attempt: str) -> RemoteReward:
    services = ready.config.services
    return RemoteReward(
        ready.config.weights,
        num_generations=args.num_generations or 1,  # TRL itself refuses none
        num_generations_eval=args.num_generations_eval,
        url=services.reward_url,
        run=ready.name,
        attempt=attempt,
        token=ready.token,
        deadline_s=services.deadline_s,
        max_failed_share=services.max_failed_share,
        served=ready.served,
    )


def make_trainer(
    ready: Ready,
    args: GRPOConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    reward: RemoteReward,
) -> PolicyTrainer:
    """Return the trainer.

    Raises:
        RunFileError: the adapter fits no layer of the model, or TRL refuses what it is given.
    """
    train_rows, validation_rows = ready.rows
    try:
        trainer = PolicyTrainer(
            remote_reward=reward,
            model=model,
            args=args,
            train_dataset=Dataset.from_list(train_rows),
            eval_dataset=Dataset.from_list(validation_rows) if args.eval_strategy != "no" else None,
            processing_class=tokenizer,
            peft_config=policy.adapter(ready.config.policy),
        )
    except ValueError as error:
        raise RunFileError(f"TRL refuses this run: {policy.first_line(error)}") from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def resumed(trainer: PolicyTrainer, ledger: Ledger) -> str:
    """Return the last checkpoint, with the ledger cut back to its step."""
    checkpoint = str(get_last_checkpoint(trainer.args.output_dir))  # type: ignore[no-untyped-call]
    if trainer.is_world_process_zero():
        ledger.cut_back(int(checkpoint.rpartition("-")[2]))
    return checkpoint


def watch(trainer: PolicyTrainer, ready: Ready, ledger: Ledger, view: LiveView, stop: StopSignal) -> None:
    weights = ready.config.weights
    columns = [*(f"term/{name}" for name in weights), *rollout.component_columns(ready.served, weights)]

    def on_step(record: dict[str, Any], rows: list[rollout.Row]) -> None:
        ledger.step(record, rows, columns)
        view.step(record)

    trainer.add_callback(StepWatch(trainer, ready.served, weights, stop, on_step, ledger.evaluation))


def train(trainer: PolicyTrainer, stop: StopSignal, checkpoint: str | None) -> int:
    """Train to the end, to a signal or to a reward that keeps failing; the last two leave a checkpoint to resume."""
    status = 0
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except Stopped:
        pass
    except (TooManyFailed, RewardServerError) as error:
        if trainer.args.world_size > 1:
            raise  # the other ranks wait in a collective; only the launcher can end them
        print(f"guerdon train: {error}", file=sys.stderr)
        status = 1
    if stop.asked is not None:
        print(f"guerdon train: stopped after step {trainer.state.global_step}; --resume goes on", file=sys.stderr)
        status = stop.status
    if status and trainer.state.global_step > 0 and trainer.args.world_size == 1:  # several ranks saved as they left
        trainer._save_checkpoint(trainer.model, trial=None)  # type: ignore[no-untyped-call]
    return status


def save(trainer: PolicyTrainer, tokenizer: PreTrainedTokenizerBase, ready: Ready, out: Path) -> None:
    """Save the adapter (or all weights) and, where asked for, the policy with its adapter merged in."""
    folder = out / ("adapter" if ready.config.policy.train == "lora" else "model")
    trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle; the manifest says the same in plain text
    if ready.config.output.merged and ready.config.policy.train == "lora" and trainer.is_world_process_zero():
        merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        merged.save_pretrained(out / "merged")
        tokenizer.save_pretrained(out / "merged")
