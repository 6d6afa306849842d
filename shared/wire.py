"""Names on the wire between bot and workers, and the Celery options that both sides use.

The options are a plain dict, so that this module needs no Celery. Their reasons: docs/decisions/0001-doorbell.md.
"""

from typing import Any

RING_TASK = "lml.ring"
"""The doorbell: "there is a waiting run". Its only argument, a run's number, is a hint."""

RUNS_QUEUE = "lml.runs"
"""The Celery queue that nobody reads: a task without a class of work is a mistake."""


def doorbell_queue(device: str, length: str) -> str:
    """The Celery queue on which slots for a class of work listen: `lml.gpu.long`."""
    return f"lml.{device}.{length}"


EVENTS_STREAM = "lml:events"
"""The Redis stream that rings when a run has a new event. Only a bell: the events are in the log."""

EMPTY_DOORBELLS = "lml:doorbells:empty"
"""The Redis counter of doorbells for which no run waited."""

LOG_ANSWERS = "lml:log:answers"
"""There while a sweep reaches the log: whoever cannot is cut off, and not everybody."""

EVENTS_STREAM_LENGTH = 1_000
"""About how many rings the stream keeps."""


def celery_options(redis_url: str) -> dict[str, Any]:
    """Celery's configuration, for the worker and for whoever rings.

    Acknowledged early, nothing prefetched, no result backend: a run belongs to the log, never to a message.
    """
    return {
        "broker_url": redis_url,
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": RUNS_QUEUE,
        "task_create_missing_queues": True,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_proc_alive_timeout": 60,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "global_keyprefix": "lml:",
            "visibility_timeout": 3600,
            "health_check_interval": 10,
            "socket_connect_timeout": 5,
            "socket_timeout": 10,
            "socket_keepalive": True,
        },
    }
