"""Everything between a judgment and a model: one ledger, the budgets, and the line of calls to each judge."""

import asyncio
from typing import Self

from guerdon.judge_messages import Allowance, Budget
from judge_server.backends import connect, kinds
from judge_server.budget.accounts import Books, LocalBooks
from judge_server.budget.budget import Budgets
from judge_server.budget.shared_accounts import SharedBooks
from judge_server.calls.adaptive_concurrency import Concurrency
from judge_server.calls.asker import Desk, JudgeAsker
from judge_server.calls.attempt import Line
from judge_server.calls.gate import Gate
from judge_server.judges import ConfigError, Judge, Judges
from judge_server.ledger.ledger import Ledger
from judge_server.limits.rate_limit import LocalRates, RateLimit, Rates
from judge_server.limits.shared_rate_limit import SharedRates
from judge_server.llm import Asker, Backend, Call, CallFailed, Reply
from judge_server.provider.chat_completions import ChatCompletions
from judge_server.redis_scripts import Scripts
from judge_server.settings import Settings

FINISH_S = 10.0
"""How long calls go on that are paid and that nobody waits for any more; so also how long a server takes to stop."""


class Unusable:
    """The backend of a judge that lacks something: says what, and sends nothing."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    async def ask(self, call: Call, timeout_s: float) -> Reply:
        raise CallFailed("judge_transport", self._problem)

    async def close(self) -> None:
        pass


class Calls:
    """The calls of one judge server."""

    def __init__(self, judges: Judges, ledger: Ledger, scripts: Scripts | None) -> None:
        books: Books = SharedBooks(scripts, ledger.sums) if scripts else LocalBooks(ledger.sums)
        self._judges, self._ledger, self._scripts = judges, ledger, scripts
        self._desk = Desk(ledger, Budgets(books), FINISH_S)
        self._lines = {judge.name: _line(judges, judge, scripts) for judge in judges.by_name.values()}

    @classmethod
    async def open(cls, judges: Judges, settings: Settings) -> Self:
        """Connect every judge that can be asked, and open the ledger.

        Raises:
            ConfigError: a judge, the ledger, or how many servers share what, cannot work so.
        """
        for judge in judges.by_name.values():
            if judge.kind not in kinds():
                known = ", ".join(kinds())
                raise ConfigError(f"{judges.source}: [{judge.name}] kind = {judge.kind!r} is unknown; known: {known}")
        url = settings.redis_url.get_secret_value() if settings.redis_url is not None else ""
        if settings.replicas > 1 and not url:
            raise ConfigError(
                f"{settings.replicas} replicas share budgets and rate limits: set GUERDON_JUDGE_REDIS_URL"
            )
        scripts = Scripts(url) if url else None
        ledger = await Ledger.open(settings.ledger, settings.replicas)
        try:
            return cls(judges, ledger, scripts)
        except BaseException:
            await ledger.close()
            raise

    @property
    def left_behind(self) -> int:
        """Calls under way that nobody waits for any more."""
        return len(self._desk.left_behind)

    def without(self, judge: Judge) -> frozenset[str]:
        """Return the fields of a request that the judge's server turned out not to know, so that they are not sent."""
        backend = self._lines[judge.name].backend
        return backend.without if isinstance(backend, ChatCompletions) else frozenset()

    def asker(
        self,
        judge: Judge,
        *,
        run: str | None = None,
        allowance: Allowance | None = None,
        prompt_version: str,
        deadline: float,
    ) -> Asker:
        """Return what asks a judge for one request, until its deadline (by time.monotonic())."""
        accounts = self._desk.budgets.accounts(judge, run, allowance)
        return JudgeAsker(self._desk, self._lines[judge.name], accounts, run, prompt_version, deadline)

    async def budgets(self, run: str | None = None) -> list[Budget]:
        """Return how every judge stands, in all or with one run.

        Raises:
            CallFailed: Redis does not say.
            LedgerUnavailable: the ledger does not.
        """
        return [await self._desk.budgets.report(judge, run) for judge in self._judges.by_name.values()]

    async def healthy(self) -> tuple[bool, bool | None]:
        """Say whether the ledger can be written, and Redis answers (None: there is none)."""
        return await self._ledger.answers(), await self._scripts.answers() if self._scripts else None

    async def close(self) -> None:
        """Close what is open, after the calls that nobody waits for any more; the others should have ended before."""
        await self._desk.settled()
        for line in self._lines.values():
            await line.rates.close()
            await line.backend.close()
        await self._desk.budgets.close()
        if self._scripts is not None:
            await self._scripts.close()
        await self._ledger.close()


def _line(judges: Judges, judge: Judge, scripts: Scripts | None) -> Line:
    problem = judges.problem(judge)
    backend: Backend = connect(judge) if problem is None else Unusable(problem)
    anteroom = asyncio.Semaphore(2 * judge.concurrency)
    concurrency = Concurrency(judge.concurrency)
    return Line(judge, backend, Gate(judge.max_wait_s), anteroom, concurrency, _rates(judge, scripts))


def _rates(judge: Judge, scripts: Scripts | None) -> RateLimit:
    rates: Rates | None = None
    if judge.rpm is not None or judge.tpm is not None:
        local = LocalRates(judge.rpm, judge.tpm)
        rates = SharedRates(scripts, judge.name, judge.rpm, judge.tpm) if scripts else local
    limits = {"rpm": judge.rpm, "tpm": judge.tpm}
    words = " and ".join(f"{name} = {value}" for name, value in limits.items() if value is not None)
    return RateLimit(rates, f"{words} of {judge.name}")
