"""What the policy itself knows of a completion: its last hidden state, averaged over the completion's tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


@torch.no_grad()
def pooled(
    model: Any, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], batch: int, device: torch.device
) -> torch.Tensor:
    """Return (n, d) float32, one row per completion, `batch` of them in one forward pass.

    The whole model is called, not its body alone, so that a model sharded by FSDP or DeepSpeed gathers its weights;
    `logits_to_keep` spares it the vocabulary.
    """
    found = []
    for start in range(0, len(prompts), batch):
        rows = list(zip(prompts[start : start + batch], completions[start : start + batch], strict=True))
        longest = max(len(prompt) + len(completion) for prompt, completion in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        read, answered = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, (prompt, completion) in enumerate(rows):
            end = len(prompt) + len(completion)
            ids[row, :end] = torch.tensor([*prompt, *completion])
            read[row, :end] = 1
            answered[row, len(prompt) : end] = 1
        with _at_rest(model):
            states = model(
                input_ids=ids.to(device),
                attention_mask=read.to(device),
                output_hidden_states=True,
                logits_to_keep=1,
                use_cache=False,
            ).hidden_states[-1]
        weights = answered.to(device, torch.float32).unsqueeze(2)
        # the sum in float32: bfloat16 would lose the later tokens of a long completion
        found.append((states.float() * weights).sum(1) / weights.sum(1).clamp(min=1))
    return torch.cat(found)


@contextmanager
def _at_rest(model: Any) -> Iterator[None]:
    """Leave out dropout, which would say something else of the same completion every time."""
    trained = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in trained:
            module.training = True
