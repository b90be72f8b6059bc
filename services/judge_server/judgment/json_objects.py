"""The flat JSON objects in a text, whatever surrounds them, each with where its values stand."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Begins as JSON does, so that decoding is tried on little else. No braces but in strings, no backslash but in
# strings; possessive, so that nothing is tried twice. Of the attempts that start at successive braces only two can go
# on past the same character (one takes it for part of a string, the other does not), so that finding all objects takes
# linear time, whatever the text.
_FLAT = re.compile(r'\{(?=\s*["}])(?:[^{}"\\]|"(?:[^"\\]|\\.)*+")*+\}', re.DOTALL)
_COLON = re.compile(r"\s*:\s*")
_NEXT = re.compile(r"\s*(,)?\s*")
_DECODER = json.JSONDecoder(strict=False, parse_int=float)  # raw line breaks in strings pass; 10**5000 is infinite


@dataclass(frozen=True)
class Value:
    """A value in a text, which stands at text[start:end]."""

    value: Any
    start: int
    end: int


@dataclass(frozen=True)
class Found:
    """An object at text[start:end]; of a key that stands twice, the later value."""

    values: dict[str, Value]
    start: int
    end: int

    @property
    def plain(self) -> dict[str, Any]:
        return {key: value.value for key, value in self.values.items()}


def objects(text: str, start: int = 0) -> Iterator[Found]:
    """Yield the flat objects of text[start:] that are valid JSON, from left to right; none lies within another."""
    while match := _FLAT.search(text, start):
        try:
            yield Found(_values(match[0], match.start()), match.start(), match.end())
            start = match.end()
        except (ValueError, RecursionError):
            start = match.start() + 1


def _values(text: str, offset: int) -> dict[str, Value]:
    """Read `{"key": value, …}`, which stands at an offset in a longer text.

    It is read by itself: an error of the decoder counts the lines of all that it was given.

    Raises:
        ValueError, RecursionError: it is not that.
    """
    values: dict[str, Value] = {}
    at, end = _after(_NEXT, text, 1)[0], len(text) - 1
    while at < end:
        key, at = _DECODER.raw_decode(text, at)
        if not isinstance(key, str):
            raise ValueError("a key is no string")
        start, colon = _after(_COLON, text, at)
        value, at = _DECODER.raw_decode(text, start)
        values[key] = Value(value, offset + start, offset + at)
        at, comma = _after(_NEXT, text, at)
        if not colon or (at < end) != bool(comma):
            raise ValueError("a colon or a comma is missing, or a comma is one too many")
    return values


def _after(pattern: re.Pattern[str], text: str, at: int) -> tuple[int, str | None]:
    match = pattern.match(text, at)
    return (match.end(), match[0].strip() or None) if match else (at, None)
