"""Claims, fences, leases and ends, on both engines."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError
from support.deadline import until
from support.log_acts import (
    EPOCH,
    OUTCOME,
    PROBLEM,
    PROCESSES,
    asked,
    at_once,
    change,
    claimed,
    events_of,
    everything,
    queued,
    run_of,
    running,
)

from shared.events import (
    Cancelled,
    CancelRequested,
    Failed,
    Queued,
    Released,
    Started,
    Succeeded,
)
from shared.log import attempts, runs, tables
from shared.log.attempts import Attempt, FenceLost
from shared.log.engine import Log, open_log
from shared.log.runs import RunState
from shared.log.waiting import longer_than
from shared.settings import Settings
from shared.specs import Device
from shared.work import Length, Priority

# Claiming --------------------------------------------------------------------------------------------


def test_the_oldest_waiting_run_is_claimed(log: Log) -> None:
    """A claim takes the oldest waiting run under a lease, counts the attempt, and says who took it."""
    asked(log)  # preparing: not to be claimed
    first, second = queued(log), queued(log)
    assert claimed(log, worker="w1") == Attempt(run=first, fence=1)
    assert claimed(log, worker="w2") == Attempt(run=second, fence=1)
    assert change(log, lambda connection: attempts.claim(connection, worker="w3", lease_s=60)) is None
    run = run_of(log, second)
    assert (run.state, run.worker, run.attempts) == (RunState.RUNNING, "w2", 1)
    assert run.started_at is not None
    assert events_of(log, second) == [Queued(), Started(attempt=1, worker="w2")]


def claim_all(url: str, worker: str, lanes: int) -> list[tuple[int, int]]:
    """Claim until nothing waits, from several threads of this process."""
    log = open_log(url)

    def lane(number: int) -> list[tuple[int, int]]:
        mine = []
        while taken := change(
            log, lambda connection: attempts.claim(connection, worker=f"{worker}.{number}", lease_s=60)
        ):
            mine.append((taken[0].run, taken[0].fence))
        return mine

    with ThreadPoolExecutor(lanes) as pool:
        return [met for part in pool.map(lane, range(lanes)) for met in part]


def test_each_run_is_claimed_once(log: Log, log_url: str) -> None:
    """Three processes of three threads claim forty runs at once: each run is taken by exactly one of them."""
    numbers = [queued(log) for _ in range(40)]
    with ProcessPoolExecutor(3, mp_context=PROCESSES) as pool:
        parts = [pool.submit(claim_all, log_url, f"w{index}", 3) for index in range(3)]
        met = [taken for part in parts for taken in part.result(timeout=120)]
    assert sorted(met) == [(number, 1) for number in numbers]
    for number in numbers:
        assert [type(met) for met in events_of(log, number)] == [Queued, Started]


# The fence -------------------------------------------------------------------------------------------


WRITES: dict[str, Callable[[Connection, Attempt], Any]] = {
    "renew": lambda connection, attempt: attempts.renew(connection, attempt, lease_s=60),
    "cancel_requested": attempts.cancel_requested,
    "record": lambda connection, attempt: attempts.record(connection, attempt, EPOCH),
    "succeed": lambda connection, attempt: attempts.succeed(connection, attempt, OUTCOME),
    "fail": lambda connection, attempt: attempts.fail(connection, attempt, PROBLEM),
    "cancelled": attempts.cancelled,
    "release": lambda connection, attempt: attempts.release(connection, attempt, reason="x"),
}


def taken_by_another(log: Log, attempt: Attempt) -> None:
    """Another worker has the run now."""
    change(log, lambda connection: attempts.release(connection, attempt, reason="its worker was lost"))
    assert claimed(log, worker="w2") == Attempt(run=attempt.run, fence=attempt.fence + 1)


def given_back(log: Log, attempt: Attempt) -> None:
    """The run waits for another worker."""
    change(log, lambda connection: attempts.release(connection, attempt, reason="its worker was lost"))


def ended(log: Log, attempt: Attempt) -> None:
    """The run has ended."""
    change(log, lambda connection: attempts.fail(connection, attempt, PROBLEM))


def never_claimed(log: Log, attempt: Attempt) -> None:
    """The run was cancelled while it waited for another worker."""
    given_back(log, attempt)
    change(log, lambda connection: runs.cancel(connection, attempt.run, by="U0ADA"))


@pytest.mark.parametrize("lose", [taken_by_another, given_back, ended, never_claimed])
def test_a_lost_attempt_changes_nothing(log: Log, lose: Callable[[Log, Attempt], None]) -> None:
    """A worker that lost its run and wakes up again is told so by each of its writes, and none changes a row."""
    attempt = running(log)
    lose(log, attempt)
    before = everything(log)
    for name, write in WRITES.items():
        with pytest.raises(FenceLost), log.write() as connection:
            write(connection, attempt)
        assert everything(log) == before, name


@pytest.mark.parametrize("end", ["succeed", "fail", "cancelled"])
def test_nothing_changes_a_run_that_has_ended(log: Log, end: str) -> None:
    """However it ended: no attempt, not its own last one, no wish and no sweep changes its result or anything else."""
    attempt = running(log, lease_s=-1)
    change(log, lambda connection: WRITES[end](connection, attempt))
    state, before = run_of(log, attempt.run).state, everything(log)
    for fence in (attempt.fence, attempt.fence + 1):
        for write in (*WRITES.values(), lambda connection, mine: attempts.crash(connection, mine, PROBLEM, most=9)):
            with pytest.raises(FenceLost), log.write() as connection:
                write(connection, Attempt(run=attempt.run, fence=fence))
    with log.write() as connection:
        assert attempts.claim(connection, worker="w", lease_s=60) is None
        assert attempts.release_lapsed(connection) == []
        assert runs.queue(connection, attempt.run) is False
        assert runs.fail_waiting(connection, attempt.run, PROBLEM) is False
        assert runs.change_priority(connection, attempt.run, Priority.LOW, by="U0ADA") is False
        assert runs.cancel(connection, attempt.run, by="U0ADA") is state
    assert everything(log) == before


@pytest.mark.parametrize("name", WRITES)
def test_an_attempt_that_has_its_run_may_write(log: Log, name: str) -> None:
    """Each write that the fence refuses to a lost attempt is open to the one that has the run."""
    attempt = running(log)
    change(log, lambda connection: WRITES[name](connection, attempt))


@pytest.mark.parametrize("end", ["succeed", "fail", "cancelled", "release"])
def test_two_ends_of_one_attempt_at_once(log: Log, end: str) -> None:
    """Of four threads that end the same attempt in the same moment, one does and the others lost the fence."""
    attempt = running(log)

    def try_to_end(_: int) -> bool:
        try:
            change(log, lambda connection: WRITES[end](connection, attempt))
        except FenceLost:
            return False
        return True

    assert sorted(at_once(try_to_end, threads=4)) == [False, False, False, True]
    assert len(events_of(log, attempt.run)) == 3


# Leases ----------------------------------------------------------------------------------------------


def test_a_lapsed_lease_gives_the_run_back(log: Log) -> None:
    """A run whose lease has passed waits again and is claimed with the next fence; one with a lease is left alone."""
    lost, kept = running(log, lease_s=-1), running(log)
    assert change(log, attempts.release_lapsed) == [lost.run]
    assert change(log, attempts.release_lapsed) == []
    run = run_of(log, lost.run)
    assert (run.state, run.worker) == (RunState.QUEUED, None)
    assert events_of(log, lost.run)[2:] == [Released(reason="its worker was lost")]
    assert run_of(log, kept.run).state is RunState.RUNNING
    assert claimed(log) == Attempt(run=lost.run, fence=2)


def test_a_lease_is_renewed(log: Log) -> None:
    """A worker that renews before the sweep comes keeps its run, for as long as it asked, by the database's clock."""
    attempt = running(log, lease_s=-1)
    change(log, lambda connection: attempts.renew(connection, attempt, lease_s=60))
    assert change(log, attempts.release_lapsed) == []
    change(log, lambda connection: attempts.renew(connection, attempt, lease_s=0.1))
    until(lambda: change(log, attempts.release_lapsed) == [attempt.run], what="the lease lapses", within_s=10)


