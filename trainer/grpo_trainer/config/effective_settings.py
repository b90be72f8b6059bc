"""The settings that a run starts with, whoever said them: its file, its size, the command line, a default."""

import json
from typing import Any

from grpo_trainer.config.run_config import RunConfig


def effective(config: RunConfig, *, defaults: bool = True) -> list[str]:
    """Return every setting as `section.key = value`, or those alone that are not their defaults.

    The token itself is in none of them.
    """
    found = leaves("", config.model_dump(exclude_defaults=not defaults))
    return [f"{place} = {json.dumps(value, ensure_ascii=False)}" for place, value in found]


def leaves(place: str, value: Any) -> list[tuple[str, Any]]:
    """Return the single settings inside `value`, which is said at `place`, as (`section.key`, value)."""
    if isinstance(value, dict) and value:
        return [leaf for key, inner in value.items() for leaf in leaves(f"{place}.{key}" if place else key, inner)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for number, inner in enumerate(value, 1) for leaf in leaves(f"{place}.{number}", inner)]
    return [(place, value)]
