"""Merge the items of many callers into one call of the model."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from reward_server.backlog import Backlog, Job, Limits, Request

log = logging.getLogger(__name__)

Payload = TypeVar("Payload")
Result = TypeVar("Result")


class Call(NamedTuple):
    """One call of the model, for those who measure: items, their tokens, padded tokens, seconds."""

    items: int
    tokens: int
    padded: int
    seconds: float


class Submission(Generic[Result]):
    """What one caller handed over together, and the results so far.

    Attributes:
        results: one per item, in order; None where it is not there yet, has expired, or was dropped.
        model_s: the model's time that fell to these items.
    """

    def __init__(self, size: int) -> None:
        self.results: list[Result | None] = [None] * size
        self.model_s = 0.0
        self._left = size
        self._news: list[int] = []
        self._changed = threading.Condition()

    @property
    def finished(self) -> bool:
        return not self._left

    def settle(self, results: Sequence[tuple[int, Result | None]], model_s: float = 0.0) -> None:
        """Record the results of some items, each item once."""
        with self._changed:
            for index, result in results:
                self.results[index] = result
                self._news.append(index)
            self._left -= len(results)
            self.model_s += model_s
            self._changed.notify_all()

    def news(self, until: float, clock: Callable[[], float] = time.time) -> tuple[list[int], bool]:
        """Wait for items that have been settled since the last call; return them, and whether they are the last.

        None of them: it is `until`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._news or not self._left, max(0.0, until - clock()))
            news, self._news = self._news, []
            return news, not self._left


class Batcher(Generic[Payload, Result]):
    """A thread that runs the model whenever there is work, on as much of it as fits one call; or several such threads.

    Args:
        run: the model; one result per payload, in order. It should not raise; if it does, the batch gets `broken`.
        broken: what an item gets when `run` raised.
        limits: of one call.
        call_s: what a call should take at most, by what the last ones took: others wait as long as it lasts.
        watch: called after each call.
        clock: Unix time.
        calls: how many may run side by side. More than one: they wait for others instead of computing, and what they
            take is neither what a larger call would cost nor the model's time.
    """

    def __init__(
        self,
        run: Callable[[list[Payload]], list[Result]],
        broken: Callable[[BaseException], Result],
        limits: Limits,
        call_s: float = float("inf"),
        watch: Callable[[Call], None] = lambda call: None,
        clock: Callable[[], float] = time.time,
        calls: int = 1,
    ) -> None:
        self._run, self._broken, self._watch, self._clock = run, broken, watch, clock
        self._computes = calls == 1
        self.limits = limits
        self._call_s, self._token_s = call_s, 0.0
        self._backlog: Backlog[Payload, Submission[Result]] = Backlog()
        self._work = threading.Condition()
        self._closed = False
        self._padded = limits.tokens
        self._threads = [threading.Thread(target=self._loop, name="batcher", daemon=True) for _ in range(calls)]
        for thread in self._threads:
            thread.start()

    def submit(self, requests: Sequence[Request[Payload]]) -> Submission[Result]:
        """Hand items over. Never blocks on the model."""
        submission: Submission[Result] = Submission(len(requests))
        jobs = [Job(request, submission, index) for index, request in enumerate(requests)]
        with self._work:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._backlog.add(jobs)
            self._work.notify_all()
        return submission

    def drop(self, submission: Submission[Result], ids: set[str]) -> None:
        """Forget items of a submission that still wait: nobody wants them any more. Their result is None."""
        with self._work:
            dropped = self._backlog.drop(lambda job: job.owner is submission and job.request.id in ids)
        submission.settle([(job.index, None) for job in dropped])

    def shrink(self) -> None:
        """Allow half of the padded tokens of the present call from now on: they were too much for the memory."""
        self.limits = self.limits._replace(tokens=max(1, min(self.limits.tokens, self._padded // 2)))
        log.warning("out of memory: model calls hold %d padded tokens from now on", self.limits.tokens)

    @property
    def alive(self) -> bool:
        """Whether every thread still turns; a worker whose batcher died would take work and answer none."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._work:
            self._closed = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    def _loop(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: len(self._backlog) or self._closed)
                if not len(self._backlog):
                    return
                batch, expired = self._backlog.take(self._clock(), self._next_limits())
            for submission, jobs in _by_owner(expired):
                submission.settle([(job.index, None) for job in jobs])
            if batch:
                self._answer(batch)

    def _next_limits(self) -> Limits:
        if not (self._token_s and self._computes):
            return self.limits
        return self.limits._replace(tokens=int(min(self.limits.tokens, max(1.0, self._call_s / self._token_s))))

    def _answer(self, batch: list[Job[Payload, Submission[Result]]]) -> None:
        distinct = {job.request.id: job.request for job in batch}
        tokens = sum(request.tokens for request in distinct.values())
        longest = max(request.tokens for request in distinct.values())
        self._padded = self.limits.padded(len(distinct), longest, tokens)
        padded, started = self._padded, time.perf_counter()
        try:
            payloads = [request.payload for request in distinct.values()]
            results = dict(zip(distinct, self._run(payloads), strict=True))
        except BaseException as error:  # noqa: BLE001 - the model's thread outlives even a tokenizer's Rust panic
            log.error("a model call of %d items failed: %s", len(distinct), type(error).__name__)
            results = dict.fromkeys(distinct, self._broken(error))
        seconds = time.perf_counter() - started
        self._token_s = (self._token_s + seconds / padded) / 2 if self._token_s else seconds / padded
        for submission, jobs in _by_owner(batch):
            share = seconds * self._computes * sum(job.request.tokens for job in jobs) / max(1, tokens)
            submission.settle([(job.index, results[job.request.id]) for job in jobs], share)
        self._watch(Call(len(distinct), tokens, padded, seconds))


def _by_owner(
    jobs: list[Job[Payload, Submission[Result]]],
) -> Iterator[tuple[Submission[Result], list[Job[Payload, Submission[Result]]]]]:
    owners: dict[int, list[Job[Payload, Submission[Result]]]] = {}
    for job in jobs:
        owners.setdefault(id(job.owner), []).append(job)
    for some in owners.values():
        yield some[0].owner, some
