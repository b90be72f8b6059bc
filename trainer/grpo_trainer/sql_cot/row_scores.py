"""Scores of rows by a policy: drawn batch by batch, kept as they come, read from the completions."""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from grpo_trainer import ledger
from grpo_trainer.sql_cot.rows import Row
from grpo_trainer.sql_cot.scoring_policy import Asking, ScoringPolicy
from reward_server.rewards.sql_cot import parse

FAULTS = {
    0.0: "no single closed think block",
    0.2: "no single closed score tag behind the think block",
    0.4: "the score is no plain decimal",
    0.6: "the score is not in [0, 1]",
    0.8: "text before, between or after the two blocks",
}
"""What a completion lacks that reached this rung of the reward's format ladder and no more."""


class RowScore(NamedTuple):
    """What a policy thinks of a row.

    `score` in [0, 1] is the mean of its valid samples; None, with the commonest fault as `reason`, where none is.
    """

    score: float | None
    valid: int
    samples: int
    reason: str | None
    completion: str


@dataclass(frozen=True)
class Drawing:
    """How often a policy is asked about a row: once, greedily, or several times. `batch` rows at a time."""

    samples: int = 1
    temperature: float = 0.0
    seed: int = 0
    batch: int = 64


def scored(name: str, rows: Sequence[Row], asking: Asking, drawing: Drawing, folder: Path) -> list[RowScore]:
    """Return a score a row; batches that an earlier call left in `folder` are taken over.

    Raises:
        ValueError: the folder holds scores of another policy, of other rows or of another way to draw; or the policy
            cannot be loaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    policy = ScoringPolicy(asking)
    own = {"rows": digest(rows), "weights": policy.fingerprint, "template": policy.template}
    _claim(folder, {**own, **asking.record(), **vars(drawing)})
    kept = folder / "completions.jsonl"
    done = ledger.lines(kept)
    if kept.exists():  # without a line that was cut off
        ledger.write_whole(kept, "".join(_line(record) for record in done))
    started, before = time.monotonic(), len(done)
    batches = [list(rows[start : start + drawing.batch]) for start in range(0, len(rows), drawing.batch)]
    for number, batch in enumerate(batches[before:], before):
        seed = int(sha256(f"{drawing.seed}/{number}".encode()).hexdigest()[:8], 16)
        made = policy.completions(batch, drawing.samples, drawing.temperature, seed)
        done.append({"batch": number, "completions": made})
        with kept.open("a", encoding="utf-8") as file:
            file.write(_line(done[-1]))
        each = (time.monotonic() - started) / (number + 1 - before)
        left = each * (len(batches) - number - 1)
        print(f"{name}: {number + 1}/{len(batches)} batches, about {left:.0f} s left", file=sys.stderr, flush=True)
    return [read(completions) for record in done for completions in record["completions"]]


def read(completions: Sequence[str]) -> RowScore:
    """Return what a row's completions say; invalid ones have no score and are not counted as any number."""
    parsed = [parse(completion) for completion in completions]
    valid = [score for _, score in parsed if score is not None]
    if valid:
        return RowScore(statistics.fmean(valid), len(valid), len(parsed), None, completions[0])
    reason = FAULTS[statistics.mode(rung for rung, _ in parsed)]
    return RowScore(None, 0, len(parsed), reason, completions[0])


def digest(rows: Sequence[Row]) -> str:
    return sha256(json.dumps(list(rows), sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def _claim(folder: Path, own: dict[str, Any]) -> None:
    place = folder / "scored.json"
    other = _claimed(place)
    if other is None:
        ledger.write_whole(place, json.dumps(own, indent=2, sort_keys=True) + "\n")
        return
    differ = sorted(key for key in own | other if own.get(key) != other.get(key))
    if differ:
        raise ValueError(f"{folder} holds scores that differ in {', '.join(differ)}; choose another --out")


def _claimed(place: Path) -> dict[str, Any] | None:
    """Return what the folder's scores are of; None where it has none yet."""
    if not place.exists():
        return None
    try:
        other = json.loads(place.read_text(encoding="utf-8"))
    except ValueError:
        other = None
    if not isinstance(other, dict):
        raise ValueError(f"{place} was cut off: nobody knows what the scores beside it are of; delete its folder")
    return other


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
