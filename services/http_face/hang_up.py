"""Stop working for a client that has hung up; the server's loop alone would go on to the end."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request
from starlette.types import Receive

LOOK_AFTER_S = 0.05
"""Work that is done sooner is not worth a watch: it would cost a fifth of the smallest request's time."""

Result = TypeVar("Result")


class Gone(Exception):
    """The client has hung up: nobody reads the answer."""


class Watch:
    """Cancels the task that makes it when the client hangs up, until it is ended."""

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._receive = receive
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(LOOK_AFTER_S, self._begin)

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._watch(), name="watch")

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        assert self._task is not None
        self.gone = True
        self._task.cancel()

    def end(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def take_back(self) -> bool:
        """Return whether it was this watch alone that cancelled the task, which is then not cancelled any more."""
        assert self._task is not None
        return self.gone and self._task.uncancel() == 0


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Return what `work` returns, or raise what it raises; cancel it when the client hangs up.

    The request's body must have been read.

    Raises:
        Gone: it has.
    """
    watch = Watch(request.receive)
    try:
        result = await work
        if watch.gone:  # an answer that came in the same moment can swallow a cancellation
            watch.take_back()
            raise Gone
        return result
    except asyncio.CancelledError:
        if watch.take_back():
            raise Gone from None
        raise
    finally:
        watch.end()
