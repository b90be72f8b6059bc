"""How a client speaks to a server of ours: one exchange, sent again while another attempt can help."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from guerdon.retries import Attempts, Unreadable

GRACE_S = 5.0
"""How much longer than the deadline the client listens: the server answers typed timeouts at the deadline itself."""

Answer = TypeVar("Answer", bound=BaseModel)
Ask = Callable[[float], dict[str, Any]]
"""What `build_request` needs for one attempt, given the seconds left."""


def authorization(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def beyond_loopback(url: str) -> bool:
    """Whether a proxy of the environment may be asked for a URL: no proxy reaches this machine's own loopback."""
    return httpx.URL(url).host not in {"localhost", "127.0.0.1", "::1"}


class Connection:
    """A blocking connection to one server, for many threads. Use it as a context manager, or close() it.

    Args:
        url: the server, without /v1.
        token: bearer token, if it wants one.
        patience_s: a server that does not answer at all for so long is given up, however far the deadline is.
    """

    def __init__(self, url: str, token: str | None = None, patience_s: float = math.inf) -> None:
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        self._http = httpx.Client(base_url=self.url, headers=authorization(token), trust_env=beyond_loopback(self.url))

    def _asked(self, path: str, kind: type[Answer], deadline_s: float, ask: Ask) -> Answer:
        attempts = Attempts(f"{self.url}{path}", deadline_s, patience_s=self._patience_s)
        while True:
            try:
                response = self._http.send(self._http.build_request(**ask(attempts.left_s)))
            except httpx.RequestError as error:
                time.sleep(attempts.wait_s(error))
                continue
            if response.is_success:
                return _read(attempts.url, kind, response)
            time.sleep(attempts.wait_s(response))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncConnection:
    """The same for asyncio. Use it as an async context manager, or await aclose()."""

    def __init__(self, url: str, token: str | None = None, patience_s: float = math.inf) -> None:
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=authorization(token), trust_env=beyond_loopback(self.url)
        )

    async def _asked(self, path: str, kind: type[Answer], deadline_s: float, ask: Ask) -> Answer:
        attempts = Attempts(f"{self.url}{path}", deadline_s, patience_s=self._patience_s)
        while True:
            try:
                response = await self._http.send(self._http.build_request(**ask(attempts.left_s)))
            except httpx.RequestError as error:
                await asyncio.sleep(attempts.wait_s(error))
                continue
            if response.is_success:
                return _read(attempts.url, kind, response)
            await asyncio.sleep(attempts.wait_s(response))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def posting(path: str, request: BaseModel, headers: dict[str, str] | None = None) -> Ask:
    """Return how to POST a request that has a `deadline_s`: every attempt says what is left of it."""
    headers = {"content-type": "application/json"} | (headers or {})

    def ask(left_s: float) -> dict[str, Any]:
        left_s = max(0.001, left_s)
        body = request.model_copy(update={"deadline_s": left_s}).model_dump_json(exclude_defaults=True)
        return {"method": "POST", "url": path, "content": body, "headers": headers, "timeout": left_s + GRACE_S}

    return ask


def _read(url: str, kind: type[Answer], response: httpx.Response) -> Answer:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise Unreadable(f"{url} gave an answer that is not of this contract: {error}") from error
