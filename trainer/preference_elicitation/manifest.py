"""What a probe's numbers depend on: who asked, with which weights; which reward, with which settings; which prompts."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from guerdon import __version__
from guerdon.messages import RewardInfo
from long_work import content_digest, model_digest
from preference_elicitation.arm import Arm
from preference_elicitation.catalogue import QUESTIONS
from preference_elicitation.elicitation_error import ElicitationError
from reward_server.rewards.models.source import PACKAGE, revision

PACKAGES = ("numpy", "torch", "transformers")
BINDING = ("temperature", "max_tokens", "hub_revision", "seed", "split")
"""Settings on which each answer depends, beside the reward and the prompts; the others say how many there are."""
Manifest = dict[str, Any]


def of_probe(
    settings: Manifest, arms: Sequence[Arm], reward: RewardInfo, scenarios: Path, others: Sequence[str]
) -> Manifest:
    """Return the manifest as JSON.

    Args:
        settings: those of the command that change its numbers.
        others: personas that candidates of best-of-N are tried on, each but for whoever answers.
    """
    return {
        "arms": {one.key: of_arm(one, settings["hub_revision"], others) for one in arms},
        "reward": {"name": reward.name, "version": reward.version, "settings": reward.settings},
        "prompts": {"file": str(scenarios), "sha256": content_digest.of(scenarios)},
        "settings": settings,
        "packages": packages(),
    }


def of_arm(arm: Arm, hub_revision: str | None, others: Sequence[str] = ()) -> Manifest:
    """Return who asks, and what its questions depend on."""
    if arm.kind == "random":
        bank = content_digest.of(QUESTIONS)
        return {"source": "the bank of questions", "weights": None, "reason": "no model asks", "bank": bank}
    found = weights(arm.source, hub_revision)
    reason = None if found else "an endpoint does not say which weights it serves"
    tried = {"best_of": arm.best_of, "tried_on": list(others)} if arm.kind == "best" else {}
    return {"source": arm.source, "weights": found, "reason": reason} | tried


def weights(source: str, hub_revision: str | None) -> str | None:
    """Return a digest of a directory's files, a package with its version, or a hub id with its commit.

    None of an endpoint, which does not say what it serves.

    Raises:
        CommandError: the package is not installed, or the directory cannot be read.
    """
    if source.startswith("endpoint:"):
        return None
    if not source.startswith(PACKAGE):
        return model_digest.of(source, hub_revision)
    try:
        return f"{source}@{revision(source, hub_revision)}"
    except (OSError, ValueError) as error:
        raise ElicitationError(f"{source} cannot be loaded: {error}") from None


def binding(manifest: Mapping[str, Any], arms: Iterable[str]) -> Manifest:
    """Return the part of a manifest that answers of these arms depend on: none of it may change between two of them.

    Where a directory lies is no part of it: its weights are.
    """
    known = {key: manifest["arms"][key] for key in arms}
    return {
        "arms": {
            key: {name: value for name, value in one.items() if name != "source" or one["weights"] is None}
            for key, one in known.items()
        },
        "reward": {name: manifest["reward"][name] for name in ("name", "version")},
        "prompts": manifest["prompts"]["sha256"],
        **{name: manifest["settings"].get(name) for name in BINDING},
    }


def packages() -> dict[str, str | None]:
    return {"python": platform.python_version(), "guerdon": __version__} | {name: _installed(name) for name in PACKAGES}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
