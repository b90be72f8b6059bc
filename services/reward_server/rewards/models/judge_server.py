"""The judge server, as rewards ask it: who it is, requests of a size that it takes, and failures with a status."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel

from guerdon.client import Refused, ServerError, Unreachable
from guerdon.judge_client import URL, JudgeClient
from guerdon.judge_messages import MAX_JUDGMENTS, CompareRequest, Comparison, Grade, GradedAnswer, GradeRequest, Verdict
from guerdon.messages import Score

PATIENCE_S = 10.0
"""How long a server that does not answer at all is tried again: it may be starting anew."""
MAX_BYTES = 4 << 20
"""Of one request; half of what the judge server takes by default, for operators may set less."""

Question = TypeVar("Question", bound=BaseModel)
Answer = TypeVar("Answer")


class JudgeServer:
    """The judge server of the operator's environment: GUERDON_JUDGE_URL and GUERDON_JUDGE_TOKEN. For many threads.

    Raises:
        ValueError: GUERDON_JUDGE_URL is no URL of a server.
    """

    def __init__(self) -> None:
        url = os.environ.get("GUERDON_JUDGE_URL") or URL
        if urlsplit(url).scheme not in ("http", "https") or "@" in urlsplit(url).netloc:
            raise ValueError(
                f"GUERDON_JUDGE_URL is http:// or https:// without a user or password, e.g. {URL}; a token goes into "
                "GUERDON_JUDGE_TOKEN"
            )
        self._client = JudgeClient(url, os.environ.get("GUERDON_JUDGE_TOKEN"), PATIENCE_S)

    def grades(self, request: GradeRequest) -> list[Grade | Score]:
        """Return the grade of every answer, or a failed score that says why there is none."""

        def ask(some: list[GradedAnswer], left_s: float) -> Sequence[Grade]:
            part = request.model_copy(update={"answers": some, "deadline_s": left_s})
            return self._client.grade(part).grades

        return _in_parts(request.answers, ask, request.deadline_s, _bytes(request, "answers"))

    def verdicts(self, request: CompareRequest) -> list[Verdict | Score]:
        """Return the verdict on every comparison, or a failed score that says why there is none."""

        def ask(some: list[Comparison], left_s: float) -> Sequence[Verdict]:
            part = request.model_copy(update={"comparisons": some, "deadline_s": left_s})
            return self._client.compare(part).verdicts

        return _in_parts(request.comparisons, ask, request.deadline_s, _bytes(request, "comparisons"))


def _in_parts(
    questions: Sequence[Question],
    ask: Callable[[list[Question], float], Sequence[Answer]],
    timeout_s: float,
    shared: int = 0,
) -> list[Answer | Score]:
    ends = time.monotonic() + timeout_s
    answers: list[Answer | Score] = []
    for some in parts(questions, shared):
        answers += _answers(some, ask, ends - time.monotonic())
    return answers


def _answers(
    some: list[Question], ask: Callable[[list[Question], float], Sequence[Answer]], left_s: float
) -> Sequence[Answer | Score]:
    if left_s <= 0:
        return [Score.failed("judge_timeout", "the time was over before it was asked")] * len(some)
    try:
        answers = ask(some, left_s)
    except (ServerError, httpx.HTTPError) as error:
        return [Score.failed("judge_transport", _why(error))] * len(some)
    if len(answers) != len(some):
        why = f"the judge server gave {len(answers)} answers to {len(some)} questions"
        return [Score.failed("judge_transport", why)] * len(some)
    return answers


def _why(error: ServerError | httpx.HTTPError) -> str:
    if isinstance(error, Unreachable):
        return f"{error}. Is a judge server running there? GUERDON_JUDGE_URL names it"
    if isinstance(error, Refused) and error.status_code in (401, 403):
        return f"{error}. GUERDON_JUDGE_TOKEN holds its token"
    return str(error) if isinstance(error, ServerError) else f"no readable answer ({type(error).__name__})"


def parts(questions: Sequence[Question], shared: int = 0) -> Iterator[list[Question]]:
    """Yield the questions in lists that one request takes; one that is too large for any stands alone.

    Args:
        shared: bytes of each request beside its questions.
    """
    part: list[Question] = []
    held = shared
    for question in questions:
        size = _bytes(question) + 1  # and a comma
        if part and (len(part) == MAX_JUDGMENTS or held + size > MAX_BYTES):
            yield part
            part, held = [], shared
        part.append(question)
        held += size
    if part:
        yield part


def _bytes(message: BaseModel, *without: str) -> int:
    """Return how long a message is as JSON, as the client sends it."""
    return len(message.model_dump_json(exclude=set(without)).encode())
