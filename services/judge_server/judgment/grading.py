"""One grade: an answer scored against criteria, as often as asked, and the mean of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from guerdon.judge_messages import Criterion, Grade, GradedAnswer, GradeMode, GradeRequest, GradeSample
from judge_server.judges import Judge
from judge_server.judgment.logprob_score import expected_score
from judge_server.judgment.material import Material, prompt_texts
from judge_server.judgment.question import question
from judge_server.judgment.rendering import grade_turns, is_blank
from judge_server.judgment.schemas import grade_schema
from judge_server.judgment.thoughts import without_thoughts
from judge_server.judgment.verdict import graded
from judge_server.llm import Asker, CallFailed, Outcome, Reply

QUALITY = Criterion(
    name="quality", description="How well the answer serves whoever wrote the prompt: correct, complete, clear."
)
"""What an answer is graded by when the request names nothing."""


@dataclass(frozen=True)
class Reading:
    """A reply's scores by criterion; expected: None where they cannot be read off its log-probabilities."""

    scores: dict[str, float]
    expected: dict[str, float] | None
    explanation: str


def read(material: Material, with_expectation: bool, reply: Reply) -> Reading:
    """Read a grade.

    Args:
        material: what the judge was shown, with the names of the criteria as its keys.
        with_expectation: whether log-probabilities count.

    Raises:
        CallFailed: the reply says none.
    """
    said, found = graded(reply, material)
    expected: dict[str, float] = {}
    if with_expectation and reply.logprobs:
        scores = {name: expected_score(reply, found.values[name]) for name in material.keys}
        expected = {name: score for name, score in scores.items() if score is not None}
    return Reading(said.scores, expected if len(expected) == len(material.keys) else None, said.explanation)


async def grade(asker: Asker, judge: Judge, answer: GradedAnswer, options: GradeRequest) -> Grade:
    """Return the grade of one answer, with what every call said; failures are its status, never raised.

    An empty answer scores 0 without a call. If a single sample fails, the grade is null: a mean of those that happened
    to succeed is another figure.
    """
    criteria = options.criteria or [QUALITY]
    names = [criterion.name for criterion in criteria]
    text = without_thoughts(answer.answer) if options.strip_think else answer.answer
    if is_blank(text):
        return Grade(score=0.0, criteria=dict.fromkeys(names, 0.0), mode="empty", explanation="The answer is empty.")
    try:
        turns = grade_turns(answer.prompt, text, answer.reference, criteria)
        beside = [*prompt_texts(answer.prompt), answer.reference or "", *(one.description for one in criteria)]
    except CallFailed as failure:
        return Grade(status=failure.status, error=failure.reason)
    reader = partial(read, Material([text, *beside], names), options.expectation and judge.logprobs)
    schema = grade_schema(judge, names)
    outcomes = await asyncio.gather(
        *(asker.ask(question(judge, turns, schema, sample), reader) for sample in range(options.samples))
    )
    return _grade(outcomes, criteria)


def _grade(outcomes: Sequence[Outcome[Reading]], criteria: Sequence[Criterion]) -> Grade:
    # Numbers that were written and expectations are not mixed in one mean.
    by_odds = all(outcome.reading is None or outcome.reading.expected is not None for outcome in outcomes)
    samples = [_sample(outcome, criteria, by_odds) for outcome in outcomes]
    spent: dict[str, Any] = {
        "samples": samples,
        "mode": _mode(outcomes, by_odds),
        "prompt_tokens": sum(sample.prompt_tokens for sample in samples),
        "completion_tokens": sum(sample.completion_tokens for sample in samples),
        "cost": sum(sample.cost for sample in samples),
        "cached": all(sample.cached for sample in samples),
    }
    for number, sample in enumerate(samples, 1):
        if sample.status != "ok":
            which = f"sample {number} of {len(samples)}: " if len(samples) > 1 else ""
            return Grade(status=sample.status, error=f"{which}{sample.error}", **spent)
    means = {one.name: fmean(sample.criteria[one.name] for sample in samples) for one in criteria}
    explanation = samples[0].explanation
    return Grade(score=_weighted(means, criteria), criteria=means, explanation=explanation, **spent)


def _mode(outcomes: Sequence[Outcome[Reading]], by_odds: bool) -> GradeMode:
    return "logprobs" if by_odds and any(outcome.reading for outcome in outcomes) else "verdict"


def _sample(outcome: Outcome[Reading], criteria: Sequence[Criterion], by_odds: bool) -> GradeSample:
    known: dict[str, Any] = {
        "reply": outcome.reply.text if outcome.reply else None,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "cost": outcome.cost,
        "cached": outcome.cached,
    }
    if outcome.reading is None:
        failure = outcome.failure or CallFailed("judge_transport", "no reply came")
        return GradeSample(status=failure.status, error=failure.reason, **known)
    reading = outcome.reading
    scores = reading.expected if by_odds and reading.expected else reading.scores
    explanation = reading.explanation
    return GradeSample(score=_weighted(scores, criteria), criteria=scores, explanation=explanation, **known)


def _weighted(scores: Mapping[str, float], criteria: Sequence[Criterion]) -> float:
    return fmean([scores[one.name] for one in criteria], [one.weight for one in criteria])
