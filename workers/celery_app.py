"""The Celery app of one slot, built in a function: importing this module registers nothing."""

from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutting_down

from shared.logs import log_to_stderr
from shared.settings import Settings
from shared.wire import celery_options
from shared.work import Slot
from workers import tasks
from workers.drain import Drain


def build_app(settings: Settings, slot: Slot, *, say_ready: Callable[[], None]) -> Any:
    """The app, with its tasks and with the way in which a shutdown reaches running ones."""
    app = Celery("lml")
    app.conf.update(celery_options(settings.require_redis_url()))
    drain = Drain()

    def start_draining(**_: Any) -> None:
        drain.begin()

    def ready(**_: Any) -> None:
        say_ready()

    def log(**_: Any) -> None:
        log_to_stderr("worker", as_json=settings.log == "json")

    setup_logging.connect(log, weak=False)  # else Celery sets up its own
    worker_shutting_down.connect(start_draining, weak=False)
    worker_ready.connect(ready, weak=False)

    tasks.register(app, settings, slot, drain)
    return app
