"""Scores of rows by a policy: drawn batch by batch, kept as they come, read from the completions."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from grpo_trainer.sql_cot import row_file
from grpo_trainer.sql_cot.rows import Row
from grpo_trainer.sql_cot.scoring_policy import Asking, ScoringPolicy
from long_work import claim
from long_work.journal import Journal
from long_work.progress import Progress
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
        ValueError: the policy cannot be loaded.
        CommandError: the folder holds scores of another policy, of other rows or of another way to draw, or cannot be
            read or written.
    """
    policy = ScoringPolicy(asking)
    own = {"rows": row_file.digest(rows), "weights": policy.fingerprint, "template": policy.template}
    completions = folder / "completions.jsonl"
    claim.stake(completions, {**own, **asking.record(), **vars(drawing)}, folder / "scored.json")
    kept = Journal(completions, "batch")
    batches = [list(rows[start : start + drawing.batch]) for start in range(0, len(rows), drawing.batch)]
    with Progress(f"{name}, batches of rows", len(batches), done=len(kept)) as progress:
        for number, batch in enumerate(batches):
            if number not in kept:
                seed = int(sha256(f"{drawing.seed}/{number}".encode()).hexdigest()[:8], 16)
                made = policy.completions(batch, drawing.samples, drawing.temperature, seed)
                kept.append([{"batch": number, "completions": made}])
                progress.advance()
    return [read(texts) for number in range(len(batches)) for texts in kept[number]["completions"]]


def read(completions: Sequence[str]) -> RowScore:
    """Return what a row's completions say; invalid ones have no score and are not counted as any number."""
    parsed = [parse(completion) for completion in completions]
    valid = [score for _, score in parsed if score is not None]
    if valid:
        return RowScore(statistics.fmean(valid), len(valid), len(parsed), None, completions[0])
    reason = FAULTS[statistics.mode(rung for rung, _ in parsed)]
    return RowScore(None, 0, len(parsed), reason, completions[0])
