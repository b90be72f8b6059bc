"""kombu's Redis transport, except that bytes which are no message are dropped instead of ending the worker.

A message that kombu or Celery cannot take apart raises in the consumer's loop after it has been put among the
unacknowledged ones: it comes back with every restart, and no restart survives it.
"""

import logging
from collections.abc import Callable
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

BROKEN = (ValueError, TypeError, LookupError, AttributeError)
"""What taking apart bytes raises that are no message."""


class Channel(redis.Channel):
    """A channel that outlives what is pushed onto its lists."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except BROKEN as error:
            log.error("bytes on the queue that are no message were dropped: %s", type(error).__name__)
            raise Empty from None

    def basic_consume(self, queue: str, no_ack: bool, callback: Callable[[Any], Any], *args: Any, **more: Any) -> Any:
        def guarded(message: Any) -> Any:
            try:
                return callback(message)
            except (RedisError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it must not come back
                log.error("a broken message was dropped: %s", type(error).__name__)
                if not message.acknowledged:
                    message.reject()

        return super().basic_consume(  # type: ignore[no-untyped-call]
            queue, no_ack, guarded, *args, **more
        )


class Transport(redis.Transport):
    Channel = Channel


def install() -> None:
    """Make it the transport of redis:// and rediss:// URLs in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
