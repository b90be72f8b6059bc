"""What a pipeline has done in its folder, stage by stage: pipeline.json."""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from long_work import json_file
from long_work.command_error import CommandError
from research_pipelines import superseded
from research_pipelines.failure import PipelineError
from research_pipelines.plan import Plan
from research_pipelines.stage import Stage

NAME = "pipeline.json"


class Record:
    """The stages that were begun in a folder and those that are done. It belongs to one pipeline and size.

    Seeds can be added behind those that are there; what compares the seeds is done anew then.

    Args:
        pipeline: its name.
        plan: what it is asked for.
        served: says the versions of the rewards at --reward-url, which are noted in the place of a stage's own rewards:
            a server that serves others on a repetition is another one. None where the stages' servers are started here.

    Raises:
        PipelineError: the folder holds another pipeline's results, the same one's of another size or other seeds, or
            something that is no such record.
    """

    def __init__(self, pipeline: str, plan: Plan, served: Callable[[], Mapping[str, str]] | None = None) -> None:
        self._out, self._file, self._served = plan.out, plan.out / NAME, served
        self._versions: Mapping[str, str] | None = None
        asked = {"pipeline": pipeline, "size": plan.size, "seeds": list(plan.seeds), "policy": plan.policy}
        self._content: dict[str, Any] = asked | {"stages": {}}
        if self._file.exists():
            self._content = _read(self._file)
            self._refuse_another(asked)
            self._content |= asked

    def done(self, stages: Sequence[Stage]) -> int:
        """Return how many of the stages are done, counted up to the first that is not: what follows builds on it.

        A stage is done when it has come to its end with the same command and the same rewards as now, and what it made
        is still there.
        """
        states = (self.seconds(one) is not None and not self._another(one) and not missing(one) for one in stages)
        return next((place for place, done in enumerate(states) if not done), len(stages))

    def seconds(self, stage: Stage) -> float | None:
        """Return how long the stage took; None where it has not come to its end."""
        seconds = self._noted(stage).get("seconds")
        return None if seconds is None else float(seconds)

    def supersede(self, stages: Sequence[Stage]) -> str:
        """Put aside what stages have left that have to be done anew; return that as a line, or nothing.

        The first of them goes on with what it has left where it was begun with the same command and rewards.
        """
        first, noted = self.done(stages), self._content["stages"]
        if first == len(stages):
            return ""
        kept = {stage.name: stage for stage in stages[: first + 1] if not self._another(stage)}
        stale = [self._out / made for name in noted if name not in kept for made in noted[name].get("makes", [])]
        stale += [path for stage in stages if stage.name in noted and stage.name not in kept for path in stage.makes]
        folder = superseded.put_aside(self._out, stale, [path for stage in kept.values() for path in stage.makes])
        if folder is None:
            return ""
        why = self._another(stages[first]) or "what it made is gone"
        self._content["stages"] = {name: noted[name] for name in noted if name in kept}
        self._write()
        return f"done anew from {stages[first].name!r} on ({why}): what was there lies in {folder}"

    def begin(self, stage: Stage) -> None:
        """Note what the stage is begun with, so that nobody goes on with it in another way."""
        self._versions = None  # the server that runs already may be another since the stage before
        self._content["stages"][stage.name] = self._asked(stage) | {"seconds": None}
        self._write()

    def end(self, stage: Stage, seconds: float) -> None:
        self._content["stages"][stage.name] = self._asked(stage) | {"seconds": round(seconds, 1)}
        self._write()

    def _asked(self, stage: Stage) -> dict[str, Any]:
        makes = [os.path.relpath(path, self._out) for path in stage.makes]
        return {"command": list(stage.command), "rewards": self._rewards(stage), "makes": makes}

    def _rewards(self, stage: Stage) -> str | dict[str, str | None] | None:
        """Return the rewards' text as a hash; the versions of those that it names where they are served already."""
        if not stage.rewards:
            return None
        if self._served is None:
            return sha256(stage.rewards.encode()).hexdigest()[:16]
        if self._versions is None:
            self._versions = self._served()
        return {name: self._versions.get(name) for name in sorted(tomllib.loads(stage.rewards))}

    def _noted(self, stage: Stage) -> dict[str, Any]:
        return self._content["stages"].get(stage.name) or {}

    def _another(self, stage: Stage) -> str:
        """Return in what the stage is another than the one that was begun; nothing where it is the same."""
        noted, asked = self._noted(stage), self._asked(stage)
        if not noted:
            return "it was not begun yet"
        return next((f"its {name} changed" for name in asked if noted.get(name) != asked[name]), "")

    def _write(self) -> None:
        json_file.write(self._file, self._content)

    def _refuse_another(self, asked: dict[str, Any]) -> None:
        noted = self._content | {"seeds": self._seeds_to_go_on_with(asked["seeds"])}
        for key, value in asked.items():
            if noted.get(key) != value:
                raise PipelineError(
                    f"{self._out} holds {key} {self._content.get(key)!r}, not {value!r}: choose another --out, or "
                    "repeat the command that made it"
                )

    def _seeds_to_go_on_with(self, asked: list[int]) -> Any:
        """Return the seeds asked for where they begin with those of the record, else the record's."""
        noted = self._content.get("seeds")
        return asked if isinstance(noted, list) and asked[: len(noted)] == noted else noted


def missing(stage: Stage) -> Sequence[Path]:
    """Return what the stage should have made and what is not there."""
    return [path for path in stage.makes if not path.exists()]


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json_file.read(file)
    except CommandError as error:
        raise PipelineError(f"{error}; nobody knows what is done beside it: choose another --out") from None
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise PipelineError(f"{file} is no record of a pipeline: choose another --out")
    if wrong := [name for name, noted in content["stages"].items() if not _is_noted(noted)]:
        raise PipelineError(f"{file} does not say what is done of its stage {wrong[0]!r}: choose another --out")
    return content


def _is_noted(stage: Any) -> bool:
    if not isinstance(stage, dict) or not isinstance(stage.get("seconds"), int | float | None):
        return False
    makes = stage.get("makes", [])
    return isinstance(makes, list) and all(isinstance(path, str) for path in makes)
