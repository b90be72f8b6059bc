"""An HTTP server on loopback, with threads of its own, that answers each request as a test says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request; the names of its headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Told:
    """One answer."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def served(answer: Callable[[Asked], Told]) -> Iterator[str]:
    """Yield the URL of a server that gives these answers, each in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told = answer(Asked(self.command, self.path, headers, body))
            content = told.text.encode()
            self.send_response(told.status)
            for name, value in {**told.headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError):  # who asked may have hung up
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the names http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@dataclass
class Wire:
    """A server that answers with what it is given, one after the other, and remembers what it was asked."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self, asked: Asked) -> Told:
        self.asked.append(asked)
        return Told(*self.answers.pop(0))


@contextmanager
def wired() -> Iterator[Wire]:
    wire = Wire()
    with served(wire.answer) as wire.url:
        yield wire
