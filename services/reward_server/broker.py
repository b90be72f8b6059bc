"""The Celery app, configured once for those who put messages on the queue and those who take them off."""

from celery import Celery

from reward_server.settings import Settings

TASK = "guerdon.score"
WORKERS = "guerdon:workers"
"""Sorted set of `worker id|served name|served name…`, scored by when the entry goes stale (Unix time)."""


def celery_app(settings: Settings) -> Celery:
    """Return the app. JSON only, late acknowledgement, no result backend: answers come back over reply lists."""
    app = Celery("guerdon", broker=settings.redis_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue="guerdon.default",
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=4,  # 0 hoards; less than two batches starves the batcher
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
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
