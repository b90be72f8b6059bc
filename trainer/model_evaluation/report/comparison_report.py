"""Everything that a comparison found, as one JSON value from which page and terminal are drawn.

It depends on completions and verdicts alone: a comparison that was killed and run again gives the same bytes as one
that was not. What it cost is read from the judge server's books, which know every call that was ever paid for it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guerdon.judge_messages import Budget, JudgeInfo
from model_evaluation.answers import tag_format
from model_evaluation.answers.completion import visible
from model_evaluation.answers.completions import Answers
from model_evaluation.answers.sampling import Sampling
from model_evaluation.content_key import content_key
from model_evaluation.judging import RECONCILE, Judged
from model_evaluation.prompts import Prompt
from model_evaluation.report import comparison_warnings, manifest
from model_evaluation.report.samples import samples
from model_evaluation.spending import spending
from model_evaluation.statistics import comparison_statistics
from model_evaluation.statistics.comparison_statistics import ComparisonStatistics
from model_evaluation.statistics.family import same_family
from model_evaluation.statistics.outcome import Outcome
from model_evaluation.statistics.ranking import corrected, rank
from model_evaluation.statistics.score_difference import distribution

FORMAT = 1
Report = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """How a comparison was asked for."""

    prompts_source: str
    prompts: Sequence[Prompt]
    sampling: Sampling
    judge: JudgeInfo
    run: str
    criteria: str | None = None
    tags: tuple[str, ...] = ()


def report(setting: Setting, answers: Sequence[Answers], games: Sequence[Judged], budget: Budget | None) -> Report:
    """Compute all numbers of a comparison of two models or more."""
    outcomes = [game.outcome for game in games]
    described = _described(setting.judge.model, answers)
    statistics = _pairs(outcomes, setting, described)
    ranking = rank(outcomes, setting.sampling.seed) if len(statistics) > 1 else None
    pairs = corrected(statistics, ranking) if ranking else statistics
    models = [_model(one, setting, outcomes) for one in answers]
    failures = _failures(answers, games, outcomes)
    warnings = comparison_warnings.of_run(setting.judge, setting.sampling, answers, models, failures, len(games))
    return {
        "format": FORMAT,
        "headlines": [pair.verdict for pair in pairs],
        "warnings": [*warnings, *comparison_warnings.of_judge(setting.judge.model, described, pairs)],
        "models": models,
        "pairs": [one.model_dump(mode="json") for one in pairs],
        "ranking": ranking.model_dump(mode="json") if ranking else None,
        "comparisons": len(games),
        "failures": failures,
        "usage": spending(budget, judge_calls(games)),
        "samples": samples(setting.prompts, answers, games),
        "manifest": _manifest(setting, answers),
    }


def judge_calls(games: Sequence[Judged]) -> int:
    """Count what a judge was asked, each question once: models that give the same answer share those about it.

    A question is a prompt and two answers in the order they are shown; another sample of it is another call.
    """
    asked = set()
    for game in games:
        shown = [visible(one.text or "") for one in (game.answer_a, game.answer_b)]
        for one in game.verdict.orders if game.verdict else ():
            first, second = shown if one.first == "a" else reversed(shown)
            asked.add((game.prompt.turns, game.prompt.reference, first, second, one.sample))
    return len(asked)


def _pairs(outcomes: Sequence[Outcome], setting: Setting, described: Mapping[str, str]) -> list[ComparisonStatistics]:
    by_pair: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        by_pair[one.model_a, one.model_b].append(one)
    seed, judge = setting.sampling.seed, setting.judge.model
    return [comparison_statistics.compare(some, seed, judge=judge, described=described) for some in by_pair.values()]


def _described(judge: str, answers: Sequence[Answers]) -> dict[str, str]:
    """Return by what each model is known to be kin to the judge: its name in the report, or what was asked for."""
    contestants = [one.contestant for one in answers]
    return {
        one.name: next((text for text in (one.name, one.described) if same_family(judge, [text])), one.name)
        for one in contestants
    }


def _model(answers: Answers, setting: Setting, outcomes: Sequence[Outcome]) -> Report:
    there = [one for one in answers.completions if one.text is not None]
    tokens = [one.tokens for one in there if one.tokens is not None]
    name = answers.contestant.name
    return {
        "name": name,
        "kind": answers.contestant.kind,
        "source": answers.facts.get("source") or answers.facts.get("url") or answers.facts.get("file"),
        "answers": len(there),
        "prompts": len(answers.completions),
        "cut_off": sum(one.finish == "length" for one in there),
        "empty": sum(not one.text for one in there),
        "mean_characters": distribution([one.length for one in there]).mean,
        "mean_tokens": distribution(tokens).mean,
        "scores": distribution(_scores(name, outcomes)).model_dump(mode="json"),
        "tags_kept": tag_format.kept(setting.tags, there).model_dump(mode="json") if setting.tags else None,
    }


def _scores(name: str, outcomes: Sequence[Outcome]) -> list[float]:
    """Return the model's mean score of each prompt, over its opponents."""
    by_prompt: dict[str, list[float]] = defaultdict(list)
    for one in outcomes:
        score = one.score_a if one.model_a == name else one.score_b if one.model_b == name else None
        if score is not None:
            by_prompt[one.prompt_id].append(score)
    return [sum(scores) / len(scores) for scores in by_prompt.values()]


def _failures(answers: Sequence[Answers], games: Sequence[Judged], outcomes: Sequence[Outcome]) -> Report:
    completions = Counter(one.status for some in answers for one in some.completions if one.status != "ok")
    asked = [outcome for game, outcome in zip(games, outcomes, strict=True) if game.failed is None]
    verdicts = Counter(one.status for one in asked if one.winner is None)
    return {"completions": dict(sorted(completions.items())), "verdicts": dict(sorted(verdicts.items()))}


def _manifest(setting: Setting, answers: Sequence[Answers]) -> Report:
    return {
        "models": {one.contestant.name: one.facts for one in answers},
        "prompts": {
            "source": setting.prompts_source,
            "number": len(setting.prompts),
            "hash": content_key([one.id for one in setting.prompts]),
        },
        "sampling": setting.sampling.record(),
        "judge": manifest.of_judge(setting.judge),
        "judging": {"orders": "both", "reconcile": RECONCILE, "criteria": setting.criteria, "run": setting.run},
        "tags": list(setting.tags),
        "packages": manifest.packages(),
    }