def test_a_lease_of_an_ended_run_lapses_for_nobody(log: Log) -> None:
    """Whatever its lease said, a run that has ended stays ended."""
    attempt = running(log, lease_s=-1)
    change(log, lambda connection: attempts.fail(connection, attempt, PROBLEM))
    assert change(log, attempts.release_lapsed) == []
    assert run_of(log, attempt.run).state is RunState.FAILED


def test_two_sweeps_in_the_same_moment(postgres_url: str) -> None:
    """Two sweeps that find the same lapsed run release it once, and the later one finds nothing."""
    log = open_log(Settings(database_url=postgres_url).log_url)
    attempt = running(log, lease_s=-1)
    with ThreadPoolExecutor(1) as pool:
        with log.write() as connection:
            assert attempts.release_lapsed(connection) == [attempt.run]
            other = pool.submit(change, log, attempts.release_lapsed)
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            until(lambda: other.done() or change(log, lambda look: look.execute(waits).scalar_one()), what="it waits")
        assert other.result(timeout=30) == []


def test_runs_that_wait_too_long_are_found(log: Log) -> None:
    """Only queued runs that wait for longer than asked are told to the sweep."""
    asked(log)
    first = queued(log)
    running_now = claimed(log)
    waiting = queued(log)
    change(log, lambda connection: attempts.release(connection, running_now, reason="x"))
    with log.read() as connection:
        found = longer_than(connection, seconds=-1)
        assert longer_than(connection, seconds=3_600) == []
    assert found == [(first, Device.AUTO, Length.SHORT), (waiting, Device.AUTO, Length.SHORT)]


