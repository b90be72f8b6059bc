"""Where one run of the stack keeps its logs and Redis its files: a private directory under the user's cache."""

import os
import shutil
import time
from pathlib import Path

KEPT = 10
"""Runs whose logs are kept."""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guerdon" / "runs"


def new_run_directory(parent: Path | None = None) -> Path:
    """Make the directory of this run, named by time and process id, and delete the oldest ones that nobody uses."""
    parent = parent or cache()
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    finished = sorted(path for path in parent.glob("*-*-*") if not alive(path))
    for old in finished[: max(0, len(finished) - KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        path = parent / f"{stamp}-{attempt:02}-{os.getpid()}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"a hundred stacks were started in one second in {parent}")


def alive(path: Path) -> bool:
    try:
        os.kill(int(path.name.rsplit("-", 1)[1]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # somebody else's process: not ours to judge
        pass
    return True
