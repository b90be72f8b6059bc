"""A loopback endpoint that chats, and a loopback reward server: the wire is real, the answers are made up."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = Callable[[str, Any], Any]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """Serve JSON: `answer(path, body)` is what a request gets; None is a refusal."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(answer(self.path, None))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._reply(answer(self.path, json.loads(body)))

        def _reply(self, found: Any) -> None:
            text = json.dumps(found if found is not None else {"error": "no"}).encode()
            self.send_response(200 if found is not None else 400)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Chatter:
    """An endpoint that asks or answers, by who is spoken to; remembers every chat."""

    def __init__(self) -> None:
        self.chats: list[list[dict[str, str]]] = []
        self.question = "What should it run on?"
        self.asks: Callable[[Any], str] = lambda body: self.question
        self.refuses: Callable[[Any], bool] = lambda body: False
        self.url = ""

    def answer(self, path: str, body: Any) -> Any:
        if self.refuses(body):
            return None
        self.chats.append(body["messages"])
        asks = body["messages"][0]["content"].startswith("You sell cars")
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": self.asks(body) if asks else "On sunshine."},
                }
            ],
        }


@pytest.fixture
def chatter() -> Iterator[Chatter]:
    found = Chatter()
    with served(found.answer) as url:
        found.url = f"endpoint:{url}/v1#m"
        yield found


@pytest.fixture
def serving() -> Callable[[Answer], Any]:
    return served