# Ending ----------------------------------------------------------------------------------------------


def test_success_is_visible_as_a_whole(log: Log) -> None:
    """A run that ends well shows its result, its metrics and its artifacts together."""
    attempt = running(log)
    change(log, lambda connection: attempts.succeed(connection, attempt, OUTCOME))
    run = run_of(log, attempt.run)
    assert (run.state, run.result, run.problem) == (RunState.SUCCEEDED, {"task": "binary"}, None)
    assert run.ended_at is not None
    assert events_of(log, attempt.run)[-1] == Succeeded()
    with log.read() as connection:
        assert runs.artifacts_of(connection, attempt.run) == OUTCOME.artifacts
        metrics = tables.metrics.c
        rows = connection.execute(select(metrics.part, metrics.name, metrics.value).order_by(metrics.part)).all()
    assert rows == [("baseline", "accuracy", 0.5), ("test", "accuracy", 0.9)]


def test_success_is_all_or_nothing(log: Log) -> None:
    """When one artifact cannot be written, nothing of the success is: the run goes on, and can end otherwise."""
    attempt = running(log)
    before = everything(log)
    twice = replace(OUTCOME, artifacts=[*OUTCOME.artifacts, *OUTCOME.artifacts])
    with pytest.raises(IntegrityError), log.write() as connection:
        attempts.succeed(connection, attempt, twice)
    assert everything(log) == before
    change(log, lambda connection: attempts.fail(connection, attempt, PROBLEM))
    assert run_of(log, attempt.run).state is RunState.FAILED


def test_failure_keeps_its_problem(log: Log) -> None:
    """A run that ends badly keeps the code, the message and the hint, in its row and in its last event."""
    attempt = running(log)
    change(log, lambda connection: attempts.fail(connection, attempt, PROBLEM))
    run = run_of(log, attempt.run)
    assert (run.state, run.problem, run.result) == (RunState.FAILED, PROBLEM, None)
    assert events_of(log, attempt.run)[-1] == Failed(problem=PROBLEM)


