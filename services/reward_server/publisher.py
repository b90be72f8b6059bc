"""Put jobs on the queue from a thread of their own, in as few messages as possible."""

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from celery import Celery

from reward_server.broker import TASK
from reward_server.catalog import Served
from reward_server.content import Fields

log = logging.getLogger(__name__)

MESSAGE_BYTES = 4 << 20
"""Larger messages are halved: Redis and the worker hold a message whole."""

Parcel = tuple[Served, float, list[tuple[str, Fields]]]
"""A reward, a deadline (Unix time), and the (id, fields) of the items it should score by then."""


class Publisher:
    """A thread that publishes; publishing blocks, so the event loop must not.

    What arrives while a message is on its way goes out together in the next: under load messages grow, not delays.

    Args:
        app: the Celery app.
        reply_to: the Redis list the answers should come back on.
        message_items: at most this many items in one message.
        trouble: called with the error when a message could not be published. Nothing is lost: whoever waits for the
            items asks again.
    """

    def __init__(self, app: Celery, reply_to: str, message_items: int, trouble: Callable[[Exception], None]) -> None:
        self._app, self._reply_to, self._message_items, self._trouble = app, reply_to, message_items, trouble
        self._parcels: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="publisher", daemon=True)
        self._thread.start()

    def send(self, parcel: Parcel) -> None:
        self._parcels.put(parcel)

    def close(self) -> None:
        self._parcels.put(None)
        self._thread.join(timeout=5)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _loop(self) -> None:
        while (parcel := self._parcels.get()) is not None:
            parcels = [parcel]
            while not self._parcels.empty():
                if (more := self._parcels.get()) is None:
                    self._parcels.put(None)  # close() came in between: publish, then see it again
                    break
                parcels.append(more)
            for served, deadline, jobs in merged(parcels, self._message_items):
                try:
                    self._publish(served, deadline, jobs)
                except Exception as error:  # noqa: BLE001 - one message must not end the thread that sends all others
                    self._trouble(error)

    def _publish(self, served: Served, deadline: float, jobs: list[tuple[str, Fields]]) -> None:
        message: dict[str, Any] = {
            "reward": served.name,
            "version": served.version,
            "reply_to": self._reply_to,
            "deadline": deadline,
            "jobs": jobs,
        }
        text = orjson.dumps(message).decode()
        if len(text) > MESSAGE_BYTES and len(jobs) > 1:
            half = len(jobs) // 2
            self._publish(served, deadline, jobs[:half])
            self._publish(served, deadline, jobs[half:])
            return
        for attempt in (1, 2):  # after a restart of Redis the first try finds a dead connection
            try:
                # argsrepr: Celery would put a copy of the texts into the message's headers, where they get logged.
                self._app.send_task(TASK, args=(text,), queue=served.queue, retry=False, argsrepr="(jobs)")
                return
            except Exception as error:  # noqa: BLE001 - kombu lets every kind of connection error through
                if attempt == 2:
                    self._trouble(error)


def merged(parcels: Iterable[Parcel], message_items: int) -> list[Parcel]:
    """Join parcels of one reward, up to `message_items` each; the joined deadline is the latest."""
    joined: list[Parcel] = []
    last: dict[str, int] = {}
    for served, deadline, jobs in parcels:
        for start in range(0, len(jobs), message_items):
            part = jobs[start : start + message_items]
            place = last.get(served.name)
            if place is not None and len(joined[place][2]) + len(part) <= message_items:
                _, other, before = joined[place]
                joined[place] = (served, max(deadline, other), before + part)
            else:
                last[served.name] = len(joined)
                joined.append((served, deadline, part))
    return joined
