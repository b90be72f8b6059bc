"""Ask a reward server for scores: one POST and one rule for when to ask again."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import httpx
from pydantic import ValidationError

from guerdon.messages import RewardInfo, RewardList, ScoreRequest, ScoreResponse

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another attempt can change. Everything else says the request itself is wrong."""
GRACE_S = 5.0
"""How much longer than the deadline the client listens: the server answers typed timeouts at the deadline itself."""


class RewardServerError(RuntimeError):
    """No scores came back; the message says why."""


class Refused(RewardServerError):
    """The server understood the request and refuses it; asking again changes nothing.

    Attributes:
        status_code: the HTTP status, e.g. 422 for an unknown reward.
    """

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


class Unreadable(RewardServerError):
    """An answer came that is none of this contract: a proxy's page, or another version of the server."""


class Unreachable(RewardServerError):
    """The server could not be reached, or did not admit the request, before the deadline."""


@dataclass
class Attempts:
    """The retry rule: wait 0.1 s, doubled up to 5 s with jitter, or what Retry-After says, until the deadline.

    Scores are keyed by content, so that asking twice never changes an answer.
    """

    url: str
    deadline_s: float
    clock: Callable[[], float] = time.monotonic
    tried: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def left_s(self) -> float:
        return self.deadline_s - (self.clock() - self.started)

    def wait_s(self, outcome: httpx.Response | httpx.TransportError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            Refused: another attempt cannot help.
            Unreachable: no time is left for one.
        """
        self.tried += 1
        if isinstance(outcome, httpx.Response) and outcome.status_code not in RETRIED:
            raise Refused(outcome.status_code, f"{self.url} answered {outcome.status_code}: {reason(outcome)}")
        wait: float = min(5.0, 0.1 * 2 ** (self.tried - 1)) * random.uniform(0.5, 1.5)
        if isinstance(outcome, httpx.Response):
            wait = max(wait, retry_after_s(outcome))
        if wait >= self.left_s:
            last = f"{type(outcome).__name__}: {outcome}"
            if isinstance(outcome, httpx.Response):
                last = f"{outcome.status_code}: {reason(outcome)}"
            raise Unreachable(f"{self.url}: no scores in {self.deadline_s:g} s ({self.tried} attempts); last: {last}")
        return wait


def retry_after_s(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("retry-after", 0)))
    except ValueError:  # an HTTP date: no server of ours sends one
        return 0.0


def reason(response: httpx.Response) -> str:
    """Return the server's own words for a refusal, with the fields it names."""
    try:
        body = response.json()
        fields = "; ".join(f"{problem['field']}: {problem['problem']}" for problem in body.get("fields", []))
        return f"{body['error']}{f' ({fields})' if fields else ''}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return response.text[:500]


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
        attempts = Attempts(f"{self.url}/v1/score", request.deadline_s)
        while True:
            try:
                response = self._http.send(_post(self._http, request, attempts))
            except httpx.TransportError as error:
                time.sleep(attempts.wait_s(error))
                continue
            if response.is_success:
                return _scores(self.url, response)
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
        attempts = Attempts(f"{self.url}/v1/score", request.deadline_s)
        while True:
            try:
                response = await self._http.send(_post(self._http, request, attempts))
            except httpx.TransportError as error:
                await asyncio.sleep(attempts.wait_s(error))
                continue
            if response.is_success:
                return _scores(self.url, response)
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


def _post(http: httpx.Client | httpx.AsyncClient, request: ScoreRequest, attempts: Attempts) -> httpx.Request:
    left = max(0.001, attempts.left_s)
    body = request.model_copy(update={"deadline_s": left}).model_dump_json(exclude_defaults=True)
    headers = {"content-type": "application/json"}
    return http.build_request("POST", "/v1/score", content=body, headers=headers, timeout=left + GRACE_S)


def _scores(url: str, response: httpx.Response) -> ScoreResponse:
    try:
        return ScoreResponse.model_validate_json(response.content)
    except ValidationError as error:
        raise Unreadable(f"{url}/v1/score gave an answer that is not of this contract: {error}") from error


def _rewards(url: str, response: httpx.Response) -> list[RewardInfo]:
    if not response.is_success:
        raise Refused(response.status_code, f"{url}/v1/rewards answered {response.status_code}: {reason(response)}")
    return RewardList.model_validate_json(response.content).rewards
