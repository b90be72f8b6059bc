"""One sending of a call: what is held for it, its row in the ledger, and how both end exactly once."""

import asyncio
import time
import uuid
from dataclasses import dataclass

from judge_server.budget.accounts import Amount, Hold, nanos_up
from judge_server.budget.budget import Budgets
from judge_server.calls.adaptive_concurrency import Concurrency
from judge_server.calls.gate import Gate
from judge_server.judges import Judge
from judge_server.ledger.cache_key import prompt_hash
from judge_server.ledger.ledger import EndedCall, Ledger, SentCall
from judge_server.ledger.reply_json import dump
from judge_server.limits.rate_limit import RateLimit, Turn
from judge_server.llm import Backend, Call, CallFailed, Reply

LEDGER = "the ledger"
"""What a call waits for until it is noted."""


@dataclass(frozen=True)
class Line:
    """What all calls to one judge go through.

    Attributes:
        gate: closed while the server has nothing for anybody.
        anteroom: calls that are noted in the ledger, under way or next to be. Noting takes as long as a busy loop lets
            it, and nobody should hold a slot for that; but after a crash all that are noted count as paid, so few are:
            twice the judge's concurrency.
    """

    judge: Judge
    backend: Backend
    gate: Gate
    anteroom: asyncio.Semaphore
    concurrency: Concurrency
    rates: RateLimit


@dataclass(frozen=True)
class Paper:
    """What a call's row says of it beside the call itself."""

    key: str
    run: str | None
    prompt_version: str


class Attempt:
    """A call with its reservation; `reply`, then one of `ended`, `failed`, `abandoned`.

    Attributes:
        sent: whether it has been on its way to the server.
        waiting_for: what its next step is.
    """

    def __init__(self, line: Line, ledger: Ledger, budgets: Budgets, hold: Hold, paper: Paper, call: Call) -> None:
        self._line, self._ledger, self._budgets, self._hold = line, ledger, budgets, hold
        self._paper, self._call = paper, call
        self._id = uuid.uuid4().hex
        self._turn: Turn | None = None
        self._noted = False
        self._began = time.monotonic()
        self.sent = False
        self.waiting_for = "its turn"

    async def reply(self, deadline: float) -> Reply:
        """Note the call in the ledger, wait for a slot and the rate limits, send it.

        Raises:
            CallFailed: no reply came.
            LedgerUnavailable: it could not be noted, so it was not sent.
        """
        async with self._line.anteroom:
            self._line.gate.check()
            self._noted = True
            self.waiting_for = LEDGER
            await self._ledger.begin(self._row(deadline - time.monotonic()))
            self.waiting_for = "its turn"
            async with self._line.concurrency.slot():
                self._line.gate.check()
                self._turn = await self._line.rates.turn(self._hold.amount.tokens, deadline - time.monotonic())
                self._line.gate.check()
                return await self._sent(deadline)

    async def _sent(self, deadline: float) -> Reply:
        self.waiting_for, self.sent = "its reply", True
        self._began = time.monotonic()
        timeout_s = min(self._line.judge.timeout_s, max(0.001, deadline - self._began))
        try:
            return await self._line.backend.ask(self._call, timeout_s)
        except CallFailed as failure:
            self._line.gate.heard(failure)  # before another call has this one's slot
            raise

    async def ended(self, reply: Reply, failure: CallFailed | None) -> None:
        """Book what a reply cost, whether it could be read or not; returns when the ledger has it."""
        cost = None
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            cost = self._line.judge.prices.cost(reply.prompt_tokens, reply.completion_tokens)
            self._settle(Amount(nanos_up(cost), reply.prompt_tokens + reply.completion_tokens))
        else:
            self._settle(None)
        await self._ledger.finish(
            EndedCall(
                call_id=self._id,
                state="ok" if failure is None else "failed",
                finished=time.time(),
                latency=time.monotonic() - self._began,
                status="ok" if failure is None else failure.status,
                error=None if failure is None else failure.reason,
                model_returned=reply.model,
                system_fingerprint=reply.fingerprint,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                cost=cost,
                reply=dump(reply),
            )
        )

    def failed(self, failure: CallFailed) -> None:
        """Book that no reply came: nothing where the server refused, the most it can have cost where nobody knows."""
        self._end(self.sent and failure.sent, failure)

    def abandoned(self) -> None:
        """Book a call that nobody waits for any more."""
        self._end(self.sent, CallFailed("cancelled", "whoever asked hung up, or the deadline passed"))

    def _end(self, paid: bool, failure: CallFailed) -> None:
        self._settle(None if paid else Amount())
        if self._noted:
            self._ledger.finish(
                EndedCall(
                    call_id=self._id,
                    state="presumed" if paid else "failed",
                    finished=time.time(),
                    latency=time.monotonic() - self._began,
                    status=failure.status,
                    error=failure.reason,
                    prompt_tokens=None if paid else 0,
                    completion_tokens=None if paid else 0,
                    cost=None if paid else 0.0,
                )
            )

    def _settle(self, spent: Amount | None) -> None:
        self._budgets.settle(self._hold, spent)
        self._line.rates.settle(self._turn, None if spent is None else spent.tokens)

    def _row(self, left_s: float) -> SentCall:
        judge, call, now = self._line.judge, self._call, time.time()
        return SentCall(
            id=self._id,
            key=self._paper.key,
            judge=judge.name,
            kind=judge.kind,
            base_url=judge.url,
            run=self._paper.run,
            prompt_hash=prompt_hash(call.turns),
            model=judge.model,
            seed=None if call.seed is None else call.seed + call.sample,
            sample=call.sample,
            prompt_version=self._paper.prompt_version,
            reserved_cost=judge.prices.cost(self._hold.amount.tokens - call.max_tokens, call.max_tokens),
            reserved_tokens=self._hold.amount.tokens,
            created=now,
            given_up=now + max(0.0, left_s),
        )
