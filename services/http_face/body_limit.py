"""Refuse bodies that are too large or too slow before they are read whole."""

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guerdon.messages import Refusal


class TooLarge(Exception):
    """More bytes came than the limit allows."""


class BodyLimit:
    """An ASGI layer: 413 by Content-Length or by counting, 408 for a body that does not arrive in time."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app, self._max_bytes, self._timeout_s = app, max_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared[:20]) > self._max_bytes:
            await self._refuse(413, scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._read(receive)
        except TooLarge:
            await self._refuse(413, scope, receive, send)
        except TimeoutError:
            await self._refuse(408, scope, receive, send)
        else:
            await self._app(scope, _replayed(body, receive), send)

    async def _read(self, receive: Receive) -> list[Message]:
        messages, size = [], 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._max_bytes:
                raise TooLarge
            if message["type"] != "http.request" or not message.get("more_body", False):
                return messages

    async def _refuse(self, code: int, scope: Scope, receive: Receive, send: Send) -> None:
        why = {
            413: f"the body is larger than {self._max_bytes} bytes; send fewer items per request",
            408: f"the body did not arrive within {self._timeout_s:g} s",
        }[code]
        response = JSONResponse(Refusal(error=why).model_dump(), code, headers={"connection": "close"})
        await response(scope, receive, send)


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    left = iter(messages)

    async def replay() -> Message:
        for message in left:
            return message
        return await receive()

    return replay
