"""Clients that cost little: requests written by hand over kept connections, several at a time."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HEAD = b"POST /v1/score HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@dataclass
class Answers:
    """What came back: seconds per request, status codes, and bodies where they are wanted."""

    seconds: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def per_s(self) -> float:
        return len(self.seconds) / self.elapsed_s

    def percentile_s(self, share: float) -> float:
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


class Connection:
    """One kept connection. Not an HTTP library: one would cost more than the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.head = b""
        """Of the last answer."""

    async def post(self, body: bytes) -> tuple[int, bytes]:
        try:
            return await self._post(body)
        except (asyncio.IncompleteReadError, ConnectionError):  # the server closes connections that were idle
            self.close()
            self._streams = None
            return await self._post(body)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(HEAD % len(body) + body)
        head = self.head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split(b" ")[1]), await reader.readexactly(length)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def closed_loop(port: int, bodies: Sequence[bytes], clients: int, check: Callable[[bytes], None]) -> Answers:
    """Send every body, `clients` at a time, each client its next as soon as its last is answered."""
    answers, left = Answers(), iter(bodies)

    async def client() -> None:
        connection = Connection(port)
        for body in left:
            started = time.perf_counter()
            code, content = await connection.post(body)
            answers.seconds.append(time.perf_counter() - started)
            answers.codes.append(code)
            if code != 200:
                raise RuntimeError(f"status {code}: {content[:300]!r}")
            check(content)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    answers.elapsed_s = time.perf_counter() - started
    return answers


def scored(content: bytes) -> None:
    """Check that every item has a score."""
    if b'"value":null' in content:
        raise RuntimeError(f"an item failed: {content[:300]!r}")


def request(reward: str, completions: Sequence[str], **more: object) -> bytes:
    return json.dumps({"rewards": [reward], "items": [{"completion": one} for one in completions], **more}).encode()
