"""The Celery app, configured once for those who put messages on the queue and those who take them off."""

from celery import Celery

from reward_server import transport
from reward_server.settings import Settings

TASK = "guerdon.score"
PRIORITY_MARK = "\x06\x16"
INTERACTIVE, BULK = 0, 9
"""Priorities; kombu keeps one Redis list for each and empties the first of them first."""
WORKERS = "guerdon:workers"
"""Sorted set of what workers say of themselves (fleet.py), scored by when the entry goes stale (Redis' time)."""
CANCELLED = "guerdon:cancelled"
"""Pub/sub channel of {"reply_to", "number", "ids"}: items of a message that nobody wants any more."""
DEAD_LETTERS = "guerdon:dead-letters"
"""List of items that no worker survived, newest first: what is known of them, without their texts."""


def lists_of(queue: str) -> list[str]:
    """Return the Redis lists of a queue; kombu adds the priority to its name, except for the first."""
    return [queue + (f"{PRIORITY_MARK}{priority}" if priority else "") for priority in (INTERACTIVE, BULK)]


def celery_app(settings: Settings) -> Celery:
    """Return the app. JSON only, late acknowledgement, no result backend: answers come back over reply lists."""
    transport.install()
    app = Celery("guerdon", broker=settings.redis_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=False,  # what raises has not been answered; another worker gets it
        task_reject_on_worker_lost=True,
        task_default_queue="guerdon.default",
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,  # 0 hoards, and more is kept from other workers; one each fills the batcher
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "priority_steps": [INTERACTIVE, BULK],
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": 2,  # the defaults add about 100 s to a redelivery
            "unacked_restore_throttle": 1,
            "socket_timeout": 30,  # longer than any blocking pop of kombu's
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 0,
        },
    )
    return app
