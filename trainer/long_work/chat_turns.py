"""Chat messages as a row of JSON has them: tables with a role and a content, both of them text."""

from typing import Any, TypeGuard

Turn = dict[str, Any]
"""Further keys stay, as they came."""


def are_turns(value: object) -> TypeGuard[list[Turn]]:
    """Return whether it is a list of messages, one at least."""
    return isinstance(value, list) and bool(value) and all(map(_is_turn, value))


def _is_turn(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("role", "content"))
