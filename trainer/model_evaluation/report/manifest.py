"""What an evaluation was: everything that its numbers depend on, and nothing that changes from run to run."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from guerdon import __version__
from guerdon.judge_messages import JudgeInfo

PACKAGES = ("torch", "transformers", "peft", "numpy", "scipy", "statsmodels", "evalica", "krippendorff")


def of_judge(info: JudgeInfo) -> dict[str, Any]:
    """Return what verdicts depend on, and what they cost: not whether the judge can be asked just now."""
    kept = {"name", "kind", "model", "version", "prompt_version", "structured", "logprobs", "warning"}
    return info.model_dump(include=kept | {"currency", "prompt_price", "completion_price"})


def packages() -> dict[str, str | None]:
    return {"guerdon": __version__} | {name: _installed(name) for name in PACKAGES}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
