"""What a log line looks like, as text or JSON: it holds no prompt, no completion and no secret.

Three rules see to that, for our lines and for those of the libraries we use:
- Of an exception its type and its frames are written, never its message: a reward may quote what it was given.
- Celery, kombu and asyncio write messages whole; of their lines only the fixed words are kept.
- `log_level` is for our own loggers; libraries are heard from WARNING on, because at DEBUG they write request bodies.
"""

import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, Literal

from http_face import tracing
from http_face.request_ids import REQUEST_IDS

OURS = ("guerdon", "http_face", "reward_server", "judge_server")
WORDY = ("celery", "kombu", "asyncio")
PLACEHOLDER = re.compile(r"%(\(\w+\))?[-#0 +]*\d*(\.\d+)?[a-zA-Z]")
MOST_CAUSES, MOST_FRAMES = 5, 40
SIMPLE = re.compile(r"[\w.,:/+{}-]+", re.ASCII)

log = logging.getLogger("guerdon.threads")


def configure(log_format: Literal["text", "json"], log_level: str) -> None:
    """Write this process' log to stderr, in that format and from that level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter({"text": TextLine, "json": JsonLine}[log_format]())
    level = logging.getLevelNamesMapping()[log_level]
    logging.basicConfig(level=max(logging.WARNING, level), handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    threading.excepthook = _thread_ended
    os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars of loading models are no lines


def left_alone(**_: object) -> None:
    """Receive Celery's signal setup_logging: only where somebody does, Celery leaves logging as it is."""


class Line(logging.Formatter):
    """What both formats have in common."""

    converter = staticmethod(time.gmtime)

    def said(self, record: logging.LogRecord) -> str:
        """Return the message; of wordy libraries' messages the first line, without what was filled in."""
        if _root(record) in WORDY:
            return PLACEHOLDER.sub("…", str(record.msg).partition("\n")[0])
        return record.getMessage()

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what our code put under `fields` (what libraries add holds whole messages), and whose work it was."""
        fields: dict[str, Any] = getattr(record, "fields", {}) if _root(record) in OURS else {}
        if ids := REQUEST_IDS.get():
            fields = fields | {"request_id": " ".join(ids)}
        if trace := tracing.trace_id():
            fields = fields | {"trace_id": trace}
        return fields


class TextLine(Line):
    """`2026-01-31 12:00:00,123Z WARNING guerdon.api what happened key=value`, then the frames of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        start = f"{self.formatTime(record)}Z {record.levelname} {record.name} {printable(self.said(record))}"
        pairs = [f"{name}={_quoted(value)}" for name, value in self.fields(record).items()]
        stack = "\n" + "\n".join(frames(record.exc_info[1])) if record.exc_info and record.exc_info[1] else ""
        return " ".join([start, *pairs]) + stack


class JsonLine(Line):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, the fields, and an exception's frames."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": self.said(record),
        }
        line |= {name: value for name, value in self.fields(record).items() if name not in line}
        if record.exc_info and record.exc_info[1]:
            line["exception"] = list(frames(record.exc_info[1]))
        return json.dumps(line, default=str)


def frames(error: BaseException) -> Iterator[str]:
    """Yield where an exception came from and its type, its causes' first; never its message, and never very much."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < MOST_CAUSES:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for one in reversed(chain):
        yield "Traceback (most recent call last):"
        stack = [
            f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
            for frame, line in traceback.walk_tb(one.__traceback__)
        ]
        if len(stack) > MOST_FRAMES:
            half = MOST_FRAMES // 2
            stack[half:-half] = [f"  … {len(stack) - MOST_FRAMES} frames …"]
        yield from stack
        yield type(one).__qualname__


def printable(text: str) -> str:
    """Escape what could end a line or hide another: control characters, separators, directional marks."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _quoted(value: object) -> str:
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if SIMPLE.fullmatch(text) else json.dumps(text)


def _root(record: logging.LogRecord) -> str:
    return record.name.partition(".")[0]


def _thread_ended(ending: threading.ExceptHookArgs) -> None:
    if ending.exc_value is not None and not isinstance(ending.exc_value, SystemExit):
        log.critical("a thread ended", exc_info=ending.exc_value)
