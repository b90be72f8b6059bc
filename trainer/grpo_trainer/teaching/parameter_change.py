"""How far an update moved the policy, measured on whatever part of its weights each rank holds."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch


def held(weights: Iterable[torch.nn.Parameter]) -> list[torch.Tensor]:
    """Return this rank's part of the trained weights: all of them, or its shards under FSDP and ZeRO-3."""
    return [_shard(weight).detach() for weight in weights if weight.requires_grad]


def copied(weights: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return [weight.clone() for weight in weights]


@torch.no_grad()
def squares(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> tuple[float, float]:
    """Return (‖after - before‖², ‖before‖²) over this rank's tensors; those of the ranks may be added up."""
    moved = sum(float((new - old).double().pow(2).sum()) for old, new in zip(before, after, strict=True))
    return moved, sum(float(old.double().pow(2).sum()) for old in before)


def relative(parts: Iterable[tuple[float, float]]) -> float | None:
    """Return ‖after - before‖ / ‖before‖ of all ranks together; None where there is nothing to compare with.

    Ranks that hold the same weights count alike above and below, so the ratio is the same with one or all of them.
    """
    moved, size = (sum(column) for column in zip(*parts, strict=True))
    return float((moved / size) ** 0.5) if size > 0 else None


def _shard(weight: Any) -> torch.Tensor:
    local: torch.Tensor = weight.to_local() if hasattr(weight, "to_local") else getattr(weight, "ds_tensor", weight)
    return local