def test_a_run_that_no_worker_has_can_fail(log: Log) -> None:
    """A waiting run can be ended as failed; one that runs or has ended cannot."""
    waiting, preparing = queued(log), asked(log)
    for number in (waiting, preparing):
        assert change(log, lambda connection, number=number: runs.fail_waiting(connection, number, PROBLEM)) is True
        assert change(log, lambda connection, number=number: runs.fail_waiting(connection, number, PROBLEM)) is False
        assert run_of(log, number).problem == PROBLEM
    attempt = running(log)
    assert change(log, lambda connection: runs.fail_waiting(connection, attempt.run, PROBLEM)) is False
    assert run_of(log, attempt.run).state is RunState.RUNNING


@pytest.mark.parametrize("make", [asked, queued])
def test_a_waiting_run_is_cancelled_at_once(log: Log, make: Callable[[Log], int]) -> None:
    """A run that no worker has ends as cancelled in the moment it is asked, and is never claimed."""
    number = make(log)
    assert change(log, lambda connection: runs.cancel(connection, number, by="U0ADA")) is RunState.CANCELLED
    assert run_of(log, number).ended_at is not None
    assert events_of(log, number)[-1] == Cancelled()
    assert change(log, lambda connection: attempts.claim(connection, worker="w", lease_s=60)) is None


def test_a_running_run_is_asked_to_stop_once(log: Log) -> None:
    """A worker learns that its run shall stop, ends it as cancelled, and asking again adds nothing."""
    attempt = running(log)
    assert change(log, lambda connection: attempts.cancel_requested(connection, attempt)) is False
    for _ in range(2):
        assert change(log, lambda connection: runs.cancel(connection, attempt.run, by="U0ADA")) is RunState.RUNNING
    assert change(log, lambda connection: attempts.cancel_requested(connection, attempt)) is True
    change(log, lambda connection: attempts.cancelled(connection, attempt))
    assert events_of(log, attempt.run)[2:] == [CancelRequested(by="U0ADA"), Cancelled()]
    assert change(log, lambda connection: runs.cancel(connection, attempt.run, by="U0ADA")) is RunState.CANCELLED
    assert len(events_of(log, attempt.run)) == 4


def test_a_wish_to_stop_outlives_its_worker(log: Log) -> None:
    """When the worker is lost, stopped or crashes after someone asked to stop, the run has ended."""
    for ends in (
        lambda connection, _: attempts.release_lapsed(connection),
        lambda connection, attempt: attempts.release(connection, attempt, reason="its worker was stopped"),
        lambda connection, attempt: attempts.crash(connection, attempt, PROBLEM, most=3),
    ):
        attempt = running(log, lease_s=-1)
        change(log, lambda connection: runs.cancel(connection, attempt.run, by="U0ADA"))  # noqa: B023 - called at once
        change(log, lambda connection: ends(connection, attempt))  # noqa: B023
        assert run_of(log, attempt.run).state is RunState.CANCELLED
        assert events_of(log, attempt.run)[2:] == [CancelRequested(by="U0ADA"), Cancelled()]


def test_cancelling_and_claiming_in_the_same_moment(log: Log) -> None:
    """A run that is claimed and cancelled at once is either ended and not claimed, or claimed and asked to stop."""
    for _ in range(10):
        number = queued(log)

        def act(index: int, number: int = number) -> Any:
            if index:
                return change(log, lambda connection: runs.cancel(connection, number, by="U0ADA"))
            return change(log, lambda connection: attempts.claim(connection, worker="w", lease_s=60))

        taken, state = at_once(act, threads=2)
        run = run_of(log, number)
        if taken is None:
            assert (state, run.state) == (RunState.CANCELLED, RunState.CANCELLED)
        else:
            assert (state, run.state, run.cancel_requested) == (RunState.RUNNING, RunState.RUNNING, True)
        events_of(log, number)
