"""What `guerdon up` and `guerdon demo` say while they work: lines, and one progress line that changes in place."""

import sys
import threading
from typing import TextIO


class Console:
    """Writes to `stream`, or nowhere when that is None. Lines may come from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._in_place = stream is not None and stream.isatty()
        self._shown = ""

    @classmethod
    def terminal(cls) -> "Console":
        return cls(sys.stderr)

    def line(self, text: str) -> None:
        with self._lock:
            shown = self._shown
            self._erase()
            self._write(text + "\n")
            if shown and self._in_place:
                self._show(shown)

    def progress(self, text: str, elapsed_s: float) -> None:
        """Show what is being waited for. Where lines cannot be rewritten, say it once and without the time."""
        with self._lock:
            if self._in_place:
                self._erase()
                self._show(f"{text}  {elapsed_s:.0f} s")
            elif text != self._shown:
                self._write(text + "\n")
                self._shown = text

    def done(self) -> None:
        """Take the progress line away."""
        with self._lock:
            self._erase()

    def _show(self, text: str) -> None:
        self._write(text)
        self._shown = text

    def _erase(self) -> None:
        if self._shown and self._in_place:
            self._write("\r\x1b[K")
            self._shown = ""

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
