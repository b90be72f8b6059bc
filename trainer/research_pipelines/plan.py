"""What a pipeline is asked for: where it writes, how large it is, which seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Size = Literal["real", "proof", "smoke"]


@dataclass(frozen=True)
class Plan:
    """One call of `guerdon pipeline`.

    Attributes:
        out: the folder of all results.
        size: real: hub models and the original system's numbers, for GPUs. proof: small models, minutes on two CPU
            cores, enough to show learning. smoke: every stage, once, as small as it can be.
        seeds: of the training runs; one run each.
        policy: another model to train than the size's own.
    """

    out: Path
    size: Size = "real"
    seeds: tuple[int, ...] = (0,)
    policy: str | None = None
