"""The doorbell: a Celery task, sent by name, that says "there is a waiting run"."""

from typing import Any

from shared import bell
from shared.errors import ServiceUnavailable, unavailable
from shared.log.runs import Run
from shared.settings import Settings
from shared.wire import RING_TASK, celery_options, doorbell_queue


class Doorbell:
    """Rings for workers. Made once for a process; Celery is imported when it first rings."""

    def __init__(self, settings: Settings) -> None:
        self.redis_url = settings.require_redis_url()
        self._app: Any = None

    def ring(self, run: Run) -> None:
        """Ring for a run on the queue of its class; raises `ServiceUnavailable` when Redis does not take it."""
        try:
            # Celery tries for seconds before it says that nobody is there; a ping knows at once.
            with bell.connect(self.redis_url) as client:
                client.ping()
            queue = doorbell_queue(run.device, run.length)
            self._celery().send_task(RING_TASK, args=[run.id], queue=queue, retry=False, ignore_result=True)
        except Exception as error:
            # Whatever the transport raises (kombu, redis-py, the operating system) means the same to people.
            raise redis_away(self.redis_url, error) from error

    def _celery(self) -> Any:
        if self._app is None:
            from celery import Celery

            self._app = Celery("lml", set_as_current=False)
            self._app.conf.update(celery_options(self.redis_url))
        return self._app


def redis_away(redis_url: str, error: Exception) -> ServiceUnavailable:
    """The answer to a Redis that does not answer, without its password."""
    address = redis_url.rsplit("@", 1)[-1].removeprefix("redis://").removeprefix("rediss://")
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return unavailable(
        "redis_unavailable",
        f"Redis at {address} does not answer: {reason}.",
        "Start it, or correct LML_REDIS_URL; then run the command again.",
    )
