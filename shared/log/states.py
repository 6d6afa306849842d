"""Where a run can stand."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    PREPARING = "preparing"  # written; its dataset is on the way into the store
    GATHERING = "gathering"  # its seeds are trained, a run for each; it waits for them
    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker has it, under a lease
    SUCCEEDED = "succeeded"  # ended well
    FAILED = "failed"  # ended badly
    CANCELLED = "cancelled"  # stopped because someone asked

    @property
    def ended(self) -> bool:
        """Nothing will happen to this run any more."""
        return self in ENDED


ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
WAITING = (RunState.PREPARING, RunState.GATHERING, RunState.QUEUED)
"""No worker has it."""
