"""How a request's id and trace context cross the queue, so that a worker's logs and spans say whose work they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from http_face import tracing
from http_face.request_ids import REQUEST_IDS, acceptable

MOST = 16
"""Requests that one message names; it may hold items of more."""
KEYS = ("request_id", "traceparent", "tracestate")
LONGEST = 512
"""Characters; what W3C Trace Context asks everybody to pass on at least."""


def travelling() -> dict[str, str]:
    """Return what a message should carry of the request being served; {} outside of one."""
    ids = REQUEST_IDS.get()
    everything = ({"request_id": ids[0]} if ids else {}) | tracing.injected()
    return {key: value for key, value in everything.items() if len(value) <= LONGEST}


@contextmanager
def arrived(travels: Any, reward: str, items: int) -> Iterator[None]:
    """Work for the requests of a message: within the block, log lines and spans name them.

    Args:
        travels: what `travelling` gave each of them; anything else, as another version's message might carry, is not
            used.
        reward: the served name.
        items: how many.
    """
    sound = [] if not isinstance(travels, list) else [_sound(one) for one in travels[:MOST]]
    ids = dict.fromkeys(one["request_id"] for one in sound if "request_id" in one)
    carriers = {one["traceparent"]: one for one in sound if "traceparent" in one}
    token = REQUEST_IDS.set(tuple(ids))
    try:
        with tracing.working(reward, items, list(carriers.values())):
            yield
    finally:
        REQUEST_IDS.reset(token)


def _sound(travel: Any) -> dict[str, str]:
    if not isinstance(travel, dict):
        return {}
    kept = {key: travel[key] for key in KEYS if isinstance(travel.get(key), str)}
    if not acceptable(kept.get("request_id", "-")):
        del kept["request_id"]
    return kept
