"""Ask a reward server for scores: one call per route, and one rule for when to ask again."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from guerdon.messages import MAX_WAIT_S, Job, RewardInfo, RewardList, ScoreRequest, ScoreResponse
from guerdon.retries import (
    RETRIED,
    Attempts,
    Refused,
    RewardServerError,
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
    "Unreachable",
    "Unreadable",
    "authorization",
    "beyond_loopback",
    "reason",
]

GRACE_S = 5.0
"""How much longer than the deadline the client listens: the server answers typed timeouts at the deadline itself."""
LOOK_S = 60.0
"""How long the client tries to look at a job, or to cancel it, beside what it wants to wait for its end."""

Answer = TypeVar("Answer", bound=BaseModel)
Ask = Callable[[float], dict[str, Any]]
"""What `build_request` needs for one attempt, given the seconds left."""


def authorization(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def beyond_loopback(url: str) -> bool:
    """Whether a proxy of the environment may be asked for a URL: no proxy reaches this machine's own loopback."""
    return httpx.URL(url).host not in {"localhost", "127.0.0.1", "::1"}


class RewardClient:
    """A blocking client of one reward server. Use it as a context manager, or close() it."""

    def __init__(self, url: str = "http://127.0.0.1:8000", token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=authorization(token), trust_env=beyond_loopback(self.url))

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

    def _asked(self, path: str, kind: type[Answer], deadline_s: float, ask: Ask) -> Answer:
        attempts = Attempts(f"{self.url}{path}", deadline_s)
        while True:
            try:
                response = self._http.send(self._http.build_request(**ask(attempts.left_s)))
            except httpx.TransportError as error:
                time.sleep(attempts.wait_s(error))
                continue
            if response.is_success:
                return _read(attempts.url, kind, response)
            time.sleep(attempts.wait_s(response))

    def rewards(self) -> list[RewardInfo]:
        """Return what the server serves."""
        return _rewards(self.url, self._http.get("/v1/rewards"))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncRewardClient:
    """The same for asyncio. Use it as an async context manager, or await aclose()."""

    def __init__(self, url: str = "http://127.0.0.1:8000", token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=authorization(token), trust_env=beyond_loopback(self.url)
        )

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

    async def _asked(self, path: str, kind: type[Answer], deadline_s: float, ask: Ask) -> Answer:
        attempts = Attempts(f"{self.url}{path}", deadline_s)
        while True:
            try:
                response = await self._http.send(self._http.build_request(**ask(attempts.left_s)))
            except httpx.TransportError as error:
                await asyncio.sleep(attempts.wait_s(error))
                continue
            if response.is_success:
                return _read(attempts.url, kind, response)
            await asyncio.sleep(attempts.wait_s(response))

    async def rewards(self) -> list[RewardInfo]:
        """Return what the server serves."""
        return _rewards(self.url, await self._http.get("/v1/rewards"))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _scoring(path: str, request: ScoreRequest, idempotency_key: str | None = None) -> Ask:
    headers = {"content-type": "application/json"}
    if idempotency_key is not None:  # the same in every attempt, so that a job is accepted once
        headers["idempotency-key"] = idempotency_key

    def ask(left_s: float) -> dict[str, Any]:
        left_s = max(0.001, left_s)
        body = request.model_copy(update={"deadline_s": left_s}).model_dump_json(exclude_defaults=True)
        return {"method": "POST", "url": path, "content": body, "headers": headers, "timeout": left_s + GRACE_S}

    return ask


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


def _read(url: str, kind: type[Answer], response: httpx.Response) -> Answer:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise Unreadable(f"{url} gave an answer that is not of this contract: {error}") from error


def _rewards(url: str, response: httpx.Response) -> list[RewardInfo]:
    if not response.is_success:
        raise Refused(response.status_code, f"{url}/v1/rewards answered {response.status_code}: {reason(response)}")
    return RewardList.model_validate_json(response.content).rewards
