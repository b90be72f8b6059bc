"""Sequences as the rows of one rectangle, the shorter ones filled up: what every model can read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reward_server.rewards.models.tokenizer import Encoded

if TYPE_CHECKING:
    import torch


def padded(sequences: Sequence[Encoded], pad_id: int | None, device: Any) -> "dict[str, torch.Tensor]":
    """Return a model's inputs, (B, T) each: filled up on the right, without a mask where nothing was."""
    import torch

    longest = max(len(one.ids) for one in sequences)
    fill = pad_id or 0
    rows = {"input_ids": [one.ids + [fill] * (longest - len(one.ids)) for one in sequences]}
    if sequences[0].types is not None:
        rows["token_type_ids"] = [(one.types or []) + [0] * (longest - len(one.ids)) for one in sequences]
    if any(len(one.ids) < longest for one in sequences):
        rows["attention_mask"] = [[1] * len(one.ids) + [0] * (longest - len(one.ids)) for one in sequences]
    return {name: torch.tensor(row, device=device) for name, row in rows.items()}


def padded_states(model: Any, sequences: Sequence[Encoded]) -> "torch.Tensor":
    """Return a model's last hidden states, one sequence behind the other: (tokens, d), none of the filling."""
    inputs = padded(sequences, model.config.pad_token_id, model.device)
    states: torch.Tensor = model(**inputs).last_hidden_state
    if "attention_mask" not in inputs:
        return states.flatten(0, 1)
    return states[inputs["attention_mask"].bool()]
