"""Where a model's weights come from: a directory, a hub id with its commit, or a Python package."""

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

PACKAGE = "package:"
BLOCK = 1 << 16

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""`auto` is bfloat16 where the hardware computes in it, else float32."""


def source(model: str, hub_revision: str | None) -> Path | str:
    """Return the model's directory, or its hub id.

    Args:
        model: a directory, a hub id, or package:NAME for a Python package that carries a model in its folder `model`.
        hub_revision: the commit of a hub id.

    Raises:
        FileNotFoundError: it names a package or a path that is not there.
        ValueError: it is a hub id without a revision: two workers could serve different weights.
    """
    if model.startswith(PACKAGE):
        return _package_directory(model.removeprefix(PACKAGE))
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if model.startswith(("/", ".", "~")):
        raise FileNotFoundError(f"there is no model directory {path}")
    if hub_revision is None:
        raise ValueError(f"{model!r} is a hub id (there is no such directory); pin it with hub_revision")
    return model


def revision(model: str, hub_revision: str | None) -> str:
    """Return what pins the weights: a package's version, a hub commit, or a digest of a directory's files.

    Raises:
        FileNotFoundError, ValueError: as `source`.
    """
    found = source(model, hub_revision)
    if model.startswith(PACKAGE):
        return metadata.version(model.removeprefix(PACKAGE))
    return hub_revision or "" if isinstance(found, str) else fingerprint(found)


def loading(model: str, hub_revision: str | None) -> tuple[Path | str, dict[str, Any]]:
    """Return what transformers' `from_pretrained` gets: the source, and the options that pin and guard it."""
    found = source(model, hub_revision)
    return found, {"trust_remote_code": False} | ({"revision": hub_revision} if isinstance(found, str) else {})


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype(name: Dtype) -> "torch.dtype":
    """Return the type to compute in; `auto` is bfloat16 where the hardware has instructions for it."""
    import torch

    if name != "auto":
        chosen: torch.dtype = getattr(torch, name)
        return chosen
    return torch.bfloat16 if _computes_bfloat16() else torch.float32


def _computes_bfloat16() -> bool:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_capability()[0] >= 8
    # Without these instructions torch emulates bfloat16 on a CPU, slower than float32.
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _package_directory(name: str) -> Path:
    spec = importlib.util.find_spec(name)  # finds it without running it
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {name} is not installed; pip install {name.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0]) / "model"


def fingerprint(directory: Path) -> str:
    """Return a digest of a local model's files: names, sizes, and 64 blocks of 64 KiB spread over each."""
    from hashlib import blake2b

    digest = blake2b(digest_size=8)
    for path in sorted(directory.iterdir()):
        if path.suffix in {".json", ".safetensors", ".txt", ".model", ".jinja", ".gguf"}:
            size = path.stat().st_size
            digest.update(f"{path.name}:{size}:".encode())
            with path.open("rb") as file:
                for block in range(64):
                    file.seek(block * max(BLOCK, (size - BLOCK) // 63))
                    digest.update(file.read(BLOCK))
    return digest.hexdigest()
