"""Several clients of a provider's package side by side, because one alone is slow with many connections."""

from collections.abc import Callable
from typing import Any

EACH = 8
"""Calls at a time on one client. httpcore (1.0, and httpcore2) looks at every connection of a pool against every other
on each request: with 50 in one pool that takes longer than everything else together."""
MOST = 64
"""Clients, however many calls."""


class Clients:
    """Sends each call through the client that has the least to do.

    Args:
        open_one: opens a client of openai or together, which look alike in what is used here.
        calls: at a time.
    """

    def __init__(self, open_one: Callable[[], Any], calls: int) -> None:
        self._clients = [open_one() for _ in range(min(MOST, -(-calls // EACH)))]
        self._under_way = [0] * len(self._clients)

    async def create(self, **body: Any) -> bytes:
        """Return the bytes of the answer to a chat completion. Raises what the package raises."""
        least = self._under_way.index(min(self._under_way))
        self._under_way[least] += 1
        try:
            # In extra_body it goes as it is; else the packages walk through it by their type hints, which takes a
            # quarter of all the processor time. What extra_body has overrides the empty messages.
            response = await self._clients[least].chat.completions.with_raw_response.create(
                model=body["model"], messages=[], extra_body=body
            )
            content: bytes = response.http_response.content
            return content
        finally:
            self._under_way[least] -= 1

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
