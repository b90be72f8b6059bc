"""Let large requests in one at a time, so that reading many of them does not stop the event loop for a second."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

LARGE = 4 << 10
"""Bytes of a body from which parsing it takes long enough to matter."""


class Turnstile:
    """An ASGI layer: between one large request and the next the event loop turns once and sees to everybody else.

    A hundred requests of a thousand items that come together would else be parsed in one go, and for all that time no
    answer of Redis be read, no health probe answered, and every timeout run out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _length(scope) >= LARGE:
            async with self._turn:
                await asyncio.sleep(0)
                await asyncio.sleep(0)  # once for what is ready, once for what that made ready
        await self._app(scope, receive, send)


def _length(scope: Scope) -> int:
    """Return the declared length; a chunked body is not looked into: nobody sends large ones so."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(declared[:20]) if declared.isdigit() else 0
