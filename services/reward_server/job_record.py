"""What Redis holds of asynchronous jobs, and the one way to change it."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from guerdon.messages import ScoreRequest
from http_face.refused import Refused, Unavailable
from reward_server.content import canonical
from reward_server.round_trips import Argument, RoundTrips, Script

SCRIPT = Script.read("job.lua")
ALL = ("guerdon:jobs:queued", "guerdon:jobs:running", "guerdon:jobs:bytes")


@dataclass(frozen=True)
class Limits:
    """What unfinished jobs may amount to, and how long things last, in seconds."""

    jobs: int = 10_000
    bytes: int = 256 << 20
    keep_s: float = 3600.0
    """How long a job that has ended is remembered."""
    lease_s: float = 6.0
    """Who works on a job says thrice in so long that it is alive; then another server takes over."""
    attempts: int = 3
    """A job is not tried again when so many servers died over it."""


class Record(NamedTuple):
    """A job as its tenant sees it. Times are Redis' own, in milliseconds; the response is JSON."""

    id: str
    state: str
    created: int
    deadline: int
    expires: int | None
    response: bytes | None
    error: str | None

    @classmethod
    def read(cls, job_id: str, values: list[bytes | None]) -> "Record":
        state, created, deadline, expires, response, error = values
        assert state is not None
        assert created is not None
        assert deadline is not None
        return cls(
            job_id,
            state.decode(),
            int(created),
            int(deadline),
            None if expires is None else int(expires),
            response,
            None if error is None else error.decode(),
        )

    @property
    def ended(self) -> bool:
        return self.expires is not None

    def json(self) -> bytes:
        """Return the message guerdon.messages.Job."""
        return orjson.dumps(
            {
                "id": self.id,
                "state": self.state,
                "created": self.created / 1000,
                "deadline": self.deadline / 1000,
                "expires": None if self.expires is None else self.expires / 1000,
                "response": None if self.response is None else orjson.Fragment(self.response),
                "error": self.error,
            }
        )


class Claim(NamedTuple):
    """A job to work on."""

    id: str
    token: str
    tenant: str
    request: bytes
    left_s: float
    age_s: float


class JobRecords:
    """The records as one process changes them: atomically, in Redis' own time, through job.lua.

    Raises (every method that waits): RedisError when Redis does not answer or refuses.
    """

    def __init__(self, trips: RoundTrips, reply_to: str, limits: Limits) -> None:
        self.limits = limits
        self._trips, self._reply_to = trips, reply_to

    async def submit(self, job_id: str, tenant: str, request: ScoreRequest) -> Record:
        """Accept a job, or return the one that was accepted under this id for the same request.

        Raises:
            Refused: the id is that of another request.
            Unavailable: too much is unfinished already.
        """
        text = request.model_dump_json(exclude_defaults=True).encode()
        limits, left_ms = self.limits, int(1000 * request.deadline_s)
        answer = await self._ask(
            "submit", job_id, "", tenant, _digest(request), text, left_ms, limits.jobs, limits.bytes
        )
        if answer[0] == b"other":
            raise Refused("idempotency-key", "this Idempotency-Key was sent with another request; take a new one")
        if answer[0] == b"full":
            raise Unavailable(answer[1].decode())
        return Record.read(job_id, answer[1])

    async def look(self, job_id: str, tenant: str, waits: bool) -> Record | None:
        """Return a tenant's job; `waits`: this process wants a notice of its end."""
        return self._record(job_id, await self._ask("look", job_id, "", tenant, int(waits)))

    async def cancel(self, job_id: str, tenant: str) -> Record | None:
        """End a tenant's job, if it has not ended; whoever works on it gets a notice."""
        return self._record(job_id, await self._ask("cancel", job_id, "", tenant))

    async def claim(self, token: str) -> Claim | None:
        """Take the next job that nobody works on."""
        answer = await self._ask("claim", "", token)
        if answer[0] == b"none":
            return None
        _, job_id, tenant, request, left_ms, age_ms = answer
        return Claim(job_id.decode(), token, tenant.decode(), request, left_ms / 1000, age_ms / 1000)

    async def renew(self, claim: Claim) -> bool:
        """Say that whoever works on it lives; False when the claim is no longer its own."""
        return bool((await self._ask("renew", claim.id, claim.token))[0] == b"yours")

    async def finish(self, claim: Claim, state: str, field: str, value: bytes) -> None:
        """End a job with its `response` or `error`; nothing happens when the claim is no longer its own."""
        await self._ask("finish", claim.id, claim.token, state, field, value)

    async def release(self, claim: Claim, wait_s: float = 0.0) -> None:
        """Give a job back that could not be finished here; nobody takes it for `wait_s`, or before its deadline."""
        await self._ask("release", claim.id, claim.token, int(1000 * wait_s))

    async def _ask(self, what: str, job_id: str, token: str, *more: Argument) -> list[Any]:
        limits = self.limits
        lasting = (int(1000 * limits.lease_s), int(1000 * limits.keep_s), limits.attempts)
        keys = (f"guerdon:job:{job_id}", f"guerdon:job:{job_id}:waiters", *ALL)
        answer: list[Any] = await self._trips.call(SCRIPT, keys, what, self._reply_to, token, *lasting, job_id, *more)
        return answer

    @staticmethod
    def _record(job_id: str, answer: list[Any]) -> Record | None:
        return None if answer[0] == b"unknown" else Record.read(job_id, answer[1])


def _digest(request: ScoreRequest) -> str:
    """Return what makes two requests one: everything but the deadline, of which a second attempt has less left.

    Raises:
        Refused: the request is nested more deeply than JSON is written.
    """
    try:
        content = canonical(request.model_dump(mode="json", exclude_defaults=True, exclude={"deadline_s"}))
    except TypeError as error:
        raise Refused("items", f"the request cannot be kept: {error}") from error
    return blake2b(content, digest_size=16).hexdigest()
