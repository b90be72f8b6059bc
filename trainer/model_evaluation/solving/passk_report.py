"""What `guerdon passk` found, as one JSON value from which page and terminal are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_evaluation.answers.completions import Draws
from model_evaluation.answers.sampling import Sampling
from model_evaluation.content_key import content_key
from model_evaluation.prompts import Prompt
from model_evaluation.report import manifest
from model_evaluation.report.figure import estimate, number, plain
from model_evaluation.solving.checking import Verdicts
from model_evaluation.solving.program import suspicion
from model_evaluation.statistics import arm_difference
from model_evaluation.statistics.arm_difference import Cells
from model_evaluation.statistics.pass_at_k import CEILING_ANY, CEILING_FIRST, at_ceiling, pass_at_k
from model_evaluation.variety.completion_quality import DONE

FORMAT = 1
SHOWN_PROMPTS = 20
Report = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """How it was asked for; `how` says what a right completion is."""

    source: str
    prompts: Sequence[Prompt]
    sampling: Sampling
    samples: int
    k: Sequence[int]
    how: Mapping[str, Any]


@dataclass(frozen=True)
class Solved:
    """One model of an arm, its completions and their verdicts."""

    arm: str
    seed: str
    draws: Draws
    verdicts: Verdicts


def report(setting: Setting, solved: Sequence[Solved]) -> Report:
    """Compute everything that is said of the arms."""
    by_arm = {name: [one for one in solved if one.arm == name] for name in dict.fromkeys(one.arm for one in solved)}
    cells = {f"pass@{k}": {name: _cells(some, k) for name, some in by_arm.items()} for k in setting.k}
    seed = setting.sampling.seed
    arms = [
        _arm(name, some, {k: arm_difference.arm_mean(of[name], seed) for k, of in cells.items()}, setting.how)
        for name, some in by_arm.items()
    ]
    return {
        "format": FORMAT,
        "warnings": [warning for arm in arms for warning in _warnings(arm, max(setting.k))],
        "arms": arms,
        "pairs": [
            {"metric": metric} | one.record()
            for metric, of_arms in cells.items()
            for one in arm_difference.compared(of_arms, seed)
        ],
        "samples": _samples(setting, by_arm),
        "manifest": {
            "prompts": {
                "source": setting.source,
                "number": len(setting.prompts),
                "fingerprint": content_key([one.id for one in setting.prompts]),
            },
            "samples": setting.samples,
            "k": list(setting.k),
            "how": dict(setting.how),
            "sampling": setting.sampling.record(),
            "models": {one.draws.contestant.name: one.draws.facts for one in solved},
            "packages": manifest.packages(),
        },
    }


def _cells(some: Sequence[Solved], k: int) -> Cells:
    return [[_of_prompt([one.right for one in row], k) for row in model.verdicts] for model in some]


def _of_prompt(right: Sequence[bool | None], k: int) -> float | None:
    """Return one prompt's pass@k; None where too few of its completions could be checked."""
    known = [one for one in right if one is not None]
    return pass_at_k(len(known), sum(known), k) if len(known) >= k else None


def _arm(name: str, some: Sequence[Solved], means: Mapping[str, Any], how: Mapping[str, Any]) -> Report:
    verdicts = [one for model in some for row in model.verdicts for one in row]
    every = [one for model in some for row in model.draws.completions for one in row]
    unknown: dict[str, int] = {}
    for one in verdicts:
        if one.right is None:
            unknown[one.status] = unknown.get(one.status, 0) + 1
    return {
        "name": name,
        "seeds": {one.seed: one.draws.facts for one in some},
        "metrics": {metric: found.model_dump(mode="json") for metric, found in means.items()},
        "completions": len(verdicts),
        "right": sum(one.right is True for one in verdicts),
        "unknown": unknown,
        "to_retry": sum(
            (one if one.text is None else verdict).status not in DONE
            for one, verdict in zip(every, verdicts, strict=True)
        ),
        "cut_off": sum(one.finish == "length" for one in every),
        "suspects": _suspects(some) if how["check"] == "tests" else [],
    }


def _suspects(some: Sequence[Solved]) -> list[Report]:
    """Return the completions that count as right and seem to read their own program; prompts and draws from 1 on."""
    return [
        {"seed": model.seed, "prompt": prompt, "draw": draw, "word": word}
        for model in some
        for prompt, (texts, verdicts) in enumerate(zip(model.draws.completions, model.verdicts, strict=True), 1)
        for draw, (one, verdict) in enumerate(zip(texts, verdicts, strict=True), 1)
        if verdict.right and (word := suspicion(one.text or ""))
    ]


def _warnings(arm: Report, most: int) -> list[str]:
    name, metrics = arm["name"], arm["metrics"]
    first, any_of_k = ((metrics.get(f"pass@{k}") or {}).get("value") for k in (1, most))
    found = []
    if at_ceiling(first, any_of_k):
        found.append(
            f"ceiling: {name} has pass@1 {number(first)} above {CEILING_FIRST} and pass@{most} {number(any_of_k)} "
            f"above {CEILING_ANY}: these prompts are too easy to tell models apart at that k"
        )
    if arm["unknown"]:
        said = ", ".join(f"{status} {times}" for status, times in arm["unknown"].items())
        found.append(f"{sum(arm['unknown'].values())} completions of {name} are in no number ({said})")
    if arm["suspects"]:
        seed, prompt, draw, word = arm["suspects"][0].values()
        found.append(
            f"{len(arm['suspects'])} of the {arm['right']} right completions of {name} seem to read their own program "
            f"or to leave it early, and may have forged that; the first: {word} (seed {seed}, prompt {prompt}, "
            f"completion {draw})"
        )
    if arm["cut_off"] > 0.1 * arm["completions"]:
        found.append(f"{arm['cut_off']} of {arm['completions']} completions of {name} ran into --max-tokens")
    return found


def _samples(setting: Setting, by_arm: Mapping[str, Sequence[Solved]]) -> list[Report]:
    """Return the first prompts with the first completion and verdict of each arm's first seed."""
    return [
        {
            "prompt": prompt.shown,
            "arms": [
                {
                    "arm": name,
                    "right": sum(one.right is True for one in some[0].verdicts[place]),
                    "of": len(some[0].verdicts[place]),
                    "text": some[0].draws.completions[place][0].text,
                    "verdict": some[0].verdicts[place][0].model_dump(mode="json"),
                }
                for name, some in by_arm.items()
            ],
        }
        for place, prompt in enumerate(setting.prompts[:SHOWN_PROMPTS])
    ]


def show(report: Report, console: Console) -> None:
    """Print what a report says."""
    console.print()
    for warning in report["warnings"]:
        console.print(Text(plain(f"! {warning}"), "yellow"))
    console.print(Text(plain(f"checked by {'; '.join(map(str, report['manifest']['how'].values()))}")))
    table = Table(title="Means over prompts and seeds, with 95% intervals", title_justify="left")
    table.add_column("k")
    for arm in report["arms"]:
        table.add_column(Text(plain(arm["name"])))
    for metric in report["arms"][0]["metrics"]:
        table.add_row(metric, *(estimate(arm["metrics"][metric]) for arm in report["arms"]))
    console.print(table)
