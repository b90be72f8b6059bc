"""Everything that a comparison found, as one JSON value from which page and terminal are drawn.

It depends on completions and verdicts alone: a comparison that was killed and run again gives the same bytes as one
that was not. What it cost is read from the judge server's books, which know every call that was ever paid for it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guerdon.judge_messages import Budget, JudgeInfo
from model_evaluation import comparison_statistics, manifest, tag_format
from model_evaluation.comparison_statistics import ComparisonStatistics
from model_evaluation.content_key import content_key
from model_evaluation.family import same_family
from model_evaluation.generation import Answers
from model_evaluation.judging import RECONCILE, Judged
from model_evaluation.prompts import Prompt
from model_evaluation.ranking import rank
from model_evaluation.sampling import Sampling
from model_evaluation.score_difference import distribution
from model_evaluation.spending import spending

FORMAT = 1
UNSTEADY = 0.5
"""A share of prompts with the same verdict in both orders below which the reader is warned."""
MANY_CUT_OFF = 0.1
"""A share of answers that ran into max_tokens above which the reader is warned."""
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
    seed = setting.sampling.seed
    pairs = list(dict.fromkeys((game.model_a, game.model_b) for game in games))
    outcomes = [game.outcome for game in games]
    statistics = [
        comparison_statistics.compare(
            [one for one in outcomes if (one.model_a, one.model_b) == pair], seed, judge=setting.judge.model
        )
        for pair in pairs
    ]
    ranking = rank(outcomes, seed) if len(pairs) > 1 else None
    models = [_model(one, setting, games) for one in answers]
    failures = _failures(answers, games)
    return {
        "format": FORMAT,
        "headlines": [pair.verdict for pair in (ranking.pairs if ranking else statistics)],
        "warnings": _warnings(setting, answers, models, failures, len(games)) + _unsteady(statistics),
        "models": models,
        "pairs": [one.model_dump(mode="json") for one in statistics],
        "ranking": ranking.model_dump(mode="json") if ranking else None,
        "comparisons": len(games),
        "failures": failures,
        "usage": spending(budget, sum(len(game.verdict.orders) for game in games if game.verdict)),
        "samples": [_sample(prompt, answers, games) for prompt in setting.prompts],
        "manifest": _manifest(setting, answers),
    }


def _model(answers: Answers, setting: Setting, games: Sequence[Judged]) -> Report:
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
        "scores": distribution(_scores(name, games)).model_dump(mode="json"),
        "tags_kept": tag_format.kept(setting.tags, there).model_dump(mode="json") if setting.tags else None,
    }


def _scores(name: str, games: Sequence[Judged]) -> list[float]:
    """Return the model's mean score of each prompt, over its opponents."""
    by_prompt: dict[str, list[float]] = {}
    for game in games:
        outcome = game.outcome
        score = outcome.score_a if game.model_a == name else outcome.score_b if game.model_b == name else None
        if score is not None:
            by_prompt.setdefault(game.prompt.id, []).append(score)
    return [sum(scores) / len(scores) for scores in by_prompt.values()]


def _failures(answers: Sequence[Answers], games: Sequence[Judged]) -> Report:
    completions = Counter(one.status for some in answers for one in some.completions if one.status != "ok")
    verdicts = Counter(game.outcome.status for game in games if game.failed is None and game.outcome.winner is None)
    return {"completions": dict(sorted(completions.items())), "verdicts": dict(sorted(verdicts.items()))}


def _warnings(
    setting: Setting, answers: Sequence[Answers], models: Sequence[Report], failures: Report, games: int
) -> list[str]:
    found: list[str] = []
    if setting.judge.warning:
        found.append(f"The judge {setting.judge.name} is not to be believed: {setting.judge.warning}.")
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
        if one.facts.get("own_chat_template") is False and setting.sampling.prompt_format == "chat"
    ]
    found += [
        f"{one['cut_off']} of {one['answers']} answers of {one['name']} were cut off at {setting.sampling.max_tokens} "
        "tokens."
        for one in models
        if one["cut_off"] > MANY_CUT_OFF * one["answers"]
    ]
    if kin := same_family(setting.judge.model, [one.contestant.described for one in answers]):
        found.append(f"{kin[0].upper()}{kin[1:]}.")
    return found


def _sample(prompt: Prompt, answers: Sequence[Answers], games: Sequence[Judged]) -> Report:
    said = {some.contestant.name: one for some in answers for one in some.completions if one.prompt_id == prompt.id}
    return {
        "id": prompt.id,
        "prompt": prompt.wire,
        "reference": prompt.reference,
        "answers": [
            {
                "model": name,
                "text": one.text,
                "characters": one.length,
                "finish": one.finish,
                "status": one.status,
                "error": one.error,
            }
            for name, one in said.items()
        ],
        "verdicts": [_verdict(game) for game in games if game.prompt.id == prompt.id],
    }


def _unsteady(statistics: Sequence[ComparisonStatistics]) -> list[str]:
    """Say where a judge goes by the place of an answer more often than by its words."""
    found = [(one, one.bias.position_consistency.value) for one in statistics]
    return [
        f"{one.model_a} against {one.model_b}: the judge says the same in both orders on {100 * steady:.0f}% of the "
        "prompts only; it goes by the place of an answer more than by its words."
        for one, steady in found
        if steady is not None and steady < UNSTEADY
    ]


def _verdict(game: Judged) -> Report:
    """Return a verdict without what depends on when it was asked: tokens, money, whether the ledger had it."""
    outcome = game.outcome
    record: Report = {
        "model_a": game.model_a,
        "model_b": game.model_b,
        "winner": outcome.winner,
        "status": outcome.status,
        "score_a": outcome.score_a,
        "score_b": outcome.score_b,
    }
    if game.verdict is None:
        return record | {"mode": None, "error": None, "explanation": "", "orders": []}
    dropped = {"cached", "cost", "prompt_tokens", "completion_tokens"}
    orders = [one.model_dump(mode="json", exclude=dropped) for one in game.verdict.orders]
    told = {"mode": game.verdict.mode, "error": game.verdict.error, "explanation": game.verdict.explanation}
    return record | told | {"p_a": game.verdict.p_a, "orders": orders}


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
