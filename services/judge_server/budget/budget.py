"""Hold judges and runs to their budgets: reserve the most a call can cost, settle to what it did cost."""

import asyncio
import math
import uuid
from weakref import WeakValueDictionary

from guerdon.judge_messages import Allowance, Budget
from judge_server.budget.accounts import NANOS, Account, Amount, Books, Hold, Limit, Standing, nanos_down, nanos_up
from judge_server.budget.recent import Recent
from judge_server.judges import Judge
from judge_server.llm import Call, CallFailed

LOOK_AGAIN_S = 0.05
"""How soon it is seen that another replica settled a call."""
PER_MESSAGE = 16
"""Tokens that a chat template puts around a message, at most."""
MOST_RUNS = 10_000
"""Runs whose own allowance is remembered, for reports."""
LETTERS = bytes(range(65, 91)) + bytes(range(97, 123)) + b" "


class Budgets:
    """Reservations against the accounts of judges and runs, first come first served for each run."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._settled: asyncio.Future[None] | None = None
        self._allowances: Recent[tuple[str, str], Limit] = Recent(MOST_RUNS)

    def accounts(self, judge: Judge, run: str | None, allowance: Allowance | None) -> list[Account]:
        """Return the accounts of a request. One without a run is a run of its own."""
        run_limit = _tighter(_limit(judge.run_budget), _limit(allowance or Allowance()))
        own = Account(judge.name, judge.name, None, _limit(judge.budget))
        if run is not None:
            self._allowances[judge.name, run] = run_limit
            return [own, Account(f"{judge.name}/{run}", judge.name, run, run_limit)]
        if run_limit == Limit():
            return [own]
        return [own, Account(f"{judge.name}//{uuid.uuid4().hex}", judge.name, None, run_limit, lasting=False)]

    async def reserve(self, judge: Judge, accounts: list[Account], amount: Amount, lease_s: float) -> Hold:
        """Reserve an amount in all accounts; where only calls under way stand against it, wait for what they cost.

        Raises:
            CallFailed: judge_budget: it does not fit, whatever they cost.
        """
        hold = Hold(uuid.uuid4().hex, accounts, amount)
        turn = self._turns.setdefault(accounts[-1].key, asyncio.Lock())
        async with turn:
            while True:
                settled = self._next_settled()
                try:
                    answer, account = await self._books.take(hold, lease_s)
                except (asyncio.CancelledError, CallFailed):
                    if self._books.shared:  # it may have been taken, though nobody heard so
                        self._books.settle(hold, Amount(), self._tell)
                    raise
                if answer == "taken":
                    return hold
                if answer == "spent":
                    raise CallFailed("judge_budget", await self._exhausted(judge, account, amount))
                await asyncio.wait({settled}, timeout=LOOK_AGAIN_S if self._books.shared else None)

    def settle(self, hold: Hold, spent: Amount | None) -> None:
        """End a reservation: with what the call cost, or None where nobody knows."""
        self._books.settle(hold, spent, self._tell)

    async def report(self, judge: Judge, run: str | None) -> Budget:
        """Return how a judge, or one run with it, stands."""
        if run is None:
            account = Account(judge.name, judge.name, None, _limit(judge.budget))
        else:
            limit = self._allowances.get((judge.name, run)) or _limit(judge.run_budget)
            account = Account(f"{judge.name}/{run}", judge.name, run, limit)
        return _report(judge, account, await self._books.standing(account))

    async def close(self) -> None:
        await self._books.close()

    def _next_settled(self) -> "asyncio.Future[None]":
        if self._settled is None:
            self._settled = asyncio.get_running_loop().create_future()
        return self._settled

    def _tell(self) -> None:
        if self._settled is not None:
            self._settled.set_result(None)
            self._settled = None

    async def _exhausted(self, judge: Judge, account: Account, amount: Amount) -> str:
        budget = _report(judge, account, await self._books.standing(account))
        whose = f"run {account.run!r} with {judge.name}" if account.run else judge.name
        whose = whose if account.lasting else f"this request to {judge.name}"
        parts = []
        if budget.limit_cost is not None:
            gone = budget.spent_cost + budget.presumed_cost
            parts.append(
                f"{gone:g} of {budget.limit_cost:g} {judge.currency} (the call: up to {amount.nanos / NANOS:g})"
            )
        if budget.limit_tokens is not None:
            used = budget.spent_tokens + budget.presumed_tokens
            parts.append(f"{used} of {budget.limit_tokens} tokens (the call: up to {amount.tokens})")
        return f"the budget of {whose} is used up: {', '.join(parts)}"


def most(judge: Judge, call: Call) -> Amount:
    """Return the most a call can cost: an upper bound on its prompt's tokens, and all of its max_tokens.

    Tokenizers merge letters, so these count as `chars_per_token` to a token; digits and punctuation often stay alone,
    and the bytes of other scripts at worst, so each of them counts as a token. A schema counts like prompt: servers
    write it into it.
    """
    tokens = PER_MESSAGE + sum(PER_MESSAGE + _tokens(content, judge.chars_per_token) for _, content in call.turns)
    if call.schema is not None:
        tokens += _tokens(str(call.schema), judge.chars_per_token)
    return Amount(nanos_up(judge.prices.cost(tokens, call.max_tokens)), tokens + call.max_tokens)


def _tokens(text: str, chars_per_token: float) -> int:
    data = text.encode("utf-8", "surrogatepass")
    others = len(data.translate(None, LETTERS))
    return others + math.ceil((len(data) - others) / chars_per_token)


def _limit(allowance: Allowance) -> Limit:
    return Limit(None if allowance.cost is None else nanos_down(allowance.cost), allowance.tokens)


def _tighter(one: Limit, other: Limit) -> Limit:
    return Limit(_least(one.nanos, other.nanos), _least(one.tokens, other.tokens))


def _least(one: int | None, other: int | None) -> int | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _report(judge: Judge, account: Account, standing: Standing) -> Budget:
    gone = standing.spent.plus(standing.presumed).plus(standing.reserved)
    nanos, tokens = account.limit
    return Budget(
        judge=judge.name,
        run=account.run,
        currency=judge.currency,
        limit_cost=None if nanos is None else nanos / NANOS,
        spent_cost=standing.spent.nanos / NANOS,
        presumed_cost=standing.presumed.nanos / NANOS,
        reserved_cost=standing.reserved.nanos / NANOS,
        left_cost=None if nanos is None else max(0, nanos - gone.nanos) / NANOS,
        limit_tokens=tokens,
        spent_tokens=standing.spent.tokens,
        presumed_tokens=standing.presumed.tokens,
        reserved_tokens=standing.reserved.tokens,
        left_tokens=None if tokens is None else max(0, tokens - gone.tokens),
    )
