"""Every pair's answers before the judge: each question asked once, failed ones again on the next run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from guerdon.judge_client import AsyncJudgeClient
from guerdon.judge_messages import CompareRequest, Comparison, Verdict
from model_evaluation.answers.completion import Completion, visible
from model_evaluation.answers.completions import Answers
from model_evaluation.content_key import content_key
from model_evaluation.journal import Journal
from model_evaluation.judge import Judge
from model_evaluation.prompts import Prompt
from model_evaluation.questions import DEADLINE_S, answered
from model_evaluation.statistics.outcome import Order, Outcome

RECONCILE = "agree"


@dataclass(frozen=True)
class Judged:
    """One prompt, two models, and the verdict; `failed` is the completion that is missing, and there is no verdict."""

    prompt: Prompt
    model_a: str
    model_b: str
    answer_a: Completion
    answer_b: Completion
    verdict: Verdict | None = None

    @property
    def failed(self) -> Completion | None:
        return next((one for one in (self.answer_a, self.answer_b) if one.text is None), None)

    @property
    def needs_no_call(self) -> bool:
        """Whether a judge server decides it by itself: the answers are the same, or one is empty; or has none."""
        if self.failed is not None:
            return True
        a, b = (visible(one.text or "") for one in (self.answer_a, self.answer_b))
        return a == b or not a or not b

    @property
    def outcome(self) -> Outcome:
        """The same as the statistics take it."""
        verdict = self.verdict or Verdict(status=self.failed.status if self.failed else "cancelled")
        return Outcome(
            self.prompt.id,
            self.model_a,
            self.model_b,
            verdict.winner,
            verdict.status,
            orders(verdict),
            verdict.score_a,
            verdict.score_b,
            self.answer_a.length,
            self.answer_b.length,
        )


def orders(verdict: Verdict) -> tuple[Order, ...]:
    """Return a verdict's calls as the statistics take them."""
    return tuple(Order(one.first, one.winner, one.score_a, one.score_b, one.p_a) for one in verdict.orders)


def games(prompts: Sequence[Prompt], answers: Sequence[Answers]) -> list[Judged]:
    """Return every pair of models on every prompt, without verdicts."""
    return [
        Judged(prompt, a.contestant.name, b.contestant.name, a.completions[index], b.completions[index])
        for a, b in combinations(answers, 2)
        for index, prompt in enumerate(prompts)
    ]


def judged(judge: Judge, unjudged: Sequence[Judged], criteria: str | None, journal: Journal) -> list[Judged]:
    """Return the games with their verdicts; those in the journal are not asked again, unless they failed.

    Raises:
        EvaluationError: the judge server refuses, or is gone; verdicts that came before are kept.
    """
    keys = [verdict_key(judge, game, criteria) for game in unjudged]
    playable = {key: game for key, game in zip(keys, unjudged, strict=True) if game.failed is None}
    verdicts = compared(judge, {key: _comparison(game, criteria) for key, game in playable.items()}, journal)
    return [
        game if game.failed else replace(game, verdict=verdicts[key]) for key, game in zip(keys, unjudged, strict=True)
    ]


def compared(
    judge: Judge, comparisons: Mapping[str, Comparison], journal: Journal, samples: int = 1
) -> dict[str, Verdict]:
    """Return a verdict for every comparison, by its key; those in the journal are not asked again, unless they failed.

    Raises:
        EvaluationError: the judge server refuses, or is gone; verdicts that came before are kept.
    """

    async def ask(client: AsyncJudgeClient, some: list[Comparison]) -> list[dict[str, Any]]:
        response = await client.compare(
            CompareRequest(
                comparisons=some,
                judge=judge.info.name,
                reconcile=RECONCILE,
                samples=samples,
                run=judge.run,
                allowance=judge.allowance,
                deadline_s=DEADLINE_S,
            )
        )
        return [verdict.model_dump(mode="json") for verdict in response.verdicts]

    answered(judge, comparisons, ask, journal, "verdicts", calls_each=2 * samples)
    return {key: journal.read(key, Verdict) for key in comparisons}


def _comparison(game: Judged, criteria: str | None) -> Comparison:
    return Comparison.model_validate(
        {
            "prompt": game.prompt.wire,
            "answer_a": game.answer_a.text,
            "answer_b": game.answer_b.text,
            "reference": game.prompt.reference,
            "criteria": criteria,
        }
    )


def verdict_key(judge: Judge, game: Judged, criteria: str | None) -> str:
    """Return what a game's verdict is kept under: another judge, prompt, answer or criterion is another verdict."""
    texts = [game.answer_a.text, game.answer_b.text]
    return content_key([judge.identity, RECONCILE, criteria, game.prompt.turns, game.prompt.reference, texts])
