from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel

from reward_server.rewards.models.backbone import Backbone
from reward_server.rewards.models.cores import Cores, parts
from reward_server.rewards.models.packed import IMPLEMENTATION
from reward_server.rewards.models.tokenizer import Encoded

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 300,
    "max_position_embeddings": 600,
}
DISTILBERT = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 300}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 300, "bos_token_id": 1, "eos_token_id": 2}
FEW_KEYS = SIZES | {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
PACKED: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": SIZES,
    "electra": SIZES | {"embedding_size": 32},
    "distilbert": DISTILBERT,
    "llama": FEW_KEYS,
    "qwen3": FEW_KEYS,
    "gpt2": GPT2,
}
PADDED: dict[str, dict[str, Any]] = {"mpnet": SIZES, "deberta-v2": SIZES, "mistral": FEW_KEYS, "gemma3_text": FEW_KEYS}


def model(kind: str, settings: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    found = AutoModel.from_config(AutoConfig.for_model(kind, **settings)).eval()
    for weight in found.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, 0, 0.2)
    return found


def sequences(typed: bool) -> list[Encoded]:
    return [
        Encoded(
            [20 + (place * 13 + length) % 250 for place in range(length)],
            [int(place > length // 2) for place in range(length)] if typed else None,
        )
        for length in (40, 1, 300, 17, 17, 512)
    ]


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("kind", [*PACKED, *PADDED])
def test_every_sequence_has_the_vector_it_has_alone(kind: str, pooling: Any) -> None:
    plain = model(kind, PACKED.get(kind) or PADDED[kind])
    some = sequences(typed=kind == "bert")
    expected = []
    with torch.inference_mode():
        for one in some:
            types = {} if one.types is None else {"token_type_ids": torch.tensor([one.types])}
            states = plain(input_ids=torch.tensor([one.ids]), **types).last_hidden_state[0]
            expected.append({"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling])
    backbone = Backbone(plain, pooling)
    assert backbone.packed == (kind in PACKED)
    assert (plain.config._attn_implementation == IMPLEMENTATION) == (kind in PACKED)
    assert (backbone.pooled(some) - torch.stack(expected)).abs().max() < 2e-5


def test_last_passes_over_what_it_is_told_to() -> None:
    backbone = Backbone(model("llama", FEW_KEYS), "last", skip=7)
    padded, bare = backbone.pooled([Encoded([30, 31, 7, 7]), Encoded([30, 31])])
    assert torch.allclose(padded, bare, atol=1e-6)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=200), st.integers(1, 16))
def test_sequences_are_shared_out_evenly_and_each_once(lengths: list[int], count: int) -> None:
    shares = parts(lengths, count)
    assert sorted(index for share in shares for index in share) == list(range(len(lengths)))
    loads = [sum(lengths[index] for index in share) for share in shares]
    assert min(loads) > 0
    assert max(loads) <= sum(lengths) / len(shares) + max(lengths)


def test_a_share_is_computed_on_one_core_and_leaves_the_others_theirs() -> None:
    before = torch.get_num_threads()
    cores = Cores(3)
    try:
        assert cores.map(lambda _: torch.get_num_threads(), range(9)) == [1] * 9
        assert torch.get_num_threads() == 3
        assert cores.map(lambda _: torch.get_num_threads(), [0]) == [3]
    finally:
        torch.set_num_threads(before)


def test_what_one_core_raises_is_raised() -> None:
    cores = Cores(1)
    with pytest.raises(ZeroDivisionError):
        cores.map(lambda number: 1 // number, [1, 0])
    assert cores.map(lambda number: 1 // number, [1, 1]) == [1, 1]
