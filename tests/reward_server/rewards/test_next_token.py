import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
)

from reward_server.rewards.models.next_token import batches, computed, read_next

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
WINDOW = {"sliding_window": 8, "head_dim": 8}


def llama() -> Any:
    return LlamaForCausalLM(LlamaConfig(num_hidden_layers=2, **SIZES))


def sliding() -> Any:
    return Gemma3ForCausalLM(Gemma3TextConfig(num_hidden_layers=6, **WINDOW, **SIZES))


def capped() -> Any:
    return Gemma2ForCausalLM(Gemma2Config(num_hidden_layers=2, final_logit_softcapping=5.0, **WINDOW, **SIZES))


def recurrent() -> Any:
    return MambaForCausalLM(MambaConfig(num_hidden_layers=2, vocab_size=50, hidden_size=16))


def made(build: Callable[[], Any]) -> Any:
    """Return a model whose weights are so large that what was said long before its last token matters."""
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(6 if weights.dim() == 2 else 1)
    return model


def tree_of_sequences() -> list[tuple[int, ...]]:
    """Return sequences that share nothing, a base, or an extension of it, that repeat, and that begin one another."""
    draw = random.Random(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(50) for _ in range(count))

    base = tokens(40)
    found = [start + tokens(draw.randint(1, 30)) for start in ((), base, base + tokens(30)) for _ in range(6)]
    return [*found, base, base[:10], found[-1] + (3,), found[0]]


@pytest.mark.parametrize("build", [llama, sliding, capped, recurrent])
@pytest.mark.parametrize("batch_tokens", [60, 100_000])
def test_shared_prefixes_change_no_logit(build: Callable[[], Any], batch_tokens: int) -> None:
    model, sequences = made(build), tree_of_sequences()
    shared = read_next(model, sequences, lambda logits: logits, batch_tokens)
    with torch.inference_mode():
        alone = torch.stack([model(input_ids=torch.tensor([one]), use_cache=False).logits[0, -1] for one in sequences])
    torch.testing.assert_close(shared, alone, atol=2e-5 * float(alone.abs().max()), rtol=0)


@pytest.mark.parametrize("build", [llama, sliding, capped, recurrent])
def test_the_models_compared_look_back_further_than_their_own_leaves(build: Callable[[], Any]) -> None:
    whole, [one, other] = (
        tree_of_sequences()[6],
        read_next(made(build), [tree_of_sequences()[6], tree_of_sequences()[6][40:]], lambda logits: logits, 100),
    )
    assert len(whole) > 41
    assert float((one - other).abs().max()) > 1e-3 * float(one.abs().max())


def test_prefixes_are_computed_once_where_the_state_can_be_continued_twice() -> None:
    sequences = tree_of_sequences()
    total = sum(map(len, set(sequences)))
    assert computed(llama(), sequences) < total / 2
    assert computed(recurrent(), sequences) == total


def test_equal_sequences_are_equal_to_the_last_bit() -> None:
    one, _, other = read_next(made(llama), [(1, 2, 3), (1, 2, 4, 5), (1, 2, 3)], lambda logits: logits, 3)
    assert torch.equal(one, other)


def test_only_one_position_of_each_row_goes_through_the_head() -> None:
    model = llama().eval()
    seen: list[tuple[int, ...]] = []
    model.lm_head.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape)))
    read_next(model, [(1, 2, 3), (4, 5)], lambda logits: logits, 100)
    assert seen == [(2, 1, 50)]


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(0, 20), st.integers(1, 300), st.integers(0, 40))
def test_batches_hold_every_row_once_and_stay_within_their_bounds(
    lengths: list[int], extra: int, batch_tokens: int, call_tokens: int
) -> None:
    found = batches(lengths, extra, batch_tokens, call_tokens)
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    for batch in found:
        rows = [lengths[index] for index in batch]
        assert len(rows) == 1 or len(rows) * (max(rows) + extra) <= batch_tokens
        assert len(rows) * max(rows) - sum(rows) <= call_tokens
