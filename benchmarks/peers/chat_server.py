"""A provider of chat completions on loopback that takes 200 ms and 50 calls at a time: run it as `chat_server.py`.

It prints its port. Answers say how good they are ("worth 7 of 10"), and it judges by that. A call beyond the limit
gets 429. `GET /counts` tells, for each model, what was asked since the last time, and starts counting anew.
"""

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import cast

import orjson
import uvloop

LATENCY_S = 0.2
LIMIT = 50
WORTH = re.compile(r"worth (\d+) of 10")


@dataclass
class Counts:
    """What was asked of one model; `arrivals` are the moments of its calls, in seconds."""

    calls: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    most_under_way: int = 0
    arrivals: list[float] = field(default_factory=list)


class Provider:
    """What all connections share."""

    def __init__(self) -> None:
        self.under_way = 0
        self.counts: dict[str, Counts] = {}

    def told(self) -> bytes:
        counts, self.counts = self.counts, {}
        return orjson.dumps({model: vars(count) for model, count in counts.items()})

    def begun(self, model: str) -> bool:
        """Take a call, or refuse it."""
        counts = self.counts.setdefault(model, Counts())
        counts.calls += 1
        counts.arrivals.append(time.monotonic())
        if self.under_way >= LIMIT:
            counts.refused += 1
            return False
        self.under_way += 1
        counts.most_under_way = max(counts.most_under_way, self.under_way)
        return True

    def completion(self, model: str, messages: list[dict[str, str]]) -> bytes:
        """End a call: return the verdict on the two answers that are in its last message."""
        self.under_way -= 1
        text = verdict(messages[-1]["content"])
        prompt, reply = sum(len(one["content"]) for one in messages) // 4, len(text) // 4
        counts = self.counts.setdefault(model, Counts())
        counts.prompt_tokens += prompt
        counts.completion_tokens += reply
        message = {"role": "assistant", "content": text}
        return orjson.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply},
            }
        )


def verdict(question: str) -> str:
    """Judge in the form that is asked for: ours by letters, OpenJudge's by a score."""
    a, b = map(int, WORTH.findall(question))
    reason = f"One answer is worth {a}, the other {b}, which decides, whatever else can be said of the two of them."
    if '"reason"' in question:
        return orjson.dumps({"score": 0.5 if a == b else float(a > b), "reason": reason}).decode()
    winner = "tie" if a == b else "A" if a > b else "B"
    return orjson.dumps({"explanation": reason, "score_a": a, "score_b": b, "winner": winner}).decode()


class Conversation(asyncio.Protocol):
    """One connection. Not an HTTP library: one would take the processor from those who are measured."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET /counts "):
            self._received = b""
            self._send(b"200 OK", self._provider.told())
            return
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length is not None
        if len(body) >= int(length[1]):
            self._received = b""
            self._asked(orjson.loads(body))

    def _asked(self, call: dict[str, object]) -> None:
        if self._provider.begun(str(call["model"])):
            asyncio.get_running_loop().call_later(LATENCY_S, self._answer, call)
        else:
            error = {"message": "too many calls at a time", "type": "requests", "code": "rate_limit_exceeded"}
            self._send(b"429 Too Many Requests", orjson.dumps({"error": error}))

    def _answer(self, call: dict[str, object]) -> None:
        messages = call["messages"]
        assert isinstance(messages, list)
        self._send(b"200 OK", self._provider.completion(str(call["model"]), messages))

    def _send(self, status: bytes, content: bytes) -> None:
        assert self._transport is not None
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(content))
        if not self._transport.is_closing():
            self._transport.write(head + content)


async def main() -> None:
    provider = Provider()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(provider), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
