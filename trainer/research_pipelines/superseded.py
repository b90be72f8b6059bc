"""Results that do not follow any more from what comes before them: put aside, never deleted."""

from collections.abc import Collection, Iterable
from itertools import count
from pathlib import Path

from research_pipelines.failure import PipelineError

FOLDER = "superseded"


def put_aside(out: Path, stale: Iterable[Path], kept: Collection[Path]) -> Path | None:
    """Move what holds the stale files into a new folder out/superseded/N; return it, or None where nothing was there.

    With a file goes its folder, the topmost one below `out` that holds none of the files that are kept: so a training's
    checkpoints go with its report.

    Raises:
        PipelineError: it cannot be moved.
    """
    places = {place for path in stale if (place := _place(path, out, kept)) is not None and place.exists()}
    if not places:
        return None
    into = next(folder for number in count(1) if not (folder := out / FOLDER / str(number)).exists())
    try:
        for place in sorted(places):
            moved = into / place.relative_to(out)
            moved.parent.mkdir(parents=True, exist_ok=True)
            place.rename(moved)
    except OSError as error:
        raise PipelineError(f"{place} cannot be moved to {moved}: {error.strerror or error}") from None
    return into


def _place(path: Path, out: Path, kept: Collection[Path]) -> Path | None:
    above = [place for place in (path, *path.parents) if out in place.parents]
    free = [place for place in above if not any(place == file or place in file.parents for file in kept)]
    return free[-1] if free else None
