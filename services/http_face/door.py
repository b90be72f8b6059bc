"""Ask everybody who they are, before anything of their request is read."""

from collections.abc import Callable, Iterable
from typing import Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from guerdon.messages import Refusal
from http_face.request_log import note

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json"})
"""Paths that tell nothing about anybody. Everything else wants a token, routes that are added included."""
UNAUTHORIZED = "send the server's token: Authorization: Bearer …"


class Tenant(Protocol):
    """Whoever has a token; the name is for the log."""

    @property
    def name(self) -> str: ...


class Door:
    """An ASGI layer: 401 for whoever has no token of a tenant; the others go in, their tenant in `state.tenant`.

    Args:
        whose: returns whose token it is that a request carries (None: it carries none), or None: nobody's.
    """

    def __init__(self, app: ASGIApp, whose: Callable[[bytes | None], Tenant | None]) -> None:
        self._app, self._whose = app, whose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        tenant = self._whose(bearer(scope["headers"]))
        if tenant is None:
            refusal = Refusal(error=UNAUTHORIZED)
            answer = JSONResponse(refusal.model_dump(), 401, headers={"www-authenticate": "Bearer"})
            await answer(scope, receive, send)
            return
        note(tenant=tenant.name)
        scope.setdefault("state", {})["tenant"] = tenant
        await self._app(scope, receive, send)


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the token of a request's Authorization header, as the bytes that were sent."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            return token.strip() if scheme.lower() == b"bearer" else None
    return None
