"""What can happen to a run, in the past tense; numbered per run in the log and never changed there.

Strict on what is written, lenient on what is read back: an older row may lack a field that has a default here.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shared.errors import Problem


class Stage(StrEnum):
    """The stages of a run that people see, in their order."""

    READ = "read"  # the dataset is read and its columns are understood
    TRAIN = "train"  # the models are fitted
    EVALUATE = "evaluate"  # the model is scored
    EXPORT = "export"  # the artifacts are written and checked
    PREDICT = "predict"  # predictions are written
    COMPARE = "compare"  # models are compared


class Event(BaseModel):
    """What every event has in common."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Queued(Event):
    """The run waits for a worker; its dataset is in the store."""

    kind: Literal["queued"] = "queued"


class Started(Event):
    """A worker claimed the run."""

    kind: Literal["started"] = "started"
    attempt: int
    worker: str


class Released(Event):
    """The worker that had the run stopped or was lost; the run waits for another one."""

    kind: Literal["released"] = "released"
    reason: str


class SeedsQueued(Event):
    """A run for each seed waits for a worker; this one waits for them."""

    kind: Literal["seeds_queued"] = "seeds_queued"
    seeds: tuple[int, ...]
    runs: tuple[int, ...]
    """The run of each seed."""


class SeedEnded(Event):
    """The run of a seed has ended."""

    kind: Literal["seed_ended"] = "seed_ended"
    run: int
    seed: int
    state: str
    ended: int
    """How many have ended now."""
    of: int
    """How many there are."""
    metric: str | None = None
    """The score that stands for the run, and what it reached on the test rows."""
    score: float | None = None


class StageStarted(Event):
    """The run entered a stage."""

    kind: Literal["stage_started"] = "stage_started"
    stage: Stage


class DatasetRead(Event):
    """The dataset was read and understood; what was inferred, and why, in words."""

    kind: Literal["dataset_read"] = "dataset_read"
    rows: int
    columns: int
    target: str
    task: str
    inferred: tuple[str, ...] = ()
    """One sentence for each thing that was inferred, with the words that change it."""
    warnings: tuple[str, ...] = ()
    """One sentence for each thing that a person should know: dropped columns, rows set aside, a guessed encoding."""


class EpochDone(Event):
    """Training went on; at most one such event a second."""

    kind: Literal["epoch_done"] = "epoch_done"
    model: str
    epoch: int
    epochs: int
    train_loss: float | None
    validation_loss: float | None
    eta_s: float | None = None


class CheckpointSaved(Event):
    """What was learnt until now is safe: an attempt that follows goes on from here."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"


class Resumed(Event):
    """The attempt goes on from a checkpoint."""

    kind: Literal["resumed"] = "resumed"
    detail: str = ""
    """Where it goes on, in words."""


class PriorityChanged(Event):
    """Someone put the run into another class."""

    kind: Literal["priority_changed"] = "priority_changed"
    priority: str
    by: str


class WorkerMissing(Event):
    """The run waits, and no worker that lives takes its class of work; told once."""

    kind: Literal["worker_missing"] = "worker_missing"
    device: str
    length: str


class CancelRequested(Event):
    """Someone asked for the run to be stopped."""

    kind: Literal["cancel_requested"] = "cancel_requested"
    by: str


class Succeeded(Event):
    """The run ended well; its result and artifacts are in the log."""

    kind: Literal["succeeded"] = "succeeded"


class Failed(Event):
    """The run ended badly and will not be tried again."""

    kind: Literal["failed"] = "failed"
    problem: Problem


class Cancelled(Event):
    """The run was stopped because someone asked for it."""

    kind: Literal["cancelled"] = "cancelled"


AnyEvent = Annotated[
    Queued
    | Started
    | Released
    | SeedsQueued
    | SeedEnded
    | StageStarted
    | DatasetRead
    | EpochDone
    | CheckpointSaved
    | Resumed
    | PriorityChanged
    | WorkerMissing
    | CancelRequested
    | Succeeded
    | Failed
    | Cancelled,
    Field(discriminator="kind"),
]

EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
