"""What Redis holds of a group whose members arrive in several requests, and the one way to change it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from reward_server.round_trips import Argument, RoundTrips, Script

SCRIPT = Script.read("cohort.lua")


@dataclass(frozen=True)
class Cohort:
    """A group under one reward: who meets here. Groups of two tenants, rewards or versions never do."""

    tenant: str
    reward: str
    version: str
    group: str
    size: int

    @cached_property
    def id(self) -> str:
        names = orjson.dumps([self.tenant, self.reward, self.version, self.group])
        return blake2b(names, digest_size=16).hexdigest()

    @property
    def keys(self) -> tuple[str, str]:
        return f"guerdon:cohort:{self.id}", f"guerdon:cohort:{self.id}:waiters"


class Answer(NamedTuple):
    """What cohort.lua answers."""

    what: str
    taken: frozenset[int] = frozenset()
    detail: Any = None
    texts: list[bytes] = []  # noqa: RUF012 - never changed

    @classmethod
    def read(cls, reply: list[Any]) -> "Answer":
        return cls(reply[0].decode(), frozenset(int(slot) for slot in reply[1]), *reply[2:])


@dataclass(frozen=True)
class Patience:
    """How long things last, in seconds."""

    lease_s: float = 3.0
    """Who scores a group says so often that it is alive, thrice; then another replica takes over."""
    sweep_s: float = 1.0
    """How often a waiter looks for itself, in case no notice reaches it."""
    linger_s: float = 30.0
    """How long a group that has missed its deadline, or is waited for by nobody, is remembered."""
    keep_s: float = 600.0
    """How long scores are kept for those who ask again."""


class CohortRecords:
    """The records as one process changes them: atomically, in Redis' own time, through cohort.lua.

    Raises (every method that waits): RedisError when Redis does not answer or refuses.
    """

    def __init__(self, trips: RoundTrips, reply_to: str, patience: Patience) -> None:
        self.patience = patience
        self._trips, self._reply_to = trips, reply_to

    async def join(
        self, cohort: Cohort, waiter: str, token: str, left_s: float, members: Mapping[int, bytes]
    ) -> Answer:
        """Bring members in and wait for the rest, at most so long; `score` means: it is complete, and yours to score.

        The claim to score it is made under `token`. Slots that hold another completion already are in `taken`.
        """
        texts: list[Argument] = []
        for slot, text in members.items():
            texts += [slot, blake2b(text, digest_size=16).hexdigest(), text]
        return await self._ask(cohort, "join", waiter, token, max(1, int(1000 * left_s)), cohort.size, *texts)

    async def look(self, cohort: Cohort, waiter: str, token: str, late: bool) -> Answer:
        """See how things stand; `late`, the waiter's deadline has come, and what is not decided yet is decided now."""
        return await self._ask(cohort, "look", waiter, token, int(late))

    async def renew(self, cohort: Cohort, token: str) -> bool:
        """Say that the scorer lives; False when the claim is no longer its own."""
        return (await self._ask(cohort, "renew", "", token)).what != "gone"

    async def store(self, cohort: Cohort, token: str, result: bytes, scored: bool = True) -> None:
        """End the group with a result and tell all who wait; nothing happens when the claim is no longer its own."""
        await self._ask(cohort, "store", "", token, result, int(scored))

    def leave(self, cohort: Cohort, waiter: str) -> None:
        """Wait no longer. Sent after everything that was asked before, answered to nobody."""
        self._trips.post(SCRIPT, cohort.keys, *self._arguments(cohort, "leave", waiter, ""))

    async def _ask(self, cohort: Cohort, what: str, waiter: str, token: str, *more: Argument) -> Answer:
        arguments = self._arguments(cohort, what, waiter, token, *more)
        return Answer.read(await self._trips.call(SCRIPT, cohort.keys, *arguments))

    def _arguments(self, cohort: Cohort, what: str, waiter: str, token: str, *more: Argument) -> list[Argument]:
        patience = self.patience
        lasting = (int(1000 * seconds) for seconds in (patience.lease_s, patience.linger_s, patience.keep_s))
        return [what, f"{self._reply_to}|{waiter}", token, *lasting, cohort.id, *more]
