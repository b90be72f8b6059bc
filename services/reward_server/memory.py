"""How much memory this process holds, in RAM and on accelerators."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

STATM = Path("/proc/self/statm")


class Accelerator(NamedTuple):
    """A device, and the bytes of this process' torch on it.

    Attributes:
        name: as torch calls it, e.g. cuda:0.
        allocated: held by tensors.
        reserved: taken from the device, to be given to tensors.
    """

    name: str
    allocated: int
    reserved: int


def resident() -> int | None:
    """Return the bytes of RAM this process holds; None where the system does not say (elsewhere than on Linux)."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def accelerators() -> list[Accelerator]:
    """Return the accelerators in use; none where torch is not loaded: asking must not load it."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_initialized():
        return []
    return [
        Accelerator(f"cuda:{index}", torch.cuda.memory_allocated(index), torch.cuda.memory_reserved(index))
        for index in range(torch.cuda.device_count())
    ]
