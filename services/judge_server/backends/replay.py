"""Stored replies in place of a model, for tests and audits.

The file holds one JSON object a line: `{"key": …, "sample": …, "match": …, "reply": {"text": …, …}}`; `reply` has the
fields of `judge_server.llm.Reply`. A call is answered by the first of these that there is:

1. the line whose `key` is the hash of its messages (`ledger.cache_key.prompt_hash`) and whose `sample` (0 if absent)
   is its own: such lines are what `python -m judge_server.recording` writes from a ledger;
2. the first line with a `match` that occurs in one of its messages;
3. the next line with neither: a script, each line of which is used once, in the order of the file.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from judge_server.judges import ConfigError, Judge
from judge_server.ledger.cache_key import prompt_hash
from judge_server.ledger.reply_json import from_fields
from judge_server.llm import Backend, Call, CallFailed, Reply

KNOWN = {"key", "sample", "match", "reply"}


@dataclass(frozen=True)
class Line:
    key: str | None
    sample: int
    match: str | None
    reply: Reply


class Replay:
    """Serves what a file holds."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = [_line(file, number, text) for number, text in enumerate(_texts(file), 1) if text.strip()]
        self._by_key = {(line.key, line.sample): line.reply for line in reversed(lines) if line.key is not None}
        self._by_match = [(line.match, line.reply) for line in lines if line.key is None and line.match is not None]
        self._script = deque(line.reply for line in lines if line.key is None and line.match is None)

    async def ask(self, call: Call, timeout_s: float) -> Reply:
        if reply := self._by_key.get((prompt_hash(call.turns), call.sample)):
            return reply
        for match, reply in self._by_match:
            if any(match in content for _, content in call.turns):
                return reply
        if self._script:
            return self._script.popleft()
        raise CallFailed("judge_transport", f"{self._file} holds no reply to this call")

    async def close(self) -> None:
        pass


def connect(judge: Judge) -> Backend:
    """Return a backend that reads the judge's `file`.

    Raises:
        ConfigError: it cannot be read, or a line of it is wrong.
    """
    assert judge.file is not None, "checked by Judge"
    return Replay(judge.file)


def _texts(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split("\n")  # not at U+2028, which JSON may hold
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from error


def _line(file: Path, number: int, text: str) -> Line:
    try:
        line: dict[str, Any] = orjson.loads(text)
        if unknown := set(line) - KNOWN:
            raise ValueError(f"unknown {sorted(unknown)}; known: {sorted(KNOWN)}")
        return Line(line.get("key"), line.get("sample", 0), line.get("match"), from_fields(line["reply"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{file}, line {number}: {type(error).__name__}: {error}") from error
