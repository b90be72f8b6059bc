"""Hear which items nobody wants any more, and take them out of the batchers before they cost compute."""

import logging
import threading
import time
from collections import OrderedDict
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from reward_server.batcher import Batcher, Submission
from reward_server.broker import CANCELLED

log = logging.getLogger(__name__)

EARLY_KEPT = 50_000
"""Cancelled items remembered of messages that have not come yet."""

Key = tuple[str, int]
"""The reply list of an API process, and the number it gave a message."""


class Cancellations:
    """A thread that listens. Publishing is fire and forget: what is missed costs a model call and nothing else."""

    def __init__(self, url: str) -> None:
        # No socket timeout: there may be nothing to hear for hours.
        self._redis: Redis = Redis.from_url(url, socket_connect_timeout=2, socket_keepalive=True)
        self._lock = threading.Lock()
        self._held: dict[Key, tuple[Batcher[Any, Any], Submission[Any]]] = {}
        self._early: OrderedDict[Key, set[str]] = OrderedDict()
        self._early_items = 0

    def start(self) -> None:
        threading.Thread(target=self._listen, name="cancellations", daemon=True).start()

    def watch(self, message: dict[str, Any], batcher: Batcher[Any, Any], submission: Submission[Any]) -> None:
        """Drop items of this message from now on; at once those that were cancelled before it came."""
        key = message["reply_to"], message["number"]
        with self._lock:
            self._held[key] = batcher, submission
            early = self._early.pop(key, set())
            self._early_items -= len(early)
        if early:
            batcher.drop(submission, early)

    def forget(self, message: dict[str, Any]) -> None:
        """The message is answered."""
        with self._lock:
            self._held.pop((message["reply_to"], message["number"]), None)

    def cancel(self, key: Key, ids: set[str]) -> None:
        """Drop items of a message, now or when it comes."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                early = self._early.setdefault(key, set())
                self._early_items += len(ids - early)
                early |= ids
                while self._early_items > EARLY_KEPT:
                    self._early_items -= len(self._early.popitem(last=False)[1])
        if held is not None:
            batcher, submission = held
            batcher.drop(submission, ids)

    def _listen(self) -> None:
        while True:
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(CANCELLED)
                    for note in channel.listen():
                        self._hear(note["data"])
            except (RedisError, OSError) as error:
                log.warning("cancellations are not heard: %s; trying again", type(error).__name__)
                time.sleep(1.0)

    def _hear(self, data: bytes) -> None:
        try:
            note = orjson.loads(data)
            self.cancel((note["reply_to"], int(note["number"])), set(note["ids"]))
        except Exception as error:  # noqa: BLE001 - somebody else's bytes must not end the thread
            log.error("a cancellation was not understood: %s", type(error).__name__)
