"""The provider of chat completions that all sides ask: peers/chat_server.py, in a process of its own."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LATENCY_S, CONCURRENCY = 0.2, 50
"""Of a call; calls at a time."""


class Provider:
    """The server that all sides ask."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self._counts = f"http://127.0.0.1:{port}/counts"

    def counts(self) -> dict[str, Any]:
        """Return what was asked of each model since the last time."""
        with urllib.request.urlopen(self._counts) as answer:
            counts: dict[str, Any] = json.load(answer)
        return counts


@contextmanager
def provider() -> Iterator[Provider]:
    command = [sys.executable, str(Path(__file__).parent / "peers" / "chat_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Provider(int(process.stdout.readline()))
        finally:
            process.terminate()
