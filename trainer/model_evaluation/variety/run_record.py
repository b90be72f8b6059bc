"""What a training run says of itself: the settings it ran with, and how much each reward carried of its advantage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from long_work import json_file
from long_work.json_file import Row
from model_evaluation.answers import training_run
from model_evaluation.statistics.known_mean import known_mean

PLACE = ("output", "services")
"""Sections that say where a run reads and writes, not what it does."""
SEED = "grpo.seed"
ABSENT = "(not set)"
Fields = dict[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """What the manifest and the ledger of a run say.

    Attributes:
        fields: every setting by its dotted name; rewards by theirs, e.g. rewards.novelty.weight.
        signal_share: by reward, the mean over the steps that have one of its share of the advantage's variance.
        steps: in the ledger.
    """

    folder: Path
    fields: Fields
    signal_share: dict[str, float | None]
    steps: int


def of(source: str) -> RunRecord | None:
    """Return the record of the run of `guerdon train` that a model directory is of; None where it is of none.

    Raises:
        CommandError: its manifest or its ledger cannot be read.
    """
    place = Path(source).expanduser()
    if not place.exists():  # a hub id, whose parent would be the directory that the command was given in
        return None
    for folder in (place, place.parent):
        if (config := training_run.settings(folder)) is not None:
            steps = _steps(folder / "metrics.jsonl")
            return RunRecord(folder, dict(_flat(config)), _signal_share(steps), len(steps))
    return None


def differences(one: Fields, other: Fields) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two runs differ, as (one's, the other's); places and seeds do not count."""
    names = [name for name in {**one, **other} if name.split(".")[0] not in PLACE and name != SEED]
    pairs = {name: (one.get(name, ABSENT), other.get(name, ABSENT)) for name in names}
    nothing = (ABSENT, None)  # an optional key that is left out says what its absence says
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1] and not set(pair) <= set(nothing)}


def mean_share(records: Sequence[RunRecord]) -> dict[str, float | None]:
    """Return each reward's signal share, the mean over seeds that have one."""
    names = dict.fromkeys(name for one in records for name in one.signal_share)
    return {name: known_mean([one.signal_share.get(name) for one in records]) for name in names}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(one, Mapping) and "name" in one for one in value):
        for one in value:
            own = {key: item for key, item in one.items() if key != "name"}
            yield from _flat(own, f"{name}.{one['name']}")
    else:
        yield name, value


def _steps(ledger: Path) -> list[Row]:
    text = ledger.read_text(encoding="utf-8") if ledger.exists() else ""
    whole = text[: text.rfind("\n") + 1]  # the run may be writing its last line
    # Not splitlines: it also cuts at U+2028, U+2029 and U+0085, which JSON leaves as they are.
    lines = enumerate(whole.split("\n"), 1)
    return [json_file.parsed_row(line, f"{ledger}, line {number}") for number, line in lines if line]


def _signal_share(steps: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    shares = [share for step in steps if (share := step.get("signal_share"))]
    names = dict.fromkeys(name for share in shares for name in share)
    return {name: known_mean([share.get(name) for share in shares]) for name in names}
