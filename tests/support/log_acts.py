"""Runs of a log, brought to a state by what the product itself does."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from shared.access import Principal, Role, Source
from shared.errors import Problem
from shared.events import EpochDone
from shared.log import attempts, audit, runs, tables
from shared.log.attempts import Attempt, Outcome
from shared.log.engine import Log
from shared.log.runs import Artifact, NewRun
from shared.specs import TrainSpec

T = TypeVar("T")

PROCESSES = get_context("forkserver")  # each a process of its own, with the imports done once
PROCESSES.set_forkserver_preload(["pytest", "bot.submit", "sqlalchemy.dialects.sqlite", "shared.log.attempts"])

ADA = Principal(team_id="T1", user_id="U0ADA", source=Source.SLACK, channel_id="C1", role=Role.TRAINER)
SHELL = Principal(team_id="local", user_id="ada", source=Source.SHELL)
NEW = NewRun(spec=TrainSpec(dataset="a.csv"), words="train a.csv", principal=ADA)
PROBLEM = Problem("target_missing", "There is no column `x`.", "Name one that is there.")
OUTCOME = Outcome(
    result={"task": "binary"},
    metrics={"test": {"accuracy": 0.9, "log_loss": None}, "baseline": {"accuracy": 0.5}},
    artifacts=[Artifact(name="model.onnx", sha256="0" * 64, size_bytes=5)],
)

EPOCH = EpochDone(model="mlp", epoch=1, epochs=2, train_loss=0.5, validation_loss=0.6)


def asked(log: Log, new: NewRun = NEW) -> int:
    """A run that is preparing."""
    with log.write() as connection:
        return runs.create(connection, new)[0]


def queued(log: Log, new: NewRun = NEW) -> int:
    """A run that waits for a worker."""
    number = asked(log, new)
    with log.write() as connection:
        assert runs.queue(connection, number, dataset_sha256="0" * 64, dataset_size_bytes=7)
    return number


def claimed(log: Log, *, lease_s: float = 60.0, worker: str = "w1") -> Attempt:
    """An attempt at the oldest waiting run."""
    with log.write() as connection:
        taken = attempts.claim(connection, worker=worker, lease_s=lease_s)
    assert taken is not None
    return taken[0]


def running(log: Log, *, lease_s: float = 60.0) -> Attempt:
    """An attempt at a new run."""
    queued(log)
    return claimed(log, lease_s=lease_s)


def run_of(log: Log, number: int) -> runs.Run:
    """A run as it stands."""
    with log.read() as connection:
        return runs.get(connection, number)


def events_of(log: Log, number: int) -> list[Any]:
    """A run's events, after a look at their numbers."""
    with log.read() as connection:
        events = runs.events_after(connection, number)
    assert [at for at, _ in events] == list(range(1, len(events) + 1))
    assert run_of(log, number).last_event == len(events)
    return [met for _, met in events]


def all_runs(log: Log) -> list[runs.Run]:
    """Every run, as whoever is at the machine sees them: the newest first."""
    with log.read() as connection:
        return runs.listed(connection, Principal("any", "any", Source.SHELL), limit=1_000)


def noted(log: Log) -> list[tuple[str, str, str]]:
    """Who asked for which verb, and what was answered, as the audit has it."""
    with log.read() as connection:
        rows = audit.find(connection, Principal("any", "any", Source.SHELL), audit.AuditQuery())
    return [(row.by, row.verb, row.decision.value) for row in rows]


def everything(log: Log) -> dict[str, list[Any]]:
    """Every row of every table."""
    with log.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in tables.metadata.sorted_tables
        }


def change(log: Log, act: Callable[[Connection], T]) -> T:
    """One write."""
    with log.write() as connection:
        return act(connection)


def at_once(act: Callable[[int], T], *, threads: int = 8) -> list[T]:
    """The same from many threads, which all begin in the same moment."""
    gate = threading.Barrier(threads)

    def go(index: int) -> T:
        gate.wait(timeout=30)
        return act(index)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(go, range(threads)))
