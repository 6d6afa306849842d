"""One file for each kind of run: reads the spec, calls the core, says what came out.

A job imports the core when it works, so that a worker that lacks a package can still say so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from shared.events import AnyEvent
from shared.specs import AnySpec

if TYPE_CHECKING:  # a process that only looks up what a job needs does without the core
    from workers.core.checkpoints import Checkpoints
    from workers.core.replay import Replayed
    from workers.core.seeds import SeedRun


@dataclass(frozen=True)
class Bench:
    """What a job works with: plain files and two callables."""

    spec: AnySpec
    data: Path
    """The run's dataset in the store; not used by a job without one."""
    models: Mapping[int, Path]
    """For each run whose model is used, a folder with the artifacts that the job needs."""
    out: Path
    """An empty folder; every file that is in it in the end becomes an artifact."""
    report: Callable[[AnyEvent], None]
    should_stop: Callable[[], bool]
    checkpoints: "Checkpoints | None" = None
    """Where the job keeps what it has learnt, and what earlier attempts have left; None: it keeps nothing."""
    replays: "Replayed | None" = None
    """The run that this one does again, as its log says."""
    model_specs: Mapping[int, AnySpec] = field(default_factory=dict)
    """What was asked of each run whose model is used, as far as it is known."""
    data_sha256: str | None = None
    """The hash of the dataset's bytes, where the log knows it."""
    seeds: "Sequence[SeedRun]" = ()
    """The runs of the seeds that this one gathers."""
    lay_out: Callable[[int], None] = lambda _run: None
    """Puts the files of one of them into `out`."""


class Job(Protocol):
    """A module of this package."""

    NEEDS: tuple[str, ...]
    """The artifacts of a used model that this job reads."""

    def work(self, bench: Bench) -> dict[str, Any]:
        """Do it; the result as plain values."""
        ...


def load_job(kind: str) -> Job:
    """The job of a kind of run."""
    return cast(Job, import_module(f"workers.jobs.{kind}"))
