"""The parts of a run, made from what its file says: TRL's settings, the policy, the rewards, the trainer."""

from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl.trainer.grpo_config import GRPOConfig

from grpo_trainer.config.effective_settings import effective
from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.examination import expected_work, hub_failure, prompt_lengths
from grpo_trainer.examination.finding import Finding
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.imputation.imputer import Imputer
from grpo_trainer.model import policy
from grpo_trainer.model.model_cache import CacheError
from grpo_trainer.record import manifest
from grpo_trainer.trainer import PolicyTrainer
from guerdon.trl import RemoteReward, own_attempt


def grpo_config(ready: Ready) -> GRPOConfig:
    """Return TRL's settings.

    Raises:
        RunFileError: TRL refuses a value, or a combination of them.
    """
    settings: dict[str, Any] = {
        "bf16": policy.dtype_of(ready.config.policy.dtype) is policy.BFLOAT16 and not ready.config.grpo.get("fp16"),
        "report_to": "none",
        "use_cpu": not torch.accelerator.is_available(),  # else accelerate takes several ranks on a CPU for one
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
    """Return the model and its tokenizer.

    Raises:
        NotReadyError: they come from a hub that does not answer.
        RunFileError: they cannot be loaded as the run file describes them.
    """
    settings = ready.config.policy
    with hub_failure.told("[policy]", policy.PolicyError, CacheError):
        source = policy.located(settings.model)
        tokenizer = policy.load_tokenizer(settings, source)
        return policy.load_model(settings, source, tokenizer, policy.dtype_of(settings.dtype)), tokenizer


def require_room_for_prompts(
    ready: Ready, args: GRPOConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> float:
    """Return the mean length of a prompt in tokens.

    Raises:
        RunFileError: the longest prompt and a completion do not fit into the policy's context.
    """
    lengths = prompt_lengths.lengths(tokenizer, ready.rows[0])
    _require("[dataset]", prompt_lengths.fit(model.config, lengths, args.max_completion_length or 0))
    return sum(lengths) / len(lengths)


def announced(ready: Ready, args: GRPOConfig, prompt_tokens: float) -> list[str]:
    """Return what a run says before it begins, a line each: its settings but for the defaults, and its work."""
    work = expected_work.work(args, *map(len, ready.rows))
    asked = expected_work.of_calls(ready.config, args, work, prompt_tokens)
    settings = "; ".join(effective(ready.config, defaults=False))
    return [f"settings: {settings}", *(f"{one.subject}: {one.text}" for one in asked)]


def require_disk_space(ready: Ready, trainer: PolicyTrainer, out: Path) -> None:
    """Raise RunFileError when the run's files will not fit on the disk."""
    if trainer.is_world_process_zero():
        work = expected_work.work(trainer.args, *map(len, ready.rows))
        _require("[output]", expected_work.of_disk(out, trainer.args, work, *weights(trainer, ready)))


def weights(trainer: PolicyTrainer, ready: Ready) -> tuple[int, int]:
    """Return how many weights are trained, and how many more are saved beside them when the run ends."""
    trained = sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
    return trained, sum(weight.numel() for weight in trainer.model.parameters()) if ready.config.output.merged else 0


def _require(section: str, finding: Finding) -> None:
    if finding.level == "fail":
        raise RunFileError(f"{section}: {finding.text}")


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
            target_shares=ready.config.target_shares,
            imputed=ready.config.imputed,
            imputer=imputer(ready, args),
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


def imputer(ready: Ready, args: GRPOConfig) -> Imputer | None:
    settings = ready.config.imputation
    return Imputer(settings, args.num_generations or 1, args.seed) if settings is not None else None
