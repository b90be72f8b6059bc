"""Parse bodies with orjson: json lets NaN, lone surrogates and endless nesting through to fail later as a 500."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute


class StrictJsonRoute(APIRoute):
    """A route whose body is strict JSON, or refused."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictJsonRequest(request.scope, request.receive))

        return strict


class StrictJsonRequest(Request):
    async def json(self) -> Any:
        return orjson.loads(await self.body())
