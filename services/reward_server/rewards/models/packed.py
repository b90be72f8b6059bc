"""Sequences end to end in one row, without padding: the linear layers see tokens, attention each sequence by itself."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reward_server.rewards.models.padded import padded_states
from reward_server.rewards.models.tokenizer import Encoded

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

IMPLEMENTATION = "guerdon_packed"
"""The name under which transformers knows this attention."""
PROBES = [3, 11, 6]
"""Lengths of the sequences on which a model is tried."""
UNDERSTOOD = {"scaling", "dropout", "is_causal", "position_ids", "use_cache", "cache_position", "output_attentions"}
"""What a model may tell its attention that packing keeps true; all else (a window, a bias, a cap) must be absent."""


def packs(model: Any) -> bool:
    """Switch a model to packed attention and return True, or return False and leave it as it was.

    A model is packed when the hidden states of a packed row are those of each sequence alone, which is tried here.
    One whose attention has a bias, a window or a cap, or cannot be replaced, is not.
    """
    import torch

    if not model._can_set_attn_implementation():  # setting it would do nothing but warn
        return False
    before, sequences = model.config._attn_implementation, probes(model)
    try:
        alone = [padded_states(model, [one]) for one in sequences]
        _switch(model, IMPLEMENTATION)
        together = torch.split(packed_states(model, sequences), PROBES)
        different = max(float((a - b).abs().max()) for a, b in zip(alone, together, strict=True))
    except Exception as error:  # noqa: BLE001 - a model that is not known here refuses in its own way
        log.info("%s is run padded: %s", type(model).__name__, error)
    else:
        if different <= _tolerance(alone):
            return True
        log.info("%s is run padded: its packed states differ by %.2g", type(model).__name__, different)
    _switch(model, before)
    return False


def packed_states(model: Any, sequences: Sequence[Encoded]) -> "torch.Tensor":
    """Return a switched model's last hidden states, one sequence behind the other: (tokens, d)."""
    import torch

    lengths = [len(one.ids) for one in sequences]
    inputs = {"input_ids": torch.tensor([token for one in sequences for token in one.ids])}
    if sequences[0].types is not None:
        inputs["token_type_ids"] = torch.tensor([kind for one in sequences for kind in one.types or ()])
    first = _first_position(model)
    inputs["position_ids"] = torch.cat([torch.arange(first, first + length) for length in lengths])
    row = {name: tensor.unsqueeze(0) for name, tensor in inputs.items()}
    states: torch.Tensor = model(**row, packed_lengths=lengths).last_hidden_state
    return states.squeeze(0)


def probes(model: Any) -> list[Encoded]:
    """Return sequences on which a model can be tried: ids from the upper half of its vocabulary."""
    half = model.config.get_text_config().vocab_size // 2
    return [Encoded([half + (place * 7 + length) % half for place in range(length)]) for length in PROBES]


def _first_position(model: Any) -> int:
    """Return the position of a sequence's first token: models of RoBERTa's family count from behind their padding's."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(positions, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _tolerance(alone: "Sequence[torch.Tensor]") -> float:
    """Return the difference that rounding explains: states pass through many layers, of which each rounds."""
    import torch

    largest = max(float(states.abs().max()) for states in alone)
    return largest * (1e-4 if alone[0].dtype == torch.float32 else 0.05)


def _switch(model: Any, implementation: str) -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(IMPLEMENTATION, _attend)
    AttentionMaskInterface.register(IMPLEMENTATION, _no_mask)
    model.set_attn_implementation(implementation)


def _no_mask(*_: object, **__: object) -> None:
    """Return no mask: nothing is padded."""


def _attend(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    packed_lengths: list[int],
    **options: Any,
) -> "tuple[torch.Tensor, None]":
    """Attend within each sequence: query (1, heads, tokens, d), result (1, tokens, heads, d).

    Raises:
        ValueError: the model asks for what would not be the same here.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    odd = [name for name, option in options.items() if option is not None and name not in UNDERSTOOD]
    if odd or attention_mask is not None:
        raise ValueError(f"its attention takes {odd or 'a mask'}")
    split = (torch.split(tensor, packed_lengths, dim=2) for tensor in (query, key, value))
    attended = [sdpa_attention_forward(module, q, k, v, None, **options)[0] for q, k, v in zip(*split, strict=True)]
    return torch.cat(attended, dim=1), None
