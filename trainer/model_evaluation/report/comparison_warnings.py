"""What the reader of a comparison has to know beside its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from guerdon.judge_messages import JudgeInfo
from model_evaluation.answers.completions import Answers
from model_evaluation.answers.sampling import Sampling
from model_evaluation.statistics.comparison_statistics import ComparisonStatistics
from model_evaluation.statistics.family import same_family

UNSTEADY = 0.5
"""A share of prompts with the same verdict in both orders below which the reader is warned."""
MANY_CUT_OFF = 0.1
"""A share of answers that ran into max_tokens above which the reader is warned."""
Report = Mapping[str, Any]


def of_run(
    judge: JudgeInfo,
    sampling: Sampling,
    answers: Sequence[Answers],
    models: Sequence[Report],
    failures: Report,
    games: int,
) -> list[str]:
    """Say what was missing, cut off or asked in another form than the reader may think.

    Args:
        models: the report's own, one an answerer.
        failures: by stage and status.
        games: comparisons, with a verdict or without.
    """
    found: list[str] = []
    if judge.warning:
        found.append(f"The judge {judge.name} is not to be believed: {judge.warning}.")
    failed: Mapping[str, int] = failures["verdicts"]
    if spent := failed.get("judge_budget", 0):
        found.append(
            f"Partial: the budget ended before {spent} of {games} comparisons were judged. The numbers are those of "
            "the others; the same command with a higher --max-cost goes on."
        )
    if others := sum(failed.values()) - spent:
        found.append(f"{others} of {games} comparisons failed at the judge; the same command tries them again.")
    if missing := sum(failures["completions"].values()):
        found.append(f"{missing} completions failed; no verdict was asked for them.")
    found += [
        f"{one.contestant.name} has no chat template; it was asked in the plain one that ships."
        for one in answers
        if one.facts.get("own_chat_template") is False and sampling.prompt_format == "chat"
    ]
    found += [
        f"{one['cut_off']} of {one['answers']} answers of {one['name']} were cut off at {sampling.max_tokens} tokens."
        for one in models
        if one["cut_off"] > MANY_CUT_OFF * one["answers"]
    ]
    return found


def of_judge(judge: str, described: Mapping[str, str], pairs: Sequence[ComparisonStatistics]) -> list[str]:
    """Say in what a judge is not to be trusted: its kin, and how steady it is.

    Args:
        judge: the judging model.
        described: by what each model is known to be kin to it.
    """
    return _kin(judge, described) + _unsteady(pairs)


def _kin(judge: str, described: Mapping[str, str]) -> list[str]:
    warning = same_family(judge, described.values())
    return [f"{warning[0].upper()}{warning[1:]}."] if warning else []


def _unsteady(statistics: Sequence[ComparisonStatistics]) -> list[str]:
    """Say where a judge goes by the place of an answer more often than by its words."""
    found = [(one, one.bias.position_consistency.value) for one in statistics]
    return [
        f"{one.model_a} against {one.model_b}: the judge says the same in both orders on {100 * steady:.0f}% of the "
        "prompts only; it goes by the place of an answer more than by its words."
        for one, steady in found
        if steady is not None and steady < UNSTEADY
    ]
