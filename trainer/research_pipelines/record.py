"""Which stages of a pipeline are done: pipeline.json in its folder."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from research_pipelines.failure import PipelineError
from research_pipelines.plan import Plan
from research_pipelines.stage import Stage

NAME = "pipeline.json"


class Record:
    """What has been done in a folder. It belongs to one pipeline, size and set of seeds.

    Raises:
        PipelineError: the folder holds another pipeline's results, or the same one's of another size or seeds.
    """

    def __init__(self, pipeline: str, plan: Plan) -> None:
        self._file = plan.out / NAME
        asked = {"pipeline": pipeline, "size": plan.size, "seeds": list(plan.seeds), "policy": plan.policy}
        self._content: dict[str, Any] = asked | {"stages": {}}
        if self._file.exists():
            self._content = json.loads(self._file.read_text(encoding="utf-8"))
            self._refuse_another(asked)

    def done(self, stage: Stage) -> bool:
        """Whether the stage has been run with the same arguments, and what it made is still there."""
        noted = self._content["stages"].get(stage.name)
        return noted is not None and noted["command"] == list(stage.command) and not missing(stage)

    def seconds(self, stage: Stage) -> float | None:
        noted = self._content["stages"].get(stage.name)
        return None if noted is None else float(noted["seconds"])

    def note(self, stage: Stage, seconds: float) -> None:
        self._content["stages"][stage.name] = {"command": list(stage.command), "seconds": round(seconds, 1)}
        part = self._file.with_name(f"{NAME}.part")
        part.write_text(json.dumps(self._content, indent=2) + "\n", encoding="utf-8")
        os.replace(part, self._file)

    def _refuse_another(self, asked: dict[str, Any]) -> None:
        for key, value in asked.items():
            if self._content.get(key) != value:
                raise PipelineError(
                    f"{self._file.parent} holds {key} {self._content.get(key)!r}, not {value!r}: choose another --out, "
                    "or repeat the command that made it"
                )


def missing(stage: Stage) -> Sequence[Path]:
    """Return what the stage should have made and what is not there."""
    return [path for path in stage.makes if not path.exists()]
