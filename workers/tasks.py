"""The Celery tasks: thin, because a run belongs to the log and not to a message."""

from typing import Any

from shared.settings import Settings
from shared.wire import RING_TASK
from workers.drain import Drain
from workers.supervise import run_next


def register(app: Any, settings: Settings, drain: Drain) -> None:
    """Give the app its tasks."""

    @app.task(name=RING_TASK)  # type: ignore[untyped-decorator]  # Celery ships no types
    def ring(_hint: int) -> None:
        """There may be a waiting run; the best one is taken, whichever the hint named."""
        with drain.busy() as may_take:
            if may_take:
                run_next(settings, draining=drain.begun)
