"""Merge the items of many callers into one call of the model."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

log = logging.getLogger(__name__)

Payload = TypeVar("Payload")
Result = TypeVar("Result")


class Request(NamedTuple, Generic[Payload]):
    """One item to run: its content id (equal ids have equal results), itself, and its cost in tokens."""

    id: str
    payload: Payload
    tokens: int


class Submission(Generic[Result]):
    """What one caller handed over together; `finished` is set when every item has a result or has expired.

    Attributes:
        results: one per item, in order; None where the deadline passed before its turn.
    """

    def __init__(self, size: int, deadline: float) -> None:
        self.deadline = deadline
        self.results: list[Result | None] = [None] * size
        self.finished = threading.Event()
        self._left = size
        if not size:
            self.finished.set()

    def settle(self, index: int, result: Result | None) -> None:
        """Record one result; called by the batcher's thread alone."""
        self.results[index] = result
        self._left -= 1
        if not self._left:
            self.finished.set()


@dataclass(slots=True, eq=False)
class Job(Generic[Payload, Result]):
    """One item that waits for the model, and whose it is."""

    request: Request[Payload]
    submission: Submission[Result]
    index: int


class Split(NamedTuple, Generic[Payload, Result]):
    """What a look at the waiting jobs decides."""

    batch: list[Job[Payload, Result]]
    waiting: list[Job[Payload, Result]]
    expired: list[Job[Payload, Result]]


def split(waiting: Sequence[Job[Payload, Result]], now: float, max_tokens: int) -> Split[Payload, Result]:
    """Choose the next batch from what waits, oldest first.

    The oldest job always goes. The jobs nearest to it in length go with it while the padded batch (rows x longest)
    stays within `max_tokens`. Jobs of one content take one place together.
    """
    alive = [job for job in waiting if job.submission.deadline > now]
    expired = [job for job in waiting if job.submission.deadline <= now] if len(alive) < len(waiting) else []
    if not alive:
        return Split([], [], expired)
    target = alive[0].request.tokens
    chosen: set[str] = set()
    longest = 0
    for job in sorted(alive, key=lambda job: abs(job.request.tokens - target)):
        if job.request.id in chosen:
            continue
        longest = max(longest, job.request.tokens)
        if chosen and longest * (len(chosen) + 1) > max_tokens:
            break
        chosen.add(job.request.id)
    batch = [job for job in alive if job.request.id in chosen]
    return Split(batch, [job for job in alive if job.request.id not in chosen], expired)


class Batcher(Generic[Payload, Result]):
    """A thread that runs the model whenever there is work, on as much of it as fits one call.

    Args:
        run: the model; one result per payload, in order. It should not raise; if it does, the batch gets `broken`.
        broken: what an item gets when `run` raised.
        max_tokens: budget of padded tokens in one call.
        clock: Unix time.
    """

    def __init__(
        self,
        run: Callable[[list[Payload]], list[Result]],
        broken: Callable[[BaseException], Result],
        max_tokens: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._run, self._broken, self._max_tokens, self._clock = run, broken, max_tokens, clock
        self._waiting: list[Job[Payload, Result]] = []
        self._work = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, requests: Sequence[Request[Payload]], deadline: float) -> Submission[Result]:
        """Hand items over, due at `deadline` (Unix time). Never blocks on the model."""
        submission: Submission[Result] = Submission(len(requests), deadline)
        jobs = [Job(request, submission, index) for index, request in enumerate(requests)]
        with self._work:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting += jobs
            self._work.notify()
        return submission

    @property
    def alive(self) -> bool:
        """Whether the thread still turns; a worker whose batcher died would take work and answer none."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._work:
            self._closed = True
            self._work.notify()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                batch, self._waiting, expired = split(self._waiting, self._clock(), self._max_tokens)
            for job in expired:
                job.submission.settle(job.index, None)
            if batch:
                self._answer(batch)

    def _answer(self, batch: list[Job[Payload, Result]]) -> None:
        distinct = {job.request.id: job.request.payload for job in batch}
        try:
            results = dict(zip(distinct, self._run(list(distinct.values())), strict=True))
        except BaseException as error:  # noqa: BLE001 - the model's thread outlives even a tokenizer's Rust panic
            log.error("a model call of %d items failed: %s", len(distinct), type(error).__name__)
            results = dict.fromkeys(distinct, self._broken(error))
        for job in batch:
            job.submission.settle(job.index, results[job.request.id])
