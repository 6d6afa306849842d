"""The Celery tasks: thin, because a run belongs to the log and not to a message."""

from typing import Any

from shared.settings import Settings
from shared.wire import RING_TASK
from shared.work import Slot
from workers.drain import Drain
from workers.supervise import run_next


def register(app: Any, settings: Settings, slot: Slot, drain: Drain) -> None:
    """Give the app its tasks."""

    @app.task(name=RING_TASK, bind=True)  # type: ignore[untyped-decorator]  # Celery ships no types
    def ring(self: Any, _hint: int) -> None:
        """There may be a waiting run; the best one is taken, whichever the hint named."""
        queue = (self.request.delivery_info or {}).get("routing_key")
        with drain.busy() as may_take:
            if may_take:
                run_next(settings, slot, rung_on=queue, draining=drain.begun)
