"""What a run leaves: the adapter, or all weights, and where asked for the policy with its adapter merged in."""

import shutil
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from grpo_trainer.examination.preflight import Ready
from grpo_trainer.model import policy
from grpo_trainer.record import save_check
from grpo_trainer.trainer import PolicyTrainer

WEIGHTS = ("adapter", "model", "merged")
PAGES = ("report.html", "chart.png")


def forget(out: Path) -> None:
    """Remove what a run left when it was stopped: once it goes on, that is neither its policy nor its report.

    The checkpoint that it goes on from holds the same weights, or later ones.
    """
    for name in WEIGHTS:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
    for name in PAGES:
        (out / name).unlink(missing_ok=True)


def beginning(trainer: PolicyTrainer, tokenizer: PreTrainedTokenizerBase, ready: Ready) -> torch.Tensor | None:
    """Return the log-probabilities that the policy begins with, for `save` to see that what it saves has moved.

    None under DeepSpeed, whose engine does not hold the weights yet.
    """
    if trainer.is_deepspeed_enabled:
        return None
    with trainer.accelerator.autocast():  # as the trained policy will compute
        return save_check.log_probabilities(trainer.model, _batch(tokenizer, ready))


def save(
    trainer: PolicyTrainer,
    tokenizer: PreTrainedTokenizerBase,
    ready: Ready,
    out: Path,
    began: torch.Tensor | None = None,
) -> list[str]:
    """Save the adapter (or all weights) and, where asked for, the policy with its adapter merged in.

    Returns what is wrong with what was saved, a sentence each; it is loaded again and compared on the first rank,
    with the trained policy and with the one that training `began` with.
    """
    lora = ready.config.policy.train == "lora"
    folder = out / ("adapter" if lora else "model")
    batch = _batch(tokenizer, ready)
    # All ranks take part: under FSDP and ZeRO-3 each of them holds only its shards of the weights.
    trained = save_check.log_probabilities(trainer.model_wrapped, batch)
    trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle; the manifest says the same in plain text
    if not trainer.is_world_process_zero():
        return []
    folders = [folder]
    if ready.config.output.merged and lora:
        merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        merged.save_pretrained(out / "merged")
        tokenizer.save_pretrained(out / "merged")
        folders.append(out / "merged")
    dtype = dtype_of(trainer.model)
    source = policy.located(ready.config.policy.model)
    return [said for one in folders if (said := save_check.difference(one, source, dtype, batch, trained, began))]


def _batch(tokenizer: PreTrainedTokenizerBase, ready: Ready) -> list[list[int]]:
    return save_check.fixed_batch(tokenizer, [row["prompt"] for row in ready.rows[0]])


def dtype_of(model: torch.nn.Module) -> torch.dtype:
    """Return the dtype of the weights that do most of the computing: those of an adapter are fewer and finer."""
    found: torch.dtype = max(model.parameters(), key=lambda weight: weight.numel()).dtype
    return found
