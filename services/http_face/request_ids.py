"""Whose work this is: the ids of the requests that a thread or task works for."""

import uuid
from contextvars import ContextVar

REQUEST_IDS: ContextVar[tuple[str, ...]] = ContextVar("request_ids", default=())
"""One in the API; in a worker those of all requests that share a message."""

LONGEST = 128


def acceptable(given: object) -> bool:
    """Whether an id is at most 128 visible ASCII characters: such a one can break no header and no log line."""
    return isinstance(given, str) and 0 < len(given) <= LONGEST and all("!" <= letter <= "~" for letter in given)


def request_id(given: str | None) -> str:
    """Return the caller's id where it is acceptable, else a new one."""
    return given if given is not None and acceptable(given) else uuid.uuid4().hex
