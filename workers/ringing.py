"""Doorbells that workers ring: for what was lost, and for what a claim has passed over."""

from collections.abc import Iterable
from typing import Any

from shared.wire import RING_TASK, celery_options


def doorbell_app(redis_url: str) -> Any:
    """A Celery app that only sends."""
    from celery import Celery

    app = Celery("lml-bell", set_as_current=False)
    app.conf.update(celery_options(redis_url))
    return app


def ring(app: Any, queue: str, runs: Iterable[int]) -> int:
    """Ring once for each run on the queue of their class of work; returns how often."""
    rung = 0
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for run in runs:
            app.send_task(RING_TASK, args=[run], queue=queue, retry=False, ignore_result=True, producer=producer)
            rung += 1
    return rung
