"""Reload what was saved and see that it is the policy that was trained: the same log-probabilities of a fixed batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

TEXTS, TOKENS = 4, 128
"""Of the fixed batch: enough for every layer to count, few enough to cost a second."""

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.02}
"""Mean absolute difference of the log-probabilities, in nats: what a dtype's rounding may add up to over the layers,
and, for a merged policy, in the sum of weights and adapter."""
VISIBLE = 1e-4
"""How far, in nats, training must have moved the log-probabilities for it to show in what was saved."""
LEAST_KEPT = 0.25
"""Of that movement: a small learning rate moves a policy less than the tolerance, and the untrained one would pass."""


def fixed_batch(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Any]) -> list[list[int]]:
    """Return the tokens of a few of the texts, of at least two tokens each."""
    found = []
    for text in texts[:TEXTS]:
        plain = text if isinstance(text, str) else tokenizer.apply_chat_template(text, tokenize=False)
        found.append(tokenizer(str(plain), add_special_tokens=False)["input_ids"][:TOKENS])
    return [tokens for tokens in found if len(tokens) > 1] or [[0, 1]]  # any two tokens, where all texts are shorter


@torch.no_grad()
def log_probabilities(model: torch.nn.Module, batch: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the log-probability of every token but the first of each text, in nats, flat, in float32 on the CPU."""
    was_training, found = model.training, []
    model.eval()
    device = next(model.parameters()).device
    for tokens in batch:
        ids = torch.tensor([list(tokens)], device=device)
        logits = model(input_ids=ids).logits[0, :-1].float()
        found.append(logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0].cpu())
    model.train(was_training)
    return torch.cat(found)


def reloaded(folder: Path, source: str, dtype: torch.dtype) -> PreTrainedModel | PeftModel:
    """Load what was saved in `folder` as somebody else would: all weights, or an adapter on those of `source`."""
    options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": False, "use_safetensors": True}
    if not (folder / "adapter_config.json").exists():
        whole: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, **options)
        return whole
    base = AutoModelForCausalLM.from_pretrained(source, **options)
    return PeftModel.from_pretrained(base, str(folder))


def difference(
    folder: Path,
    source: str,
    dtype: torch.dtype,
    batch: list[list[int]],
    trained: torch.Tensor,
    began: torch.Tensor | None = None,
) -> str:
    """Return in a sentence how the policy saved in `folder` differs from the trained one; nothing where it does not.

    Args:
        folder: what was saved; `source` the model that training began with.
        trained: the trained policy's log-probabilities of the batch, and `began` those it began with, where they are
            known. What was saved is compared with the source loaded like it: two ways to compute (a GPU in mixed
            precision, a CPU) differ by more than a small learning rate moves a policy, one way with itself does not.
    """
    try:
        again = log_probabilities(reloaded(folder, source, dtype), batch)
        moved = 0.0 if began is None else float((trained - began).abs().mean())
        kept = _moved_from(source, dtype, batch, again) if moved > VISIBLE else moved
    except Exception as error:  # noqa: BLE001 - whatever keeps it from loading is what the sentence has to say
        return f"what was saved in {folder} cannot be loaded again: {type(error).__name__}: {str(error)[:300]}"
    apart = float((again - trained).abs().mean())
    if apart <= TOLERANCE[dtype]:  # false for NaN too
        return "" if kept >= LEAST_KEPT * moved else _unmoved(folder, moved, kept)
    return (
        f"what was saved in {folder} is not the policy that was trained: its log-probabilities of a fixed batch differ "
        f"by {apart:.3g} nats on average, where {TOLERANCE[dtype]:g} would be rounding. Go on from the checkpoint."
    )


def _moved_from(source: str, dtype: torch.dtype, batch: list[list[int]], saved: torch.Tensor) -> float:
    model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, trust_remote_code=False, use_safetensors=True)
    return float((saved - log_probabilities(model, batch)).abs().mean())


def _unmoved(folder: Path, moved: float, kept: float) -> str:
    return (
        f"what was saved in {folder} is not the policy that was trained: training moved the log-probabilities of a "
        f"fixed batch by {moved:.3g} nats on average, and what was saved lies only {kept:.3g} from where it began. Go "
        "on from the checkpoint."
    )
