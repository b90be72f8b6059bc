"""An OpenAI-compatible server on loopback that does what a test says, in a thread with a loop of its own."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass
class Behaviour:
    """How one request is answered.

    Attributes:
        body: the answer; None: an ordinary completion of `text`.
        raw: bytes of the body in place of JSON.
        cut: bytes of the body that are sent before the connection is closed.
        hang: never answer. reset: break the connection (after `latency_s`).
        latency_s: before the answer.
    """

    text: str = '{"winner": "A"}'
    status: int = 200
    body: Body | None = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    hang: bool = False
    reset: bool = False
    latency_s: float = 0.0
    usage: tuple[int, int] | None = (50, 10)

    def content(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body = self.body if self.body is not None else completion(self.text, self.usage)
        return json.dumps(body).encode()


def completion(text: str | None, usage: tuple[int, int] | None = (50, 10), **choice: Any) -> Body:
    """Return a chat completion; further arguments go into its choice, those of `message` into the message."""
    message = {"role": "assistant", "content": text, **choice.pop("message", {})}
    body: Body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "loopback-1",
        "system_fingerprint": "fp_loopback",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
    }
    if usage is not None:
        prompt, reply = usage
        body["usage"] = {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply}
    return body


def error(message: str, code: str | None = None, kind: str = "error", param: str | None = None) -> Body:
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def limited(after: str | None = None) -> Behaviour:
    headers = {"retry-after": after} if after is not None else {}
    return Behaviour(status=429, body=error("too many requests", "rate_limit_exceeded"), headers=headers)


NO_QUOTA = Behaviour(status=429, body=error("You exceeded your current quota", "insufficient_quota"))


class Loopback:
    """The server.

    Attributes:
        behave: decides on each request: its body, and how many came before it.
        requests: the bodies received.
        answered: completions sent in full.
        under_way, most_under_way: requests at a time.
        limit: more than so many at a time get 429.
    """

    def __init__(self) -> None:
        self.behave: Callable[[Body, int], Behaviour] = lambda _body, _number: Behaviour()
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.answered = 0
        self.under_way = 0
        self.most_under_way = 0
        self.limit: int | None = None
        self.received = threading.Event()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=2048)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._up.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body: Body = json.loads(await reader.readexactly(int(headers["content-length"])))
        number = len(self.requests)
        self.requests.append(body)
        self.headers.append(headers)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.received.set()
        try:
            behaviour = self.behave(body, number)
            if self.limit is not None and self.under_way > self.limit:
                behaviour = limited()
            return await self._answer(behaviour, writer)
        finally:
            self.under_way -= 1

    async def _answer(self, behaviour: Behaviour, writer: asyncio.StreamWriter) -> bool:
        if behaviour.hang:
            await asyncio.sleep(3600)
        if behaviour.latency_s:
            await asyncio.sleep(behaviour.latency_s)
        if behaviour.reset:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        content = behaviour.content()
        lines = {"content-type": "application/json", "content-length": str(len(content)), **behaviour.headers}
        head = f"HTTP/1.1 {behaviour.status} Said\r\n" + "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        writer.write(head.encode() + b"\r\n" + content[: behaviour.cut])
        await writer.drain()
        if behaviour.cut is not None:
            return False
        self.answered += behaviour.status == 200
        return True


@contextmanager
def serving() -> Iterator[Loopback]:
    server = Loopback()
    server.start()
    try:
        yield server
    finally:
        server.stop()
