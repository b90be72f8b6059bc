"""Give every request an id, count its answer, and write one line about it: never what it said."""

import logging
import time
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guerdon.messages import Refusal
from http_face.request_ids import REQUEST_IDS, request_id
from http_face.request_metrics import REASONS, REFUSED, REQUEST_SECONDS, REQUESTS, REQUESTS_OPEN
from http_face.routes import Routes
from http_face.tracing import PROBES

log = logging.getLogger("guerdon.requests")

UNANSWERED = 499
"""The status in log and metrics of what got no answer: the caller left, or the server had to stop."""

_facts: ContextVar[dict[str, Any] | None] = ContextVar("facts", default=None)


def note(**facts: Any) -> None:
    """Add to the line about the request being served: counts and names (items, rewards, run, tenant), never texts.

    `reason`, one of request_metrics.Reason, says why a request is refused where its status code says too little.
    """
    if (known := _facts.get()) is not None:
        known.update({name: value for name, value in facts.items() if value is not None})


class Answer:
    """The way out of one request: adds the headers every answer has, and remembers its status."""

    def __init__(self, send: Send, request_id: str, closing: bool) -> None:
        self._send = send
        self._headers = [(b"x-request-id", request_id.encode())]
        if closing:  # clients that keep connections come back over a new one, which a balancer sends elsewhere
            self._headers.append((b"connection", b"close"))
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)


class RequestLog:
    """The outermost ASGI layer: what is answered inside, a 413 or a mistake of ours included, is seen here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes = Routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ours = request_id(Headers(scope=scope).get("x-request-id"))
        REQUEST_IDS.set((ours,))  # neither this nor the facts are reset: every request is a task with its own context
        facts: dict[str, Any] = {}
        _facts.set(facts)
        answer = Answer(send, ours, closing=getattr(scope["app"].state, "draining", False))
        started = time.perf_counter()
        REQUESTS_OPEN.inc()
        try:
            await self._guarded(scope, receive, answer)
        finally:
            REQUESTS_OPEN.dec()
            seconds = time.perf_counter() - started
            _write(scope, self._routes.name(scope), answer.status or UNANSWERED, seconds, facts)

    async def _guarded(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        """Answer 500 for mistakes of ours. Starlette would do so outside of this layer, and uvicorn log its text."""
        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            return
        except Exception as error:
            log.error("a mistake of the server's own", exc_info=error)
            if answer.status is not None:
                raise  # half an answer is out: the server must cut the connection
            refusal = Refusal(error=f"a mistake of the server's own: {type(error).__name__}; its log has more")
            await JSONResponse(refusal.model_dump(), 500)(scope, receive, answer)


def _write(scope: Scope, route: str, status: int, seconds: float, facts: dict[str, Any]) -> None:
    REQUESTS.labels(route, status).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    reason = facts.get("reason") or REASONS.get(status)
    if reason is not None and status >= 400:
        REFUSED.labels(reason).inc()
    if scope["path"] not in PROBES:
        method = scope["method"]
        told = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1), **facts}
        log.info("%s %s %d", method, route, status, extra={"fields": told})
