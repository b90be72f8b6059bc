"""What a run was: its effective settings, its policy, its rewards, and the versions of everything that computed it."""

import hashlib
import json
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from grpo_trainer.examination.preflight import Ready
from guerdon import __version__

if TYPE_CHECKING:  # its import takes seconds, which nobody should wait who is refused before
    from grpo_trainer.trainer import PolicyTrainer

PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "numpy",
    "pyarrow",
)


def of(ready: Ready, trainer: "PolicyTrainer", attempt: str, fingerprint: str) -> dict[str, Any]:
    return described(ready) | {
        "started": now(),
        "attempt": attempt,
        "seed": trainer.args.seed,
        "ranks": trainer.args.world_size,
        "policy": {
            "model": ready.config.policy.model,
            "fingerprint": fingerprint,
            "dtype": str(trainer.model.dtype).removeprefix("torch."),
            "device": str(trainer.accelerator.device),
            "parameters": sum(weight.numel() for weight in trainer.model.parameters()),
            "trained_parameters": sum(w.numel() for w in trainer.model.parameters() if w.requires_grad),
        },
        "packages": {"guerdon": __version__} | {name: installed(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def described(ready: Ready) -> dict[str, Any]:
    """Return the part that is known before the policy is loaded."""
    train_rows, validation_rows = ready.rows
    return {
        "name": ready.name,
        "size": ready.size,
        "config": ready.config.model_dump(),
        "ranks": int(os.environ.get("WORLD_SIZE", "1")),
        "dataset": {
            "train_rows": len(train_rows),
            "validation_rows": len(validation_rows),
            "fingerprint": rows_fingerprint(train_rows),
        },
        "rewards": {
            name: {"weight": weight, "kind": ready.served[name].kind, "version": ready.served[name].version}
            for name, weight in ready.config.weights.items()
        },
    }


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def rows_fingerprint(rows: list[dict[str, Any]]) -> str:
    text = json.dumps(rows, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
