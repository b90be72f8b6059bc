"""How the values of a verdict may be written, and when two verdicts say the same."""

import re
from collections.abc import Iterable
from typing import Any

from judge_server.judgment.json_objects import Found

COMPARED = ("score_a", "score_b", "winner")
"""The keys of a verdict on two answers."""

Said = frozenset[tuple[str, Any]]
"""What an object says by the keys of a verdict; equal for two that say the same, however they are written."""

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)(?:\s*/\s*10)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


def number(value: Any) -> Any:
    """Read "7" and "7/10" as 7; anything on another scale stays what it is."""
    if not isinstance(value, str):
        return value
    if match := _NUMBER.fullmatch(value.strip()):
        return float(match[1])
    return float("nan") if _NOT_FINITE.fullmatch(value.strip()) else value


def winner(value: Any) -> Any:
    """Read "A" and "Answer A" as a; anything but a string stays what it is."""
    return value.strip().lower().removeprefix("answer ").strip() if isinstance(value, str) else value


def said(found: Found, keys: Iterable[str]) -> Said:
    """Return what an object says by these keys; what else stands in it does not count."""
    values = found.values
    return frozenset((key, _normal(key, values[key].value)) for key in keys if key in values)


def _normal(key: str, value: Any) -> Any:
    value = winner(value) if key == "winner" else number(value)
    return None if isinstance(value, list) or value != value else value  # lists have no hash, NaN no equal
