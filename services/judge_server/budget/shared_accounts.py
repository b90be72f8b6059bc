"""Accounts that all replicas share, in Redis; begun from the ledger's sums, and held to in one Lua script."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from judge_server.budget.accounts import Account, Amount, Answer, Hold, Standing
from judge_server.ledger.ledger import Sums
from judge_server.llm import CallFailed
from judge_server.redis_scripts import Scripts

log = logging.getLogger("guerdon.judge")

SCRIPT = "budget/accounts.lua"


class SharedBooks:
    """Books in Redis. What a replica reserved and never settled is presumed spent when its lease ends."""

    shared = True

    def __init__(self, scripts: Scripts, sums: Callable[[str, str | None], Awaitable[Sums]]) -> None:
        self._scripts, self._sums = scripts, sums
        self._settling: set[asyncio.Task[None]] = set()

    async def take(self, hold: Hold, lease_s: float) -> tuple[Answer, Account]:
        keys = [key for account in hold.accounts for key in _keys(account)]
        limits = ["" if limit is None else limit for account in hold.accounts for limit in account.limit]
        lease_ms = int(lease_s * 1000)
        while True:
            answer, number = await self._scripts.run(SCRIPT, keys, "take", hold.id, *hold.amount, lease_ms, *limits)
            account = hold.accounts[number - 1]
            if answer != b"unknown":
                return cast(Answer, answer.decode()), account
            await self._begin(account)

    def settle(self, hold: Hold, spent: Amount | None, then: Callable[[], None]) -> None:
        task = asyncio.create_task(self._settle(hold, spent, then), name="settle")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def standing(self, account: Account) -> Standing:
        numbers = await self._scripts.run(SCRIPT, _keys(account), "read")
        if not numbers:
            return Standing.of(await self._sums_of(account))
        return Standing(Amount(*numbers[0:2]), Amount(*numbers[2:4]), Amount(*numbers[4:6]))

    async def close(self) -> None:
        await asyncio.gather(*self._settling)

    async def _begin(self, account: Account) -> None:
        standing = Standing.of(await self._sums_of(account))
        await self._scripts.run(SCRIPT, _keys(account), "begin", *standing.spent, *standing.presumed)

    async def _sums_of(self, account: Account) -> Sums:
        return await self._sums(account.judge, account.run) if account.lasting else Sums()

    async def _settle(self, hold: Hold, spent: Amount | None, then: Callable[[], None]) -> None:
        keys = [key for account in hold.accounts for key in _keys(account)]
        try:
            await self._scripts.run(SCRIPT, keys, "settle", hold.id, *(("", "") if spent is None else spent))
        except CallFailed as failure:
            log.warning("a reservation stays until its lease ends, and counts as spent then: %s", failure.reason)
        then()


def _keys(account: Account) -> tuple[str, str]:
    return f"guerdon:judge-account:{account.key}", f"guerdon:judge-leases:{account.key}"
