"""The worker's Celery app, built in a function: importing this module registers nothing."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

from shared.settings import Settings
from shared.wire import celery_options
from workers import tasks
from workers.drain import Drain


def build_app(settings: Settings) -> Any:
    """The app, with its tasks and with the way in which a shutdown reaches running ones."""
    app = Celery("lml")
    app.conf.update(celery_options(settings.require_redis_url()))
    drain = Drain()

    def start_draining(**_: Any) -> None:
        drain.begin()

    def say_ready(**_: Any) -> None:
        ready_file = os.environ.get("LML_READY_FILE")
        if ready_file:
            Path(ready_file).touch()

    worker_shutting_down.connect(start_draining, weak=False)
    worker_ready.connect(say_ready, weak=False)

    tasks.register(app, settings, drain)
    return app
