"""Ask everybody who they are, before anything of their request is read."""

from collections.abc import Iterable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from guerdon.messages import Refusal
from reward_server.request_log import note
from reward_server.tenants import Tenants

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json"})
"""Paths that tell nothing about anybody. Everything else wants a token, routes that are added included."""
UNAUTHORIZED = "send the server's token: Authorization: Bearer …"


class Door:
    """An ASGI layer: 401 for whoever has no token of a tenant; the others go in, their tenant in `state.tenant`."""

    def __init__(self, app: ASGIApp, tenants: Tenants) -> None:
        self._app, self._tenants = app, tenants

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        tenant = self._tenants.whose(bearer(scope["headers"]))
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
