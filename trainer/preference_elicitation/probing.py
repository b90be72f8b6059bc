"""One probe: questions of each arm in each scenario, scored once and kept as they come."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from guerdon.messages import Score
from long_work import claim, content_digest, json_file
from long_work.journal import Journal
from long_work.progress import Progress
from preference_elicitation import asking, calibration, manifest, probe_prompts
from preference_elicitation.arm import Arm
from preference_elicitation.asking import Asked
from preference_elicitation.reward_scores import CHUNK, Rewards
from preference_elicitation.speaker import Speaker

ASKED, CALIBRATED, CALIBRATION, MANIFEST = "asked.jsonl", "calibrated.jsonl", "calibration.json", "manifest.json"
Row = dict[str, Any]
COMPONENTS = ("gain", "accuracy_before", "accuracy_after", "information_gain", "miscalibration_change")


class Probing:
    """What is asked of whom; a folder holds what there is already, by arm, scenario, depth and draw."""

    def __init__(
        self, options: argparse.Namespace, rewards: Rewards, rows: Sequence[Row], others: Sequence[str], folder: Path
    ) -> None:
        """Begin, or go on with what the folder holds.

        Raises:
            CommandError: the folder cannot be written.
        """
        self.options, self.rewards, self.rows, self.others, self.folder = options, rewards, rows, others, folder
        self._journal = Journal(folder / ASKED)

    def claim(self, now: manifest.Manifest) -> None:
        """Keep what is asked now; arms of an earlier probe in the same folder stay, with their questions.

        Raises:
            CommandError: the folder's answers were made otherwise.
        """
        place, kept = self.folder / MANIFEST, {}
        if len(self._journal):
            before = claim.read(place, self._journal.path)
            kept = before.get("arms", {})
            again = [key for key in now["arms"] if key in kept]
            try:
                was = manifest.binding(before, again)
            except (KeyError, TypeError):
                was = {}
            claim.hold(self._journal.path, was, manifest.binding(now, again))
        json_file.write(place, now | {"arms": kept | now["arms"]})

    def ask(self, arm: Arm) -> None:
        """Have an arm ask in every row, as often as wanted, and score what has no score yet."""
        wanted = [(row, draw) for draw in range(self.options.draws) for row in self.rows]
        missing = [(row, draw) for row, draw in wanted if not self._done(_key(arm.key, row, draw))]
        speaker = self._speaker(arm)
        with Progress(f"probe {arm.key}", len(wanted), len(wanted) - len(missing)) as progress:
            for start in range(0, len(missing), CHUNK):
                some = missing[start : start + CHUNK]
                said = self._questions(arm, some, speaker)
                of_all = zip(some, said, self._scores(some, said), strict=True)
                self._journal.append(_record(arm, row, draw, one, score) for (row, draw), one, score in of_all)
                progress.advance(len(some))

    def asked(self) -> list[Row]:
        return self._journal.records()

    def calibrate(self, number: int) -> float:
        """Judge the predictor on rows spread over depths and personas, and keep what comes of it, row by row.

        Return the share of the rows that have failed; the same probe again tries them again.

        Raises:
            CommandError: the server's texts cannot be read here, or the rows that are kept were judged otherwise.
        """
        rows = probe_prompts.spread(self.rows, number, self.options.seed)
        wanted = {f"{row['scenario']} {row['depth']} {row['pair_seed']}": row for row in rows}
        journal, predictor = Journal(self.folder / CALIBRATED), calibration.Predictor(self.rewards)
        prompts = content_digest.of(self.options.scenarios)
        claim.stake(journal.path, {"reward": self.rewards.info.version, "prompts": prompts})
        missing = journal.missing(wanted)
        with Progress("probe: calibration", len(rows), len(rows) - len(missing)) as progress:
            for key, row in missing.items():
                journal.append([{"key": key, **predictor.record(row)}])
                progress.advance()
        found = [calibration.Prediction(*one) for key in wanted for one in journal[key]["predictions"]]
        failed = Counter(journal[key]["status"] for key in wanted if journal[key]["status"] != "ok")
        result = calibration.summary(found) | {"by_depth": calibration.by_depth(found)}
        counts = {"prompts": len(rows), "failed": failed.total(), "failed_as": dict(failed)}
        json_file.write(self.folder / CALIBRATION, result | counts)
        return failed.total() / len(rows)

    def _questions(self, arm: Arm, some: Sequence[tuple[Row, int]], speaker: Speaker | None) -> list[Asked]:
        seed = self.options.seed
        if arm.kind != "best":
            return asking.questions(arm, some, speaker, seed)
        drawn = [(row, draw * arm.best_of + place) for row, draw in some for place in range(arm.best_of)]
        every = asking.questions(arm, drawn, speaker, seed)
        groups = [every[start : start + arm.best_of] for start in range(0, len(every), arm.best_of)]
        return [
            asking.best(group, row, probe_prompts.tried_on(row, self.others), self.rewards)
            for group, (row, _) in zip(groups, some, strict=True)
        ]

    def _scores(self, some: Sequence[tuple[Row, int]], said: Sequence[Asked]) -> list[Score]:
        """Return the score of each question; what never came has failed already, and is not scored."""
        came = [(text, row) for text, (row, _) in zip(said, some, strict=True) if isinstance(text, str)]
        gains = iter(self.rewards.gains(came))
        return [next(gains) if isinstance(one, str) else one for one in said]

    def _speaker(self, arm: Arm) -> Speaker | None:
        if arm.kind == "random":
            return None
        options = self.options
        speaker = Speaker(arm.source, options.hub_revision, options.temperature, options.max_tokens)
        speaker.load()
        return speaker

    def _done(self, key: str) -> bool:
        return (self._journal.get(key) or {}).get("value") is not None


def _key(arm: str, row: Mapping[str, Any], draw: int) -> str:
    return f"{arm} {row['scenario']} {row['depth']} {draw}"


def _record(arm: Arm, row: Row, draw: int, said: Asked, score: Score) -> Row:
    question = said if isinstance(said, str) else None
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
