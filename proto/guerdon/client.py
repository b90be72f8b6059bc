"""Ask a reward server for scores: one call per route, and one rule for when to ask again."""

import time
import uuid
from typing import Any
from urllib.parse import quote

import httpx

from guerdon.connection import (
    GRACE_S,
    Ask,
    AsyncConnection,
    Connection,
    authorization,
    beyond_loopback,
    posting,
)
from guerdon.messages import MAX_WAIT_S, Job, RewardInfo, RewardList, ScoreRequest, ScoreResponse
from guerdon.retries import (
    RETRIED,
    Attempts,
    Refused,
    RewardServerError,
    ServerError,
    Unreachable,
    Unreadable,
    reason,
)

__all__ = [
    "GRACE_S",
    "RETRIED",
    "AsyncRewardClient",
    "Attempts",
    "Refused",
    "RewardClient",
    "RewardServerError",
    "ServerError",
    "Unreachable",
    "Unreadable",
    "authorization",
    "beyond_loopback",
    "reason",
]

URL = "http://127.0.0.1:8000"
LOOK_S = 60.0
"""How long the client tries to look at a job, or to cancel it, beside what it wants to wait for its end."""


class RewardClient(Connection):
    """A blocking client of one reward server. Use it as a context manager, or close() it."""

    def __init__(self, url: str = URL, token: str | None = None) -> None:
        super().__init__(url, token)

    def score(self, request: ScoreRequest) -> ScoreResponse:
        """Score every item of the request; failed items are null in the answer, never an exception.

        Raises:
            Refused: the request itself is wrong (unknown reward, malformed item, no token).
            Unreachable: no server answered before the deadline.
        """
        return self._asked("/v1/score", ScoreResponse, request.deadline_s, _scoring("/v1/score", request))

    def submit(self, request: ScoreRequest) -> Job:
        """Have a request scored without waiting; its deadline counts from now, and it goes after interactive ones.

        Raises:
            Refused, Unreachable: as of `score`; nothing was accepted.
        """
        return self._asked("/v1/jobs", Job, request.deadline_s, _scoring("/v1/jobs", request, uuid.uuid4().hex))

    def job(self, job_id: str, wait_s: float = 0.0) -> Job:
        """Look at a job; with `wait_s`, up to 60, wait for its end so long.

        Raises:
            Refused: there is no such job (404), or not any more.
            Unreachable: no server answered.
        """
        path = _path(job_id)
        return self._asked(path, Job, wait_s + LOOK_S, _look(path, wait_s))

    def cancel(self, job_id: str) -> Job:
        """End a job that is queued or running; one that has ended stays as it is. Raises as `job` does."""
        path = _path(job_id)
        return self._asked(path, Job, LOOK_S, _cancellation(path))

    def rewards(self) -> list[RewardInfo]:
        """Return what the server serves."""
        return _rewards(self.url, self._http.get("/v1/rewards"))


class AsyncRewardClient(AsyncConnection):
    """The same for asyncio. Use it as an async context manager, or await aclose()."""

    def __init__(self, url: str = URL, token: str | None = None) -> None:
        super().__init__(url, token)

    async def score(self, request: ScoreRequest) -> ScoreResponse:
        """Score every item of the request; raises as RewardClient.score does."""
        return await self._asked("/v1/score", ScoreResponse, request.deadline_s, _scoring("/v1/score", request))

    async def submit(self, request: ScoreRequest) -> Job:
        """Have a request scored without waiting, as RewardClient.submit does."""
        return await self._asked("/v1/jobs", Job, request.deadline_s, _scoring("/v1/jobs", request, uuid.uuid4().hex))

    async def job(self, job_id: str, wait_s: float = 0.0) -> Job:
        """Look at a job, as RewardClient.job does."""
        path = _path(job_id)
        return await self._asked(path, Job, wait_s + LOOK_S, _look(path, wait_s))

    async def cancel(self, job_id: str) -> Job:
        """End a job, as RewardClient.cancel does."""
        path = _path(job_id)
        return await self._asked(path, Job, LOOK_S, _cancellation(path))

    async def rewards(self) -> list[RewardInfo]:
        """Return what the server serves."""
        return _rewards(self.url, await self._http.get("/v1/rewards"))


def _scoring(path: str, request: ScoreRequest, idempotency_key: str | None = None) -> Ask:
    # The same key in every attempt, so that a job is accepted once.
    return posting(path, request, None if idempotency_key is None else {"idempotency-key": idempotency_key})


def _look(path: str, wait_s: float) -> Ask:
    ends = time.monotonic() + wait_s

    def ask(left_s: float) -> dict[str, Any]:
        wait = min(MAX_WAIT_S, max(0.0, ends - time.monotonic()))
        return {"method": "GET", "url": path, "params": {"wait_s": wait}, "timeout": wait + GRACE_S}

    return ask


def _cancellation(path: str) -> Ask:
    return lambda left_s: {"method": "DELETE", "url": path, "timeout": GRACE_S}


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _rewards(url: str, response: httpx.Response) -> list[RewardInfo]:
    if not response.is_success:
        raise Refused(response.status_code, f"{url}/v1/rewards answered {response.status_code}: {reason(response)}")
    return RewardList.model_validate_json(response.content).rewards
