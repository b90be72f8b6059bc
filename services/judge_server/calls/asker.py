"""Ask one judge on behalf of one request: ledger, then budget, limits and retries; whatever happens has an outcome."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from judge_server.budget.accounts import Account
from judge_server.budget.budget import Budgets, most
from judge_server.calls.attempt import LEDGER, Attempt, Line, Paper
from judge_server.calls.retry import wait_s
from judge_server.ledger.cache_key import cache_key
from judge_server.ledger.ledger import Ledger
from judge_server.ledger.thread import LedgerUnavailable
from judge_server.llm import Call, CallFailed, Outcome, Reply

log = logging.getLogger("guerdon.judge")

LEASE_GRACE_S = 60.0
"""So long after its deadline a call that was never settled is taken for gone, with the process that sent it."""

Reading = TypeVar("Reading")


Replied = tuple[Reply, Any, CallFailed | None]
"""A reply with its reading, or why it cannot be read."""


@dataclass(frozen=True)
class Shared:
    """What became of a call, for others that asked the same meanwhile."""

    reply: Reply | None
    failure: CallFailed | None


@dataclass
class Desk:
    """What the askers of one server share."""

    ledger: Ledger
    budgets: Budgets
    finish_s: float
    """How long a call that is paid and that nobody waits for any more may take."""
    under_way: "dict[str, asyncio.Future[Shared | None]]" = field(default_factory=dict)
    left_behind: "dict[str, asyncio.Task[Replied]]" = field(default_factory=dict)
    """Calls by key that were on their way when whoever asked went: they are paid, and end in the ledger."""

    def leave(self, key: str, task: "asyncio.Task[Replied]") -> None:
        """Let a call that is on its way end by itself, or be cancelled after `finish_s`."""
        self.left_behind[key] = task
        timer = asyncio.get_running_loop().call_later(self.finish_s, task.cancel)

        def ended(_: "asyncio.Task[Replied]") -> None:
            timer.cancel()
            del self.left_behind[key]

        task.add_done_callback(ended)

    async def settled(self) -> None:
        """Wait for what was left behind."""
        await asyncio.gather(*self.left_behind.values(), return_exceptions=True)


@dataclass
class Tally:
    """What a call has cost so far, all its attempts together, and what it is waiting for."""

    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    waiting_for: str = LEDGER

    def outcome(self, **what: Any) -> Outcome[Any]:
        return Outcome(
            attempts=self.attempts,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cost=self.cost,
            **what,
        )


class JudgeAsker:
    """The Asker of one request to one judge.

    Args:
        deadline: of the request, by time.monotonic().
    """

    def __init__(
        self, desk: Desk, line: Line, accounts: list[Account], run: str | None, prompt_version: str, deadline: float
    ) -> None:
        self._desk, self._line, self._accounts = desk, line, accounts
        self._run, self._prompt_version, self._deadline = run, prompt_version, deadline

    async def ask(self, call: Call, read: Callable[[Reply], Reading]) -> Outcome[Reading]:
        tally = Tally()
        try:
            async with asyncio.timeout(self._left_s()):
                return await self._answered(call, read, tally)
        except CallFailed as failure:
            return tally.outcome(failure=failure)
        except LedgerUnavailable as error:
            why = f"the ledger cannot be used, and no call is paid without it: {error}"
            return tally.outcome(failure=CallFailed("overloaded", why, retriable=True))
        except TimeoutError:
            if tally.waiting_for == LEDGER:
                why = "the ledger cannot be used: it did not answer before the deadline, and no call is paid without it"
                return tally.outcome(failure=CallFailed("overloaded", why, retriable=True, sent=tally.attempts > 0))
            why = f"{self._line.judge.name}: the request's deadline passed while waiting for {tally.waiting_for}"
            return tally.outcome(failure=CallFailed("judge_timeout", why, retriable=True, sent=tally.attempts > 0))

    def _left_s(self) -> float:
        return self._deadline - time.monotonic()

    async def _answered(self, call: Call, read: Callable[[Reply], Reading], tally: Tally) -> Outcome[Reading]:
        key = cache_key(self._line.judge, call, self._prompt_version)
        while (other := self._desk.under_way.get(key)) is not None:
            tally.waiting_for = "the same call of another request"
            shared = await asyncio.shield(other)
            if shared is not None and shared.reply is not None:
                reading, failure = _read(shared.reply, read)
                return tally.outcome(reading=reading, failure=failure, reply=shared.reply, cached=True)
            if shared is not None:
                return tally.outcome(failure=shared.failure)
        with self._leading(key) as told:
            stored = await self._desk.ledger.find(key)
            if stored is not None:
                reading, failure = _read(stored, read)
                if failure is None:  # else it was read by other rules, and is asked again
                    told.set_result(Shared(stored, None))
                    return tally.outcome(reading=reading, reply=stored, cached=True)
            try:
                reply, reading, failure = await self._paid(call, key, read, tally)
            except CallFailed as failure:
                if failure.status not in {"judge_budget", "judge_timeout"}:  # these may be this request's own
                    told.set_result(Shared(None, failure))
                raise
            told.set_result(Shared(reply, failure))
            return tally.outcome(reading=reading, failure=failure, reply=reply)

    @contextmanager
    def _leading(self, key: str) -> "Iterator[asyncio.Future[Shared | None]]":
        """Be the one who asks; whatever happens, those who wait for it are told, at worst to ask themselves (None)."""
        told: asyncio.Future[Shared | None] = asyncio.get_running_loop().create_future()
        self._desk.under_way[key] = told

        def end(shared: Shared | None) -> None:
            del self._desk.under_way[key]
            if not told.done():
                told.set_result(shared)

        try:
            yield told
        finally:
            if (behind := self._desk.left_behind.get(key)) is None:
                end(None)
            else:  # whoever asks meanwhile gets its reply
                behind.add_done_callback(lambda task: end(_shared(task)))

    async def _paid(
        self, call: Call, key: str, read: Callable[[Reply], Reading], tally: Tally
    ) -> tuple[Reply, Reading | None, CallFailed | None]:
        """Send a call as often as it takes.

        Raises:
            CallFailed: no reply came, for good.
        """
        judge = self._line.judge
        for number in count(1):
            try:
                return await self._attempted(call, key, read, tally)
            except CallFailed as failure:
                wait = wait_s(failure, number, judge.attempts, judge.max_wait_s, self._left_s())
                log.info("%s: attempt %d failed: %s; again in %.2f s", judge.name, number, failure.status, wait)
                if failure.throttled and failure.retry_after_s:
                    self._line.concurrency.pause(failure.retry_after_s)
                tally.waiting_for = f"another attempt ({failure.reason})"
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _attempted(
        self, call: Call, key: str, read: Callable[[Reply], Reading], tally: Tally
    ) -> tuple[Reply, Reading | None, CallFailed | None]:
        desk, line = self._desk, self._line
        line.gate.check()
        tally.waiting_for = "the budget: what is left is reserved for calls under way"
        lease_s = max(0.0, self._left_s()) + LEASE_GRACE_S
        hold = await desk.budgets.reserve(line.judge, self._accounts, most(line.judge, call), lease_s)
        attempt = Attempt(line, desk.ledger, desk.budgets, hold, Paper(key, self._run, self._prompt_version), call)
        carried_out = asyncio.create_task(_carried_out(attempt, read, self._deadline), name="call")
        try:
            reply, reading, unread = await asyncio.shield(carried_out)
        except asyncio.CancelledError:
            if attempt.sent:
                desk.leave(key, carried_out)
            else:
                carried_out.cancel()
            raise
        finally:
            tally.attempts += attempt.sent
            tally.waiting_for = attempt.waiting_for
        self._count(tally, reply)
        return reply, reading, unread

    def _count(self, tally: Tally, reply: Reply) -> None:
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            tally.prompt_tokens += reply.prompt_tokens
            tally.completion_tokens += reply.completion_tokens
            tally.cost += self._line.judge.prices.cost(reply.prompt_tokens, reply.completion_tokens)


async def _carried_out(attempt: Attempt, read: Callable[[Reply], Reading], deadline: float) -> Replied:
    """Send a call once and book how it ends.

    Raises:
        CallFailed: no reply came.
        LedgerUnavailable: it was not sent.
    """
    try:
        reply = await attempt.reply(deadline)
    except CallFailed as failure:
        attempt.failed(failure)
        raise
    except BaseException:
        attempt.abandoned()
        raise
    reading, unread = _read(reply, read)
    # What cannot be noted is logged; the reply is there and paid, and the next call stops before it is sent.
    with suppress(LedgerUnavailable):
        await attempt.ended(reply, unread)
    return reply, reading, unread


def _shared(task: "asyncio.Task[Replied]") -> Shared | None:
    """Return what others may have of a call that was left behind: its reply, else nothing."""
    if task.cancelled() or task.exception() is not None:
        return None
    reply, _, unread = task.result()
    return Shared(reply, unread)


def _read(reply: Reply, read: Callable[[Reply], Reading]) -> tuple[Reading | None, CallFailed | None]:
    try:
        return read(reply), None
    except CallFailed as failure:
        return None, failure
    except Exception as error:  # a reply that breaks its reader fails alone, and its usage is booked
        log.exception("a reply cannot be read")
        return None, CallFailed("judge_unparseable", f"the reply broke its reader: {type(error).__name__}")
