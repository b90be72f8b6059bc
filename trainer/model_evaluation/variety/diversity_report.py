"""What `guerdon diversity` found, as one JSON value from which page and terminal are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guerdon.messages import RewardInfo
from model_evaluation.answers.completions import Draws
from model_evaluation.answers.sampling import Sampling
from model_evaluation.content_key import content_key
from model_evaluation.prompts import Prompt
from model_evaluation.report import manifest
from model_evaluation.statistics import arm_difference
from model_evaluation.statistics.arm_difference import Cells
from model_evaluation.statistics.known_mean import known_mean
from model_evaluation.variety import findings, run_record
from model_evaluation.variety.completion_quality import DONE, Scores
from model_evaluation.variety.run_record import RunRecord
from model_evaluation.variety.set_metrics import BOUNDS
from model_evaluation.variety.set_table import Table
from reward_server.rewards.variety.words import TOKENIZER_ID

FORMAT = 1
SHOWN_PROMPTS = 12
Report = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """How it was asked for."""

    source: str
    prompts: Sequence[Prompt]
    sampling: Sampling
    samples: int
    rewards: Mapping[str, RewardInfo]
    margin: float
    baseline: str
    vocabulary: int


@dataclass(frozen=True)
class Drawn:
    """One model of an arm: its completions, the metrics of each prompt's set, and their scores by reward."""

    arm: str
    seed: str
    draws: Draws
    table: Table
    quality: Mapping[str, Scores]


def report(setting: Setting, drawn: Sequence[Drawn]) -> Report:
    """Compute everything that is said of the arms."""
    by_arm = {name: [one for one in drawn if one.arm == name] for name in dict.fromkeys(one.arm for one in drawn)}
    seed = setting.sampling.seed
    cells = {metric: {name: _cells(some, metric) for name, some in by_arm.items()} for metric in _metrics(drawn)}
    pairs = {metric: arm_difference.compared(of_arms, seed) for metric, of_arms in cells.items()}
    means = {name: {metric: arm_difference.arm_mean(of[name], seed) for metric, of in cells.items()} for name in by_arm}
    records = {name: [found for one in some if (found := _record(one))] for name, some in by_arm.items()}
    arms = [_arm(name, some, means[name], records[name]) for name, some in by_arm.items()]
    bounds = BOUNDS | {f"quality.{name}": info.range for name, info in setting.rewards.items()}
    against = {metric: arm_difference.from_baseline(found, setting.baseline) for metric, found in pairs.items()}
    return {
        "format": FORMAT,
        "headlines": findings.headlines(setting.baseline, list(by_arm), against, means, setting.margin),
        "differ_from_baseline": findings.differing(setting.baseline, list(by_arm), against),
        "warnings": findings.warnings(arms, records),
        "baseline": setting.baseline,
        "margin": setting.margin,
        "metrics": {name: {"better": bounds[name].better if name in bounds else None} for name in cells},
        "arms": arms,
        "pairs": [{"metric": metric} | one.record() for metric, found in pairs.items() for one in found],
        "from_baseline": {metric: {one.a: one.record() for one in found} for metric, found in against.items()},
        "configs": _configs(setting.baseline, records),
        "samples": _samples(setting.prompts, by_arm),
        "manifest": _manifest(setting, drawn),
    }


def _metrics(drawn: Sequence[Drawn]) -> list[str]:
    return [*drawn[0].table[0], "words", *(f"quality.{name}" for name in drawn[0].quality)]


def _cells(some: Sequence[Drawn], metric: str) -> Cells:
    kind, _, reward = metric.partition(".")
    if kind == "quality":
        return [[known_mean([score.value for score in row]) for row in one.quality[reward]] for one in some]
    if metric == "words":
        return [[known_mean([_words(text.text) for text in row]) for row in one.draws.completions] for one in some]
    return [[row[metric] for row in one.table] for one in some]


def _words(text: str | None) -> float | None:
    return None if text is None else float(len(text.split()))


def _record(one: Drawn) -> RunRecord | None:
    contestant = one.draws.contestant
    return run_record.of(contestant.source) if contestant.kind == "local" else None


def _arm(name: str, some: Sequence[Drawn], means: Mapping[str, Any], records: Sequence[RunRecord]) -> Report:
    every = [one for drawn in some for row in drawn.draws.completions for one in row]
    there = [one for one in every if one.text is not None]
    unscored = [
        score
        for drawn in some
        for scores in drawn.quality.values()
        for row, texts in zip(scores, drawn.draws.completions, strict=True)
        for score, text in zip(row, texts, strict=True)
        if not score.ok and text.text is not None
    ]
    statuses = [*(one.status for one in every), *(one.status for one in unscored)]
    return {
        "name": name,
        "seeds": {one.seed: one.draws.facts for one in some},
        "metrics": {metric: estimate.model_dump(mode="json") for metric, estimate in means.items()},
        "completions": len(every),
        "failed": len(every) - len(there),
        "broken_sets": sum(any(one.text is None for one in row) for drawn in some for row in drawn.draws.completions),
        "unscored": len(unscored),
        "to_retry": sum(status not in DONE for status in statuses),
        "cut_off": sum(one.finish == "length" for one in there),
        "empty": sum(not one.text for one in there),
        "signal_share": run_record.mean_share(records) if records else None,
        "steps": sorted({one.steps for one in records}),
    }


def _configs(baseline: str, records: Mapping[str, Sequence[RunRecord]]) -> list[Report]:
    """Return in which settings each arm's runs differ from the baseline's, and among themselves beside the seed."""
    found: list[Report] = []
    for name, some in records.items():
        if not some:
            why = "its models are of no run of guerdon train, so that its settings are not known"
            found.append({"arm": name, "fields": None, "within": None, "reason": why})
            continue
        base = records.get(baseline) or []
        fields = run_record.differences(base[0].fields, some[0].fields) if base else None
        within = sorted({field for one in some[1:] for field in run_record.differences(some[0].fields, one.fields)})
        reason = None if base else f"the settings of {baseline} are not known"
        found.append({"arm": name, "fields": fields, "within": within, "reason": reason})
    return found


def _samples(prompts: Sequence[Prompt], by_arm: Mapping[str, Sequence[Drawn]]) -> list[Report]:
    """Return the completions of the first prompts, of each arm's first seed."""
    return [
        {
            "prompt": prompt.shown,
            "arms": [
                {"arm": name, "texts": [one.text for one in some[0].draws.completions[place]]}
                for name, some in by_arm.items()
            ],
        }
        for place, prompt in enumerate(prompts[:SHOWN_PROMPTS])
    ]


def _manifest(setting: Setting, drawn: Sequence[Drawn]) -> Report:
    return {
        "prompts": {
            "source": setting.source,
            "number": len(setting.prompts),
            "fingerprint": content_key([one.id for one in setting.prompts]),
        },
        "samples": setting.samples,
        "sampling": setting.sampling.record(),
        "draws": f"seeds {setting.sampling.seed} to {setting.sampling.seed + setting.samples - 1}, one a completion",
        "tokenizer": TOKENIZER_ID,
        "vocabulary": setting.vocabulary,
        "rewards": {name: info.version for name, info in setting.rewards.items()},
        "margin": setting.margin,
        "models": {one.draws.contestant.name: one.draws.facts for one in drawn},
        "packages": manifest.packages(),
    }
