"""Questions to a judge: asked many at a time, each answer kept as it comes."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from guerdon.client import Refused
from guerdon.judge_client import AsyncJudgeClient
from long_work.progress import Progress
from model_evaluation.journal import Journal
from model_evaluation.judge import Judge, asked

DEADLINE_S = 1800.0
"""Of one request; a chunk is so small that only a judge that has stopped answering takes as long."""
CHUNK = 8
"""Questions in one request at most: what is lost when this command is killed is asked again, from the ledger."""
CHUNK_BYTES = 1 << 20
"""Questions in one request, where they are several."""
LARGEST_BYTES = 7 << 20
"""One question; judge servers take bodies of 8 MiB, and the criteria take their part."""
TOO_LARGE = 413

Question = TypeVar("Question", bound=BaseModel)
Record = dict[str, Any]
Asking = Callable[[AsyncJudgeClient, list[Question]], Awaitable[list[Record]]]
"""Sends one request; returns one record a question."""


def answered(
    judge: Judge,
    questions: Mapping[str, Question],
    ask: Asking[Question],
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
    with Progress(f"{judge.info.name}: {what}", len(questions), len(questions) - len(wanted)) as stage:
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
    ask: Asking[Question],
    journal: Journal,
    stage: Progress,
    calls_each: int,
) -> None:
    chunks = _chunks(questions, min(CHUNK, max(1, judge.info.concurrency // calls_each)))
    # Twice as many as the judge takes at a time, so that it never waits for us.
    under_way = max(2, math.ceil(2 * judge.info.concurrency / (calls_each * len(chunks[0]))))

    async def one(client: AsyncJudgeClient, chunk: list[tuple[str, Question]], free: asyncio.Semaphore) -> None:
        async with free:
            answers = await _records(client, [question for _, question in chunk], ask)
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

    asked(judge.url, every())


async def _records(client: AsyncJudgeClient, some: list[Question], ask: Asking[Question]) -> list[Record]:
    try:
        return await ask(client, some)
    except Refused as error:
        if error.status_code != TOO_LARGE:
            raise
    if len(some) == 1:  # the server takes less than others do
        return [_too_large(len(some[0].model_dump_json().encode()))]
    return [record for question in some for record in await _records(client, [question], ask)]


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


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
