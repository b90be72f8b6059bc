"""A critic's directory: which heads it has, their weights, and the encoder they sit on."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from guerdon.messages import Range
from reward_server.rewards.models.backbone import Pooling

if TYPE_CHECKING:
    import torch

DESCRIPTION = "heads.json"
WEIGHTS = "heads.safetensors"


class Head(BaseModel):
    """One attribute of a reply: its name, the range of its score, and its weight in the critic's value."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    name: str = Field(pattern="^[a-z][a-z0-9_]*$")
    low: float = 0.0
    high: float = 1.0
    weight: float = 1.0

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"the range of {self.name!r} is empty: {self.low} to {self.high}")
        return self

    @property
    def range(self) -> Range:
        """The range of its score; a weight below 0 says that lower is better, no weight that neither is."""
        if not self.weight:
            return Range(low=self.low, high=self.high)
        return Range(low=self.low, high=self.high, better="higher" if self.weight > 0 else "lower")


ATTRIBUTES = ("empathy", "informativeness", "recommendation", "engagement", "overall", "bleu")
DEFAULT_HEADS = tuple(Head(name=name, weight=1 / len(ATTRIBUTES)) for name in ATTRIBUTES)
"""What an empathetic recommender is judged by. `bleu` predicts the BLEU against a reference the critic never sees."""


class Heads(BaseModel):
    """What heads.json says: everything about a critic but the numbers.

    The score of a head is low + (high - low)·sigmoid(z), z an affine function of the pooled hidden states, or a small
    network on them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    heads: tuple[Head, ...] = Field(default=DEFAULT_HEADS, min_length=1)
    """The heads, in the order of their scores."""
    width: int = Field(ge=1)
    """Size of the pooled hidden states."""
    hidden: int | None = Field(default=None, ge=1)
    """Units of each head's own hidden layer; None: a head is one linear layer."""
    encoder: str = "encoder"
    """The encoder: a folder beside heads.json, or what `source` takes: a directory, a hub id, package:NAME."""
    hub_revision: str | None = None
    """Commit of a hub id."""
    pooling: Pooling = "mean"
    """Which hidden states become the vector that the heads see."""
    max_tokens: int = Field(default=512, ge=8)
    """Longest text pair, special tokens included."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len(set(self.names)) != len(self.heads):
            raise ValueError(f"two heads have the same name: {sorted(self.names)}")
        return self

    @property
    def names(self) -> list[str]:
        return [head.name for head in self.heads]

    @property
    def range(self) -> Range:
        """The range of the value, Σ weight·score."""
        ends = [(head.weight * head.low, head.weight * head.high) for head in self.heads]
        return Range(low=math.fsum(map(min, ends)), high=math.fsum(map(max, ends)), better="higher")

    @property
    def ranges(self) -> dict[str, Range]:
        """The range of each head's score."""
        return {head.name: head.range for head in self.heads}

    def value(self, scores: Sequence[float]) -> float:
        return math.fsum(head.weight * score for head, score in zip(self.heads, scores, strict=True))

    def encoder_source(self, directory: Path) -> str:
        """Return what `source` gets for the encoder of a critic in `directory`."""
        return str(directory / self.encoder) if (directory / self.encoder).is_dir() else self.encoder

    @classmethod
    def read(cls, directory: Path) -> "Heads":
        """Read heads.json; needs no torch.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: it is not what it should be.
        """
        return cls.model_validate_json((directory / DESCRIPTION).read_text(encoding="utf-8"))

    def network(self) -> "torch.nn.Module":
        """Return the heads' untrained module: pooled float32 (n, width) → scores (n, heads), each within its range."""
        return _network(self)

    def load(self, directory: Path) -> "torch.nn.Module":
        """Return the heads' module with the directory's weights, in eval mode.

        Raises:
            FileNotFoundError: there is no heads.safetensors.
            RuntimeError: its tensors are not those of these heads.
        """
        from safetensors.torch import load_file

        network = self.network()
        network.load_state_dict(load_file(directory / WEIGHTS))
        return network.eval()

    def save(self, network: "torch.nn.Module", directory: Path) -> None:
        """Write heads.json and heads.safetensors; the encoder, where it is the critic's own, is its caller's."""
        from safetensors.torch import save_file

        directory.mkdir(parents=True, exist_ok=True)
        (directory / DESCRIPTION).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(tensors, directory / WEIGHTS)


def _network(heads: Heads) -> "torch.nn.Module":
    import torch
    from torch import nn

    count, hidden = len(heads.heads), heads.hidden

    class Network(nn.Module):
        """All heads at once: row i of every tensor, or its i-th block of `hidden` rows, belongs to head i."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(heads.width, count * hidden) if hidden else None
            self.outer = nn.Linear(hidden or heads.width, count)
            self.register_buffer("low", torch.tensor([head.low for head in heads.heads]), persistent=False)
            self.register_buffer("high", torch.tensor([head.high for head in heads.heads]), persistent=False)
            self.low: torch.Tensor
            self.high: torch.Tensor

        def forward(self, pooled: torch.Tensor) -> torch.Tensor:
            if self.inner is None:
                logits = self.outer(pooled)
            else:
                units = torch.unflatten(nn.functional.gelu(self.inner(pooled)), -1, (count, -1))  # (n, heads, hidden)
                logits = (units * self.outer.weight).sum(-1) + self.outer.bias
            return self.low + (self.high - self.low) * torch.sigmoid(logits)

    return Network()
