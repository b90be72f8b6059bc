"""Put messages on the queue from a thread of their own."""

import logging
import threading
from typing import Any

import orjson
from celery import Celery

from reward_server.broker import BULK, INTERACTIVE, TASK
from reward_server.clock import SharedClock
from reward_server.outbox import Message, Outbox

log = logging.getLogger(__name__)


class Publisher:
    """A thread that publishes; publishing blocks, so the event loop must not.

    What arrives while a message is on its way goes out together in the next: under load messages grow, not delays.

    Args:
        app: the Celery app.
        outbox: where messages come from.
        reply_to: the Redis list the answers should come back on.
        clock: of all machines; deadlines travel in its time.
        compress_bytes: longer messages are compressed.
    """

    def __init__(
        self,
        app: Celery,
        outbox: Outbox,
        reply_to: str,
        clock: SharedClock,
        compress_bytes: int,
    ) -> None:
        self._app, self._outbox, self._reply_to, self._clock = app, outbox, reply_to, clock
        self._compress_bytes = compress_bytes
        self._thread = threading.Thread(target=self._loop, name="publisher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._outbox.close()
        self._thread.join(timeout=5)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _loop(self) -> None:
        while (message := self._outbox.take()) is not None:
            try:
                self._publish(message)
            except Exception as error:  # noqa: BLE001 - one message must not end the thread that sends all others
                log.warning("a message could not be published: %s; its items are asked for again", type(error).__name__)

    def _publish(self, message: Message) -> None:
        text = self._text(message)
        options: dict[str, Any] = {
            "queue": message.jobs[0].served.queue,
            "priority": BULK if message.lane.bulk else INTERACTIVE,
            "compression": "zlib" if len(text) > self._compress_bytes else None,
            "retry": False,
            # Celery would put a copy of the texts into the message's headers, where they get logged.
            "argsrepr": "(jobs)",
        }
        try:
            self._app.send_task(TASK, args=(text,), **options)
        except Exception:  # noqa: BLE001 - kombu lets every kind of connection error through
            # After a restart of Redis the first try finds a dead connection.
            self._app.send_task(TASK, args=(text,), **options)

    def _text(self, message: Message) -> str:
        jobs = [(job.id, orjson.Fragment(job.content), self._clock.shared(job.deadline)) for job in message.jobs]
        served = message.jobs[0].served
        return orjson.dumps(
            {
                "reward": served.name,
                "version": served.version,
                "reply_to": self._reply_to,
                "number": message.number,
                "run": message.lane.run,
                "bulk": message.lane.bulk,
                "suspect": message.lane.suspect,
                "travelling": message.travelling(),
                "jobs": jobs,
            }
        ).decode()
