"""What was spent, is presumed spent and is reserved, of a judge or one of its runs; and what a limit says of more."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol
from weakref import WeakValueDictionary

from judge_server.budget.recent import Recent
from judge_server.ledger.ledger import Sums

NANOS = 1_000_000_000
"""Money is counted in whole billionths of the currency, so that sums are exact in any order, in Redis too."""
MOST_IDLE = 1000
"""Accounts that are remembered while nobody uses them; the ledger knows the others."""

Answer = Literal["taken", "spent", "wait"]


class Amount(NamedTuple):
    """Money in billionths of the judge's currency, and tokens of prompt and completion together."""

    nanos: int = 0
    tokens: int = 0

    def plus(self, other: "Amount") -> "Amount":
        return Amount(self.nanos + other.nanos, self.tokens + other.tokens)

    def minus(self, other: "Amount") -> "Amount":
        return Amount(self.nanos - other.nanos, self.tokens - other.tokens)


NOTHING = Amount()


class Limit(NamedTuple):
    """What may be spent in all; None: as much as one likes."""

    nanos: int | None = None
    tokens: int | None = None

    def allows(self, amount: Amount) -> bool:
        return (self.nanos is None or amount.nanos <= self.nanos) and (
            self.tokens is None or amount.tokens <= self.tokens
        )


def nanos_up(cost: float) -> int:
    """Return a cost, rounded up: what is booked is never less than what was spent."""
    return math.ceil(round(cost * NANOS, 3))


def nanos_down(cost: float) -> int:
    """Return a limit, rounded down."""
    return math.floor(round(cost * NANOS, 3))


@dataclass
class Standing:
    """How an account stands."""

    spent: Amount = NOTHING
    presumed: Amount = NOTHING
    reserved: Amount = NOTHING

    @classmethod
    def of(cls, sums: Sums) -> "Standing":
        return cls(
            Amount(nanos_up(sums.spent_cost), sums.spent_tokens),
            Amount(nanos_up(sums.presumed_cost), sums.presumed_tokens),
        )

    def answer(self, amount: Amount, limit: Limit) -> Answer:
        """Say whether so much more fits: now, once calls under way have cost less than reserved, or never."""
        gone = self.spent.plus(self.presumed).plus(amount)
        if not limit.allows(gone):
            return "spent"
        return "taken" if limit.allows(gone.plus(self.reserved)) else "wait"


@dataclass
class Account:
    """A judge's own account (run None), or that of a run with it, under the limit that one request sets.

    Attributes:
        key: the account's name among all. Two requests of one run name the same account, with limits of their own.
        lasting: whether later requests can name it again; else it ends with its request.
    """

    key: str
    judge: str
    run: str | None
    limit: Limit
    lasting: bool = True
    standing: Standing | None = field(default=None, repr=False)


@dataclass
class Hold:
    """An amount reserved in several accounts at once."""

    id: str
    accounts: Sequence[Account]
    amount: Amount


class Books(Protocol):
    """Keeps accounts, and changes several of them as one."""

    shared: bool
    """Whether others change them too, so that waiting means to look again."""

    async def take(self, hold: Hold, lease_s: float) -> tuple[Answer, Account]:
        """Reserve an amount in every account or in none; the account is the one that stands in the way.

        When it is not settled within `lease_s`, it is presumed spent.
        """
        ...

    def settle(self, hold: Hold, spent: Amount | None, then: Callable[[], None]) -> None:
        """Put what was spent in place of what was reserved; None: nobody knows, so all of it is presumed spent."""
        ...

    async def standing(self, account: Account) -> Standing:
        """Return how an account stands, without beginning it."""
        ...

    async def close(self) -> None: ...


class LocalBooks:
    """The accounts of the only server there is, each begun from the ledger's sums when a call first reserves from it.

    One that a request uses is kept for as long as that; what it spends is in the ledger before it is forgotten.
    """

    shared = False

    def __init__(self, sums: Callable[[str, str | None], Awaitable[Sums]]) -> None:
        self._sums = sums
        self._lasting: WeakValueDictionary[str, Standing] = WeakValueDictionary()
        self._recent: Recent[str, Standing] = Recent(MOST_IDLE)

    async def take(self, hold: Hold, lease_s: float) -> tuple[Answer, Account]:
        standings = [await self._live(account) for account in hold.accounts]
        answers = [
            standing.answer(hold.amount, account.limit)
            for standing, account in zip(standings, hold.accounts, strict=True)
        ]
        for hindrance in ("spent", "wait"):
            if hindrance in answers:
                return hindrance, hold.accounts[answers.index(hindrance)]
        for standing in standings:
            standing.reserved = standing.reserved.plus(hold.amount)
        return "taken", hold.accounts[0]

    def settle(self, hold: Hold, spent: Amount | None, then: Callable[[], None]) -> None:
        for account in hold.accounts:
            standing = account.standing
            assert standing is not None, "taken before"
            standing.reserved = standing.reserved.minus(hold.amount)
            if spent is None:
                standing.presumed = standing.presumed.plus(hold.amount)
            else:
                standing.spent = standing.spent.plus(spent)
        then()

    async def standing(self, account: Account) -> Standing:
        return account.standing or self._lasting.get(account.key) or Standing.of(await self._sums_of(account))

    async def close(self) -> None:
        pass

    async def _live(self, account: Account) -> Standing:
        if account.standing is None:
            account.standing = self._lasting.get(account.key) or await self._begun(account)
        if account.lasting:
            self._recent[account.key] = account.standing
        return account.standing

    async def _begun(self, account: Account) -> Standing:
        standing = Standing.of(await self._sums_of(account))
        # Others may have asked meanwhile; none can have spent before the first of them had its answer.
        return self._lasting.setdefault(account.key, standing) if account.lasting else standing

    async def _sums_of(self, account: Account) -> Sums:
        return await self._sums(account.judge, account.run) if account.lasting else Sums()
