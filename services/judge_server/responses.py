"""All the judgments of one request: made at the same time, each failing alone, with what they cost together."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from guerdon.judge_messages import (
    CompareRequest,
    CompareResponse,
    Comparison,
    Grade,
    GradedAnswer,
    GradeRequest,
    GradeResponse,
    JudgeUsage,
    Verdict,
)
from judge_server.admission import Promise
from judge_server.judges import Judge
from judge_server.judgment.comparison import compare
from judge_server.judgment.grading import grade
from judge_server.judgment.rendering import prompt_version
from judge_server.llm import Asker, Call, Outcome, Reading, Reply
from judge_server.metrics import observe_call

log = logging.getLogger("guerdon.judge")

Matter = TypeVar("Matter")
Judgment = TypeVar("Judgment")


class Accountant:
    """An Asker that adds up what is asked through it, for the request's answer and for Prometheus."""

    def __init__(self, asker: Asker, judge: Judge) -> None:
        self._asker, self._judge = asker, judge
        self._calls = self._cached = self._prompt_tokens = self._completion_tokens = 0
        self._cost = 0.0

    @property
    def usage(self) -> JudgeUsage:
        return JudgeUsage(
            calls=self._calls,
            cached=self._cached,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cost=self._cost,
        )

    async def ask(self, call: Call, read: Callable[[Reply], Reading]) -> Outcome[Reading]:
        started = time.perf_counter()
        outcome = await self._asker.ask(call, read)
        observe_call(self._judge.name, self._judge.currency, outcome, time.perf_counter() - started)
        self._calls += outcome.attempts
        self._cached += outcome.cached
        self._prompt_tokens += outcome.prompt_tokens
        self._completion_tokens += outcome.completion_tokens
        self._cost += outcome.cost
        return outcome


def calls_each(request: CompareRequest | GradeRequest) -> int:
    """Return how many calls one of its judgments needs at the most."""
    both = isinstance(request, CompareRequest) and request.orders == "both"
    return request.samples * (2 if both else 1)


async def compared(asker: Asker, judge: Judge, request: CompareRequest, promise: Promise) -> CompareResponse:
    """Return the verdicts of a request, in the order of its comparisons."""
    accountant = Accountant(asker, judge)

    async def one(comparison: Comparison) -> Verdict:
        return await compare(accountant, judge, comparison, request)

    def failed(error: str) -> Verdict:
        return Verdict(status="model_error", error=error, reconcile=request.reconcile)

    verdicts = await _each(request.comparisons, one, failed, lambda: promise.less(calls_each(request)))
    return CompareResponse(
        judge=judge.name,
        model=judge.model,
        prompt_version=prompt_version(),
        verdicts=verdicts,
        usage=accountant.usage,
    )


async def graded(asker: Asker, judge: Judge, request: GradeRequest, promise: Promise) -> GradeResponse:
    """Return the grades of a request, in the order of its answers."""
    accountant = Accountant(asker, judge)

    async def one(answer: GradedAnswer) -> Grade:
        return await grade(accountant, judge, answer, request)

    def failed(error: str) -> Grade:
        return Grade(status="model_error", error=error)

    grades = await _each(request.answers, one, failed, lambda: promise.less(calls_each(request)))
    return GradeResponse(
        judge=judge.name, model=judge.model, prompt_version=prompt_version(), grades=grades, usage=accountant.usage
    )


async def _each(
    matters: Sequence[Matter],
    judged: Callable[[Matter], Awaitable[Judgment]],
    failed: Callable[[str], Judgment],
    done: Callable[[], None],
) -> list[Judgment]:
    """Judge all at the same time. Cancelling this cancels them all, and waits until they have ended."""

    async def alone(matter: Matter) -> Judgment:
        try:
            judgment = await judged(matter)
        except Exception as error:  # the boundary: a mistake of ours costs one judgment, not its neighbours
            log.error("a judgment failed by a mistake of the server's own", exc_info=error)
            judgment = failed(f"a mistake of the judge server's own: {type(error).__name__}; its log has more")
        done()
        return judgment

    tasks: list[asyncio.Task[Judgment]] = []
    async with asyncio.TaskGroup() as group:
        for matter in matters:
            tasks.append(group.create_task(alone(matter)))
            await asyncio.sleep(0)  # each renders before it first waits: others get their turn in between
    return [task.result() for task in tasks]
