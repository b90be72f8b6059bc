"""The checkpoints of a run's directory, of which only whole ones are worth going on from."""

import json
import re
import shutil
from pathlib import Path

LAST_WRITTEN = "trainer_state.json"
"""What transformers writes last; a checkpoint without it was cut off while it was saved."""


def last_whole(folder: Path) -> Path | None:
    """Return the newest whole checkpoint in the run's directory."""
    return max(filter(is_whole, _all(folder)), key=step, default=None)


def forget_broken(folder: Path) -> None:
    """Remove what a killed process left half saved, so that the step can be saved again."""
    for checkpoint in _all(folder):
        if not is_whole(checkpoint):
            shutil.rmtree(checkpoint)


def step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def is_whole(checkpoint: Path) -> bool:
    try:
        return isinstance(json.loads((checkpoint / LAST_WRITTEN).read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoints/checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
