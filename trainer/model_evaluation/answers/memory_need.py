"""Whether a model fits into memory, known from its files before any of it is loaded."""

import json
import math
from pathlib import Path

import torch

from model_evaluation.evaluation_error import EvaluationError

BEYOND_WEIGHTS = 1.2
"""For activations and the cache of keys and values, which batches keep small beside the weights."""


def require(name: str, values: int, dtype: torch.dtype, device: str) -> None:
    """Refuse a model that cannot be loaded.

    Args:
        values: how many numbers its weights are.

    Raises:
        EvaluationError: it does not fit; the message says how much it needs and how much there is.
    """
    need = int(values * dtype.itemsize * BEYOND_WEIGHTS)
    there = available(device)
    if need > there:
        where = "on the GPU" if device == "cuda" else "of memory"
        kind = str(dtype).removeprefix("torch.")
        raise EvaluationError(
            f"{name} does not fit: {values / 1e9:.2f} billion weights in {kind} need {need / 1e9:.1f} GB, and "
            f"{there / 1e9:.1f} GB {where} are free. Serve it elsewhere and name it as endpoint:URL#MODEL, or compare "
            "a smaller one."
        )


def available(device: str) -> int:
    """Return the bytes that this process may still take."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    import psutil  # type: ignore[import-untyped]

    return min(int(psutil.virtual_memory().available), _left_of_container())


def weights(folder: Path) -> int:
    """Return how many numbers a directory's safetensors hold, from their headers.

    Raises:
        EvaluationError: there are none; other formats can run code when they are opened.
    """
    files = _weight_files(folder)
    if not files:
        raise EvaluationError(f"{folder} has no .safetensors; other formats of weights can run code and are not opened")
    return sum(math.prod(shape) for file in files for shape in _shapes(file))


def gguf_weights(file: Path) -> int:
    from gguf import GGUFReader

    return sum(int(tensor.n_elements) for tensor in GGUFReader(file).tensors)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    whole = folder / "model.safetensors"
    return [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))


def _shapes(file: Path) -> list[list[int]]:
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return [entry["shape"] for name, entry in header.items() if name != "__metadata__"]


def _left_of_container() -> int:
    """Return what a control group leaves; a very large number without one."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        cached = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return 1 << 62
    return 1 << 62 if limit == "max" else int(limit) - used + int(cached.get("inactive_file", 0))
