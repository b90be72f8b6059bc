import inspect
from typing import Any

import pytest
import torch
import trl.trainer.utils as trl_utils
from transformers import LlamaConfig, LlamaForCausalLM

from grpo_trainer.model import completion_positions


def scored(compact: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Log-probabilities, a gradient, and the number of positions that each projection was given."""
    monkeypatch.setattr(trl_utils, "_use_triton", completion_positions.compacts if compact else lambda device: False)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlamaForCausalLM(config)
    trl_utils.add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    projected: list[int] = []
    original = trl_utils._ChunkedLogProbFunction.apply

    def counting(hidden: torch.Tensor, *rest: Any) -> Any:
        projected.append(len(hidden))
        return original(hidden, *rest)

    monkeypatch.setattr(trl_utils._ChunkedLogProbFunction, "apply", counting)
    ids = torch.randint(0, 50, (3, 12))
    labels = ids.masked_fill(torch.arange(12) < 8, -100)
    output = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, fused_lm_head=True)
    output.log_probs.sum().backward()
    gradient = model.model.layers[0].mlp.up_proj.weight.grad
    assert gradient is not None
    return output.log_probs.detach(), gradient, projected


def test_leaving_prompts_out_changes_neither_log_probabilities_nor_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    every, only = scored(False, monkeypatch), scored(True, monkeypatch)
    torch.testing.assert_close(every[0], only[0])
    torch.testing.assert_close(every[1], only[1])


def test_prompts_are_left_out_of_the_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scored(False, monkeypatch)[2] == [3 * 11]
    assert scored(True, monkeypatch)[2] == [3 * 4]


def test_trl_still_decides_by_the_name_that_is_replaced() -> None:
    assert "compact = _use_triton(hidden_states.device)" in inspect.getsource(trl_utils.add_fused_lm_head)
