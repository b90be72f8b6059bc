"""One model's answer to one prompt, or why there is none."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from guerdon.messages import Status

Finish = Literal["stop", "length"]
OPENED_BY_THE_PROMPT = re.compile(r"\A(?:(?!<think(?:ing)?>).)*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
THOUGHTS = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
NEVER_CLOSED = re.compile(r"\A\s*<think(?:ing)?>.*", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Completion:
    """An answer; `text` is None where the machinery failed, and `status` and `error` then say why.

    Attributes:
        finish: stop: the model ended it; length: it was cut off; None: not known.
        tokens: how long it is, in the model's own tokens.
    """

    prompt_id: str
    text: str | None
    finish: Finish | None = None
    tokens: int | None = None
    status: Status = "ok"
    error: str | None = None

    @classmethod
    def failed(cls, prompt_id: str, status: Status, error: str) -> "Completion":
        return cls(prompt_id, None, status=status, error=error)

    @classmethod
    def read(cls, record: dict[str, Any]) -> "Completion":
        return cls(**{name: value for name, value in record.items() if name != "key"})

    def record(self, key: str) -> dict[str, Any]:
        return {"key": key, **asdict(self)}

    @property
    def why_missing(self) -> str:
        """Return why there is no text."""
        return self.error or "there is no completion"

    @property
    def length(self) -> int:
        """Characters that the judge sees: it is not shown what a model says to itself."""
        return len(visible(self.text or ""))


def encodable(text: str) -> str:
    """Return what a model said with half UTF-16 pairs, which nothing could be sent with, as question marks."""
    return text.encode("utf-8", "replace").decode()


def visible(text: str) -> str:
    """Return a text without its think sections; a tag that is never closed after visible words is a word."""
    if "<" not in text:  # the patterns below take seconds where a text has megabytes
        return text.strip()
    return NEVER_CLOSED.sub("", THOUGHTS.sub("", OPENED_BY_THE_PROMPT.sub("", text))).strip()
