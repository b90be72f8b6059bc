"""One probe: questions of each arm in each scenario, scored once and kept as they come."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guerdon.client import RewardClient
from guerdon.messages import Score
from preference_elicitation import asking, calibration
from preference_elicitation.arm import Arm
from preference_elicitation.progress import Progress
from preference_elicitation.reward_scores import CHUNK, Rewards
from preference_elicitation.speaker import Speaker

Row = dict[str, Any]
COMPONENTS = ("gain", "accuracy_before", "accuracy_after", "information_gain", "miscalibration_change")


@dataclass
class Probing:
    """What is asked of whom; `kept` holds what there is already, by arm, scenario, depth and draw."""

    options: argparse.Namespace
    rewards: Rewards
    rows: Sequence[Row]
    others: Sequence[str]
    kept: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def opened(
        cls, options: argparse.Namespace, client: RewardClient, rows: Sequence[Row], others: Sequence[str]
    ) -> "Probing":
        """Begin, or go on with what --out holds; raises as `Rewards` does."""
        probing = cls(options, Rewards(client, options.reward), rows, others)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            probing._read(options.out / "asked.jsonl")
        return probing

    def ask(self, arm: Arm) -> None:
        """Have an arm ask in every row, as often as wanted, and score what has no score yet."""
        wanted = [(row, draw) for draw in range(self.options.draws) for row in self.rows]
        missing = [(row, draw) for row, draw in wanted if not self._done(_key(arm.key, row, draw))]
        progress = Progress(f"probe {arm.key}", len(wanted), len(wanted) - len(missing))
        speaker = self._speaker(arm)
        for start in range(0, len(missing), CHUNK):
            some = missing[start : start + CHUNK]
            texts = self._questions(arm, some, speaker)
            scores = self.rewards.gains(
                [(text, row) for text, (row, _) in zip(texts, some, strict=True)], lambda _: None
            )
            self._keep(
                [
                    _record(arm, row, draw, text, score)
                    for (row, draw), text, score in zip(some, texts, scores, strict=True)
                ]
            )
            progress.advance(len(some))

    def asked(self) -> list[Row]:
        return list(self.kept.values())

    def calibrate(self, number: int) -> None:
        """Judge the predictor on rows spread over all, and keep what comes of it."""
        count = min(number, len(self.rows))
        rows = [self.rows[len(self.rows) * place // count] for place in range(count)]
        progress = Progress("probe: calibration", count)
        found = calibration.predictions(rows, self.rewards, progress.advance)
        result = calibration.summary(found) | {"by_depth": calibration.by_depth(found), "prompts": count}
        if self.options.out:
            text = json.dumps(result, indent=1)
            (self.options.out / "calibration.json").write_text(f"{text}\n", encoding="utf-8")

    def _questions(self, arm: Arm, some: Sequence[tuple[Row, int]], speaker: Speaker | None) -> list[str]:
        seed = self.options.seed
        if arm.kind != "best":
            return asking.questions(arm, some, speaker, seed)
        drawn = [(row, draw * arm.best_of + place) for row, draw in some for place in range(arm.best_of)]
        every = asking.questions(arm, drawn, speaker, seed)
        groups = [every[start : start + arm.best_of] for start in range(0, len(every), arm.best_of)]
        return [
            asking.best(group, row, self.others, self.rewards) for group, (row, _) in zip(groups, some, strict=True)
        ]

    def _speaker(self, arm: Arm) -> Speaker | None:
        if arm.kind == "random":
            return None
        options = self.options
        speaker = Speaker(arm.source, options.hub_revision, options.temperature, options.max_tokens)
        speaker.load()
        return speaker

    def _done(self, key: str) -> bool:
        return key in self.kept and self.kept[key]["value"] is not None

    def _keep(self, records: Sequence[Row]) -> None:
        self.kept |= {record["key"]: record for record in records}
        if self.options.out:
            with (self.options.out / "asked.jsonl").open("a", encoding="utf-8") as stream:
                stream.writelines(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)

    def _read(self, path: Path) -> None:
        """Take over what there is; a torn last line is cut off."""
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        self.kept = {record["key"]: record for record in map(json.loads, whole.splitlines())}


def _key(arm: str, row: Mapping[str, Any], draw: int) -> str:
    return f"{arm} {row['scenario']} {row['depth']} {draw}"


def _record(arm: Arm, row: Row, draw: int, question: str, score: Score) -> Row:
    return {
        "key": _key(arm.key, row, draw),
        "arm": arm.name,
        "seed": arm.seed,
        "scenario": row["scenario"],
        "depth": row["depth"],
        "draw": draw,
        "persona": row["persona"],
        "question": question,
        "repeated": question in [turn["question"] for turn in row["transcript"]],
        "value": score.value,
        "status": score.status,
        "error": score.error,
        "is_question": score.components.get("question"),
        **{name: score.components.get(name) for name in COMPONENTS},
    }
