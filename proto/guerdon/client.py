"""Ask a reward server for scores: one call per route, and one rule for when to ask again."""

import math
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
LIST = "/v1/rewards"
LOOK_S = 60.0
"""How long the client tries to look at a job, or to cancel it, beside what it wants to wait for its end."""


class RewardClient(Connection):
    """A blocking client of one reward server. Use it as a context manager, or close() it."""

    def __init__(self, url: str = URL, token: str | None = None, patience_s: float = math.inf) -> None:
        super().__init__(url, token, patience_s)

    def score(self, request: ScoreRequest, request_id: str | None = None) -> ScoreResponse:
        """Score every item of the request; failed items are null in the answer, never an exception.

        Args:
            request_id: what the servers' log lines of this request say; they make one where it is None.

        Raises:
            Refused: the request itself is wrong (unknown reward, malformed item, no token).
            Unreachable: no server answered before the deadline.
        """
        return self._asked("/v1/score", ScoreResponse, request.deadline_s, _scoring(request, request_id))

    def submit(self, request: ScoreRequest) -> Job:
        """Have a request scored without waiting; its deadline counts from now, and it goes after interactive ones.

        Raises:
            Refused, Unreachable: as of `score`; nothing was accepted.
        """
        return self._asked("/v1/jobs", Job, request.deadline_s, _submission(request))

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

    def rewards(self, deadline_s: float | None = None) -> list[RewardInfo]:
        """Return what the server serves; with `deadline_s`, ask so long while another attempt can help.

        Raises:
            Refused: it does not say; with `deadline_s`, for a reason that stays.
            Unreachable, Unreadable: with `deadline_s`, as of `score`; without it, httpx's and pydantic's own errors.
        """
        if deadline_s is None:
            return _rewards(self.url, self._http.get(LIST))
        return self._asked(LIST, RewardList, deadline_s, _listing).rewards


class AsyncRewardClient(AsyncConnection):
    """The same for asyncio. Use it as an async context manager, or await aclose()."""

    def __init__(self, url: str = URL, token: str | None = None) -> None:
        super().__init__(url, token)

    async def score(self, request: ScoreRequest, request_id: str | None = None) -> ScoreResponse:
        """Score every item of the request; raises as RewardClient.score does."""
        return await self._asked("/v1/score", ScoreResponse, request.deadline_s, _scoring(request, request_id))

    async def submit(self, request: ScoreRequest) -> Job:
        """Have a request scored without waiting, as RewardClient.submit does."""
        return await self._asked("/v1/jobs", Job, request.deadline_s, _submission(request))

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
        return _rewards(self.url, await self._http.get(LIST))


def _scoring(request: ScoreRequest, request_id: str | None) -> Ask:
    return posting("/v1/score", request, None if request_id is None else {"x-request-id": request_id})


def _submission(request: ScoreRequest) -> Ask:
    # The same key in every attempt, so that a job is accepted once.
    return posting("/v1/jobs", request, {"idempotency-key": uuid.uuid4().hex})


def _look(path: str, wait_s: float) -> Ask:
    ends = time.monotonic() + wait_s

    def ask(left_s: float) -> dict[str, Any]:
        wait = min(MAX_WAIT_S, max(0.0, ends - time.monotonic()))
        return {"method": "GET", "url": path, "params": {"wait_s": wait}, "timeout": wait + GRACE_S}

    return ask


def _cancellation(path: str) -> Ask:
    return lambda left_s: {"method": "DELETE", "url": path, "timeout": GRACE_S}


def _listing(_left_s: float) -> dict[str, Any]:
    return {"method": "GET", "url": LIST, "timeout": GRACE_S}


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _rewards(url: str, response: httpx.Response) -> list[RewardInfo]:
    if not response.is_success:
        raise Refused(response.status_code, f"{url}{LIST} answered {response.status_code}: {reason(response)}")
    return RewardList.model_validate_json(response.content).rewards
