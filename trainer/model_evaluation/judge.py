"""The judge of an evaluation: found, asked many questions at a time, its answers kept as they come."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from guerdon.client import Refused, ServerError, Unreachable
from guerdon.judge_client import AsyncJudgeClient
from guerdon.judge_messages import Allowance, Budget, JudgeInfo
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.journal import Journal
from model_evaluation.stage import Stage

DEADLINE_S = 1800.0
"""Of one request; a chunk is so small that only a judge that has stopped answering takes as long."""
PATIENCE_S = 20.0
"""A judge server that cannot be reached for so long is given up."""
CHUNK = 8
"""Questions in one request at most: what is lost when this command is killed is asked again, from the ledger."""
CHUNK_BYTES = 1 << 20
"""Questions in one request, where they are several."""
LARGEST_BYTES = 7 << 20
"""One question; judge servers take bodies of 8 MiB, and the criteria take their part."""
TOO_LARGE = 413

Question = TypeVar("Question", bound=BaseModel)
Answer = TypeVar("Answer")
Record = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """One judge of one judge server, on behalf of one run.

    Attributes:
        run: names what is paid for this evaluation in the server's books; the same for the same evaluation.
        allowance: what the evaluation may spend in all, over all its runs.
    """

    url: str
    token: str | None
    info: JudgeInfo
    run: str
    allowance: Allowance | None = None

    def client(self) -> AsyncJudgeClient:
        return AsyncJudgeClient(self.url, self.token, patience_s=PATIENCE_S)

    @property
    def identity(self) -> list[str]:
        """What a verdict depends on beside the question."""
        return [self.info.name, self.info.model, self.info.version, self.info.prompt_version]


def found(url: str, token: str | None, name: str | None) -> JudgeInfo:
    """Return the judge of this name, or the server's default, once it is known that it can be asked.

    Raises:
        EvaluationError: the server cannot be reached, has no such judge, or the judge lacks something.
    """

    async def ask() -> list[JudgeInfo]:
        async with AsyncJudgeClient(url, token, patience_s=PATIENCE_S) as client:
            return await client.judges()

    judges = _asked(url, ask())
    known = ", ".join(judge.name for judge in judges)
    info = next((judge for judge in judges if (judge.name == name if name else judge.default)), None)
    if info is None:
        raise EvaluationError(f"{url} has no judge {name!r}; it has: {known}")
    if not info.available:
        others = ", ".join(judge.name for judge in judges if judge.available) or "none"
        raise EvaluationError(f"the judge {info.name!r} cannot be asked: {info.problem}. Judges that can: {others}")
    return info


def budget(judge: Judge) -> Budget | None:
    """Return what the server's books say that this evaluation has cost; None where it keeps none for it."""

    async def ask() -> list[Budget]:
        async with judge.client() as client:
            return await client.budget(judge.run)

    return next((one for one in _asked(judge.url, ask()) if one.judge == judge.info.name), None)


def answered(
    judge: Judge,
    questions: Mapping[str, Question],
    ask: Callable[[AsyncJudgeClient, list[Question]], Awaitable[list[Record]]],
    journal: Journal,
    what: str,
    calls_each: int,
) -> None:
    """Ask all questions that the journal has no good answer to; every answer is in it when it comes.

    A question that is too large for a judge server gets the status invalid_input, alone.

    Args:
        questions: by their keys in the journal.
        ask: sends one request; returns one record a question.
        what: the answers' name, for people.
        calls_each: how many calls a question is to the judge.

    Raises:
        EvaluationError: the server refuses, or is gone; what came before is kept.
    """
    wanted = journal.missing(questions)
    with Stage(f"{judge.info.name}: {what}", len(questions), len(questions) - len(wanted)) as stage:
        sizes = {key: len(one.model_dump_json().encode()) for key, one in wanted.items()}
        unsent = [key for key, size in sizes.items() if size > LARGEST_BYTES]
        journal.append({"key": key, **_too_large(sizes[key])} for key in unsent)
        if unsent:
            stage.advance(len(unsent))
        sent = [(key, one, sizes[key]) for key, one in wanted.items() if sizes[key] <= LARGEST_BYTES]
        if sent:
            _send(judge, sent, ask, journal, stage, calls_each)


def _send(
    judge: Judge,
    questions: Sequence[tuple[str, Question, int]],
    ask: Callable[[AsyncJudgeClient, list[Question]], Awaitable[list[Record]]],
    journal: Journal,
    stage: Stage,
    calls_each: int,
) -> None:
    chunks = _chunks(questions, min(CHUNK, max(1, judge.info.concurrency // calls_each)))
    # Twice as many as the judge takes at a time, so that it never waits for us.
    under_way = max(2, math.ceil(2 * judge.info.concurrency / (calls_each * len(chunks[0]))))

    async def records(client: AsyncJudgeClient, some: list[Question]) -> list[Record]:
        try:
            return await ask(client, some)
        except Refused as error:
            if error.status_code != TOO_LARGE:
                raise
        if len(some) == 1:  # the server takes less than others do
            return [_too_large(len(some[0].model_dump_json().encode()))]
        return [record for question in some for record in await records(client, [question])]

    async def one(client: AsyncJudgeClient, chunk: list[tuple[str, Question]], free: asyncio.Semaphore) -> None:
        async with free:
            answers = await records(client, [question for _, question in chunk])
            journal.append({"key": key, **record} for (key, _), record in zip(chunk, answers, strict=True))
            stage.advance(len(chunk))

    async def every() -> None:
        free = asyncio.Semaphore(under_way)
        failure: BaseException | None = None
        try:
            async with judge.client() as client, asyncio.TaskGroup() as tasks:
                for chunk in chunks:
                    tasks.create_task(one(client, chunk, free))
        except BaseExceptionGroup as group:
            failure = _first(group)
        if failure is not None:
            raise failure  # here, where nothing is handled, it keeps its own context

    _asked(judge.url, every())


def _chunks(questions: Sequence[tuple[str, Question, int]], largest: int) -> list[list[tuple[str, Question]]]:
    chunks: list[list[tuple[str, Question]]] = []
    filled = 0
    for key, question, size in questions:
        if not chunks or len(chunks[-1]) == largest or filled + size > CHUNK_BYTES:
            chunks.append([])
            filled = 0
        chunks[-1].append((key, question))
        filled += size
    return chunks


def _too_large(size: int) -> Record:
    return {
        "status": "invalid_input",
        "error": f"{size} bytes of prompt and answers are more than a judge server takes",
    }


def _asked(url: str, asking: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        return asyncio.run(asking)
    except Unreachable as error:
        if not isinstance(error.__context__, httpx.TransportError):  # answers came to the end, such as 500
            raise EvaluationError(f"the judge server fails: {error}; its own log says why") from None
        raise EvaluationError(
            f"no judge server answers: {error}. Name a running one with --judge-url, or leave it out to have one "
            "started for the command"
        ) from None
    except Refused as error:
        hint = " (the token is that of the environment variable GUERDON_JUDGE_TOKEN)"
        raise EvaluationError(f"{error}{hint if error.status_code in {401, 403} else ''}") from None
    except (ServerError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise EvaluationError(f"{url} is no judge server: {error}") from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
