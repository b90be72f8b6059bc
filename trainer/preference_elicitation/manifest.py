"""What a probe's numbers depend on: who asked, with which weights; which reward, with which settings; which prompts."""

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from guerdon import __version__
from guerdon.messages import RewardInfo
from preference_elicitation.arm import Arm
from reward_server.rewards.models.source import revision

PACKAGES = ("numpy", "torch", "transformers")


def of_probe(settings: dict[str, Any], arms: Sequence[Arm], reward: RewardInfo, scenarios: Path) -> dict[str, Any]:
    """Return the manifest as JSON; `settings` are those of the command that change its numbers."""
    prompts = hashlib.sha256(scenarios.read_bytes()).hexdigest()
    return {
        "arms": {one.key: of_arm(one, settings["hub_revision"]) for one in arms},
        "reward": {"name": reward.name, "version": reward.version, "settings": reward.settings},
        "prompts": {"file": str(scenarios), "sha256": prompts},
        "settings": settings,
        "packages": packages(),
    }


def of_arm(arm: Arm, hub_revision: str | None) -> dict[str, Any]:
    """Return who asks; `weights` is a digest of a directory's files, a package's version or a hub commit."""
    if arm.kind == "random":
        return {"source": "the bank of questions", "weights": None, "reason": "no model asks"}
    if arm.source.startswith("endpoint:"):
        return {"source": arm.source, "weights": None, "reason": "an endpoint does not say which weights it serves"}
    return {"source": arm.source, "weights": revision(arm.source, hub_revision), "reason": None}


def packages() -> dict[str, str | None]:
    return {"python": platform.python_version(), "guerdon": __version__} | {name: _installed(name) for name in PACKAGES}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
