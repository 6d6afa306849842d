"""The log on both engines: what many processes do to it at once, and what each of them may see."""

import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from support.deadline import until

from bot import submit
from bot.desk import Desk
from bot.grammar import parse
from shared.access import Principal, Source, Visibility
from shared.blobs import BlobStore
from shared.errors import Problem, RefusedWords, ServiceUnavailable
from shared.events import (
    Cancelled,
    CancelRequested,
    EpochDone,
    Failed,
    Queued,
    Released,
    Stage,
    StageStarted,
    Started,
    Succeeded,
)
from shared.log import attempts, cards, runs, tables
from shared.log.attempts import Attempt, FenceLost, Outcome
from shared.log.engine import Log, now, open_log
from shared.log.runs import Artifact, NewRun, RunState
from shared.settings import Settings
from shared.specs import EvaluateSpec, TrainSpec

T = TypeVar("T")

PROCESSES = get_context("forkserver")  # each a process of its own, with the imports done once
PROCESSES.set_forkserver_preload(["pytest", "bot.submit", "sqlalchemy.dialects.sqlite", "shared.log.attempts"])

ADA = Principal(team_id="T1", user_id="U0ADA", source=Source.SLACK, channel_id="C1")
SHELL = Principal(team_id="local", user_id="ada", source=Source.SHELL)
NEW = NewRun(spec=TrainSpec(dataset="a.csv"), words="train a.csv", principal=ADA)
PROBLEM = Problem("target_missing", "There is no column `x`.", "Name one that is there.")
OUTCOME = Outcome(
    result={"task": "binary"},
    metrics={"test": {"accuracy": 0.9, "log_loss": None}, "baseline": {"accuracy": 0.5}},
    artifacts=[Artifact(name="model.onnx", sha256="0" * 64, size_bytes=5)],
)


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


# Asking ---------------------------------------------------------------------------------------------------------------


def test_a_run_is_written_as_it_was_asked(log: Log) -> None:
    """What is known of a run when it is asked for is found again, and nothing has happened to it."""
    parent = asked(log)
    new = NewRun(
        spec=EvaluateSpec(run=parent, dataset="in/März.csv"),
        words='evaluate 1 "in/März.csv"',
        principal=ADA,
        visibility=Visibility.CHANNEL,
        trigger_id="123.456",
        dataset_name="März.csv",
        dataset_source={"path": "in/März.csv", "deep": [1, None, {"x": "“"}]},
        parents=(parent, parent),
    )
    run = run_of(log, asked(log, new))
    assert run.model_dump(exclude={"created_at"}, exclude_defaults=True) == {
        "id": run.id,
        "team_id": "T1",
        "channel_id": "C1",
        "visibility": Visibility.CHANNEL,
        "requested_by": "U0ADA",
        "source": Source.SLACK,
        "words": new.words,
        "kind": "evaluate",
        "spec": new.spec.model_dump(exclude_defaults=True),
        "state": RunState.PREPARING,
        "dataset_source": new.dataset_source,
        "dataset_name": "März.csv",
    }
    assert abs(datetime.now(UTC) - run.created_at) < timedelta(minutes=1)
    assert events_of(log, run.id) == []
    with log.read() as connection:
        assert connection.execute(select(tables.run_parents)).all() == [(run.id, parent)]


def test_a_trigger_makes_one_run(log: Log) -> None:
    """A command that Slack delivers twice is one run; another team's, or one without a trigger, is another."""
    new = replace(NEW, trigger_id="1.2")
    other_team = replace(new, principal=replace(ADA, team_id="T2"))
    met = [change(log, lambda connection, new=new: runs.create(connection, new)) for new in (new, new, other_team)]
    assert met == [(1, True), (1, False), (2, True)]
    assert asked(log) != asked(log)


def test_a_trigger_makes_one_run_also_at_once(log: Log) -> None:
    """Eight deliveries of one command in the same moment write one run, and each learns its number."""
    new = replace(NEW, trigger_id="1.2")
    met = at_once(lambda _: change(log, lambda connection: runs.create(connection, new)))
    assert len({number for number, _ in met}) == 1
    assert sorted(created for _, created in met) == [False] * 7 + [True]
    assert len(everything(log)["runs"]) == 1


def test_a_broken_block_writes_nothing(log: Log) -> None:
    """A block of writes that raises leaves the log as it was."""
    before = everything(log)
    with pytest.raises(ZeroDivisionError):
        change(log, lambda connection: runs.create(connection, NEW)[0] / 0)
    assert everything(log) == before


def test_a_prepared_run_waits_once(log: Log) -> None:
    """A run goes from preparing to queued once; a second try and a cancelled run are told so."""
    number = asked(log)
    assert change(log, lambda connection: runs.queue(connection, number, dataset_sha256="a" * 64)) is True
    assert change(log, lambda connection: runs.queue(connection, number, dataset_sha256="b" * 64)) is False
    run = run_of(log, number)
    assert (run.state, run.dataset_sha256) == (RunState.QUEUED, "a" * 64)
    assert events_of(log, number) == [Queued()]
    gone = asked(log)
    change(log, lambda connection: runs.cancel(connection, gone, by="U0ADA"))
    assert change(log, lambda connection: runs.queue(connection, gone)) is False
    assert events_of(log, gone) == [Cancelled()]


def test_the_position_in_the_queue(log: Log) -> None:
    """A waiting run's position counts the runs that wait in front of it, and no others."""
    claimable, first, second = queued(log), queued(log), queued(log)
    asked(log)
    assert claimed(log).run == claimable
    with log.read() as connection:
        positions = [runs.position(connection, runs.get(connection, number)) for number in (first, second)]
    assert positions == [1, 2]


# Claiming -------------------------------------------------------------------------------------------------------------


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


# The fence ------------------------------------------------------------------------------------------------------------

EPOCH = EpochDone(model="mlp", epoch=1, epochs=2, train_loss=0.5, validation_loss=0.6)
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


# Leases ---------------------------------------------------------------------------------------------------------------


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
        assert attempts.waiting_longer_than(connection, seconds=-1) == [first, waiting]
        assert attempts.waiting_longer_than(connection, seconds=3_600) == []


# Ending ---------------------------------------------------------------------------------------------------------------


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
    """When the worker is lost after someone asked to stop, the next one still learns of it."""
    attempt = running(log, lease_s=-1)
    change(log, lambda connection: runs.cancel(connection, attempt.run, by="U0ADA"))
    change(log, attempts.release_lapsed)
    again = claimed(log)
    assert change(log, lambda connection: attempts.cancel_requested(connection, again)) is True


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


# Events and points ----------------------------------------------------------------------------------------------------


def test_events_are_numbered_without_gaps(log: Log) -> None:
    """Six threads write events of one run at once: each gets its own number, and none is left out."""
    attempt = running(log)
    stage = StageStarted(stage=Stage.READ)

    def write(index: int) -> None:
        for _ in range(10):
            if index % 2:
                change(log, lambda connection: attempts.record(connection, attempt, stage))
            else:
                change(log, lambda connection: runs.append_event(connection, attempt.run, stage))

    at_once(write, threads=6)
    assert events_of(log, attempt.run)[2:] == [stage] * 60
    with log.read() as connection:
        assert [number for number, _ in runs.events_after(connection, attempt.run, 60)] == [61, 62]


def test_points_of_a_curve_are_written_once(log: Log) -> None:
    """An epoch leaves one point for each loss that it has; told again, the newer value stands."""
    attempt = running(log)
    for epoch in (
        EPOCH,
        EPOCH.model_copy(update={"train_loss": 0.4, "validation_loss": None}),
        EPOCH.model_copy(update={"epoch": 2}),
    ):
        change(log, lambda connection, epoch=epoch: attempts.record(connection, attempt, epoch))
    point = tables.metric_points.c
    with log.read() as connection:
        rows = connection.execute(
            select(point.series, point.step, point.value).order_by(point.series, point.step)
        ).all()
    assert rows == [
        ("mlp.train_loss", 1, 0.4),
        ("mlp.train_loss", 2, 0.5),
        ("mlp.validation_loss", 1, 0.6),
        ("mlp.validation_loss", 2, 0.6),
    ]


def test_rows_of_other_versions_are_read(log: Log) -> None:
    """A stored spec or event with keys that this version does not know hides no run."""
    number = queued(log)
    spec = {**NEW.spec.model_dump(mode="json"), "dropped_later": 1}
    with log.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(spec=spec))
        connection.execute(update(tables.events).values(body={"kind": "queued", "of_a_later_version": [1]}))
    assert run_of(log, number).spec == NEW.spec
    assert events_of(log, number) == [Queued()]


# Visibility -----------------------------------------------------------------------------------------------------------

BEN = replace(ADA, user_id="U0BEN")
ELSEWHERE = replace(ADA, channel_id="C2")
STRANGER = replace(ADA, team_id="T2")
NOWHERE = replace(ADA, channel_id=None)
SEEN = [
    (ADA, {"team", "channel", "private"}),
    (BEN, {"team", "channel"}),
    (ELSEWHERE, {"team"}),
    (NOWHERE, {"team"}),
    (STRANGER, set()),
    (SHELL, {"team", "channel", "private"}),
]


@pytest.mark.parametrize(("principal", "seen"), SEEN)
def test_who_sees_what(log: Log, principal: Principal, seen: set[str], tmp_path: Path) -> None:
    """Team, channel and private runs are found, listed, used and cancelled by those who may, and by no others."""
    numbers = {
        visibility.value: queued(log, replace(NEW, visibility=visibility, dataset_name="a.csv"))
        for visibility in Visibility
    }
    desk = Desk(settings=Settings(home=tmp_path), log=log, store=BlobStore(tmp_path), principal=principal)
    mine = {number for visibility, number in numbers.items() if visibility in seen}
    with log.read() as connection:
        assert {run.id for run in runs.listed(connection, principal)} == mine
    for words in (["log"], ["status"], ["log", "dataset=a"], ["log", f"by={ADA.user_id}"]):
        command = parse(words)
        assert command.verb.answer is not None
        shown = command.verb.answer(desk, command.request).envelope["items"]
        assert {item["run"] for item in shown} == mine
    for number in set(numbers.values()) - mine:
        newest = f"The newest run is {max(mine)}; `log` lists them." if mine else "There are no runs yet"
        for words in (["show", str(number)], ["status", str(number)], ["cancel", str(number)]):
            command = parse(words)
            assert command.verb.answer is not None
            with pytest.raises(RefusedWords) as met:
                command.verb.answer(desk, command.request)
            assert met.value.code == "unknown_run"
            assert str(met.value).startswith(f"There is no run {number}. {newest}")
        for words in (["evaluate", str(number), "a.csv"], ["compare", str(number), "9"]):
            with pytest.raises(RefusedWords, match=f"There is no run {number}"):
                submit.write(desk, parse(words))
    assert {run_of(log, number).state for number in numbers.values()} == {RunState.QUEUED}


def test_a_run_that_does_not_exist_looks_like_one_that_is_hidden(log: Log) -> None:
    """Nobody can tell a run that they may not see from one that is not there."""
    hidden = queued(log, replace(NEW, visibility=Visibility.PRIVATE))

    def words(number: int) -> str:
        with pytest.raises(RefusedWords) as met, log.read() as connection:
            runs.find(connection, BEN, number)
        return str(met.value).replace(str(number), "N")

    assert words(hidden) == words(999) == "There is no run N. There are no runs yet; begin with `train DATASET`."


def test_lists_are_newest_first_and_bounded(log: Log) -> None:
    """A list begins with the newest run and ends at its limit."""
    numbers = [asked(log) for _ in range(5)]
    with log.read() as connection:
        assert [run.id for run in runs.listed(connection, ADA, limit=3)] == numbers[:1:-1]


# Cards ----------------------------------------------------------------------------------------------------------------


def carded(log: Log) -> int:
    """A waiting run with a card that was never shown."""
    number = queued(log)
    change(log, lambda connection: cards.place(connection, number, channel_id="C1"))
    return number


def test_two_owners_never_have_the_same_card(log: Log) -> None:
    """Four senders that take cards at once get each card once."""
    numbers = [carded(log) for _ in range(12)]

    def take(index: int) -> list[int]:
        mine = []
        while place := change(log, lambda connection: cards.take_behind(connection, owner=f"bot{index}")):
            mine.append(place.run)
        return mine

    assert sorted(number for part in at_once(take, threads=4) for number in part) == numbers


def test_a_card_is_behind_until_it_shows_the_last_event(log: Log) -> None:
    """A card is taken while it is behind its run, given back when shown, and taken again after the next event."""
    number = carded(log)

    def take() -> cards.CardPlace | None:
        return change(log, lambda connection: cards.take_behind(connection, owner="bot"))

    place = take()
    assert place == cards.CardPlace(run=number, channel_id="C1", message_ts=None, shown_event=-1, files_sent=False)
    assert take() is None
    change(log, lambda at: cards.shown(at, number, owner="bot", message_ts="1.2", event=1, again_in_s=0))
    assert take() is None
    attempt = claimed(log)
    place = take()
    assert place is not None
    assert (place.message_ts, place.shown_event) == ("1.2", 1)
    change(log, lambda connection: attempts.succeed(connection, attempt, OUTCOME))
    change(log, lambda at: cards.shown(at, number, owner="bot", message_ts="1.2", event=3, again_in_s=0))
    place = take()
    assert place is not None
    assert not place.files_sent
    change(log, lambda connection: cards.files_sent(connection, number, owner="bot"))
    assert take() is None


def test_a_card_that_is_put_off_waits(log: Log) -> None:
    """A card that was put off is not taken before its time, and one that was given up never."""
    later, never = carded(log), carded(log)
    for _ in range(2):
        change(log, lambda connection: cards.take_behind(connection, owner="bot"))
    change(log, lambda connection: cards.put_off(connection, later, owner="bot", seconds=0.3))
    change(log, lambda connection: cards.give_up(connection, never, owner="bot", problem="not_in_channel"))
    assert change(log, lambda connection: cards.take_behind(connection, owner="bot")) is None
    again = until(lambda: change(log, lambda at: cards.take_behind(at, owner="bot")), what="its time has come")
    assert again is not None
    assert again.run == later


def test_an_owner_whose_lease_passed_changes_nothing(log: Log) -> None:
    """A sender that was away for longer than its lease can neither show, put off nor give up the card of another."""
    number = carded(log)
    change(log, lambda connection: cards.take_behind(connection, owner="old", lease_s=-1))
    assert change(log, lambda connection: cards.take_behind(connection, owner="new")) is not None
    before = everything(log)
    with log.write() as connection:
        cards.shown(connection, number, owner="old", message_ts="9.9", event=9, again_in_s=0)
        cards.put_off(connection, number, owner="old", seconds=99)
        cards.give_up(connection, number, owner="old", problem="x")
        cards.files_sent(connection, number, owner="old")
    assert everything(log) == before


# Engines --------------------------------------------------------------------------------------------------------------


def write_often(url: str, times: int) -> int:
    """Many small writes, each in a block of its own."""
    log = open_log(url)
    for _ in range(times):
        with log.write() as connection:
            number, _created = runs.create(connection, NEW)
            runs.queue(connection, number)
    return times


def test_four_processes_write_without_a_locked_database(log: Log, log_url: str) -> None:
    """Four processes of a hundred writes each, all at once: every write arrives."""
    with ProcessPoolExecutor(4, mp_context=PROCESSES) as pool:
        parts = [pool.submit(write_often, log_url, 100) for _ in range(4)]
        assert sum(part.result(timeout=120) for part in parts) == 400
    rows = everything(log)
    assert len(rows["runs"]) == len(rows["events"]) == 400


def test_reading_goes_on_while_someone_writes(log: Log) -> None:
    """An open write hides nothing from readers and does not make them wait."""
    number = queued(log)
    with log.write() as connection:
        runs.cancel(connection, number, by="U0ADA")
        assert run_of(log, number).state is RunState.QUEUED
    assert run_of(log, number).state is RunState.CANCELLED


def test_the_clock_is_the_database_s_in_utc(log: Log) -> None:
    """Moments come from the database and carry their zone; one without is refused."""
    with log.read() as connection:
        moment = now(connection)
    assert moment.tzinfo is UTC
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
    with pytest.raises(StatementError, match="a moment needs a time zone"):
        change(log, lambda at: at.execute(update(tables.runs).values(created_at=datetime(2026, 1, 1))))  # noqa: DTZ001


def test_the_log_is_told_no_nonsense(log: Log) -> None:
    """A state that is none is refused by the database itself, and so is an event of no run."""
    number = asked(log)
    with pytest.raises(IntegrityError):
        change(log, lambda at: at.execute(update(tables.runs).values(state="exploded")))
    with pytest.raises(IntegrityError):
        change(
            log,
            lambda at: at.execute(
                insert(tables.events).values(run_id=number + 1, number=1, at=now(at), kind="queued", body={})
            ),
        )


def test_a_database_that_is_away_says_where() -> None:
    """A Postgres that does not answer is named by its address without the password, with the reason and what to do."""
    log = Log("postgresql+psycopg://ada:swordfish@127.0.0.1:1/lml")
    for block in (log.read, log.write):
        with pytest.raises(ServiceUnavailable) as met, block():
            pass
        assert met.value.code == "database_unavailable"
        shown = str(met.value)
        assert shown.startswith("The log's database at postgresql+psycopg://ada:***@127.0.0.1:1/lml does not answer: ")
        assert "refused" in shown
        assert shown.endswith(" Start it, or correct LML_DATABASE_URL; then run the command again.")
        assert "swordfish" not in shown


def test_a_password_in_the_query_is_not_shown() -> None:
    """A password that stands at the end of an address is hidden like one at its usual place."""
    log = Log("postgresql+psycopg://ada@127.0.0.1:1/lml?password=swordfish")
    with pytest.raises(ServiceUnavailable) as met, log.read():
        pass
    assert "swordfish" not in str(met.value)


def test_a_connection_that_breaks_says_so(postgres_url: str) -> None:
    """A database that goes away in the middle of a block is said to be away, not a broken connection."""
    log = open_log(Settings(database_url=postgres_url).log_url)

    def cut_off(connection: Connection) -> None:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        change(log, lambda other: other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine}))
        runs.create(connection, NEW)

    with pytest.raises(ServiceUnavailable) as met:
        change(log, cut_off)
    assert met.value.code == "database_unavailable"
    assert asked(log)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_log_works_again_when_the_database_does(postgres_url: str, pooled: bool) -> None:
    """After its connections were cut, the next block works, also with a pool."""
    log = open_log(Settings(database_url=postgres_url).log_url, pooled=pooled)
    asked(log)
    admin = Log(Settings(database_url=postgres_url).log_url)
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    change(admin, lambda connection: connection.execute(cut))
    assert asked(log)


def test_a_sqlite_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    """A SQLite file that cannot be opened is named, with the reason."""
    log = Log(f"sqlite:///{tmp_path}")
    with pytest.raises(ServiceUnavailable) as met, log.read():
        pass
    assert met.value.code == "database_unavailable"
    assert f"The log's database at {tmp_path} does not answer: unable to open database file." in str(met.value)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A log whose folder cannot be made is away, with its address."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable):
        open_log(f"sqlite:///{tmp_path}/file/log.db")


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """A log file that was written over by something else is said to be no database, with its address."""
    (tmp_path / "log.db").write_bytes(b"a,b,c\n" * 1_000)
    with pytest.raises(ServiceUnavailable):
        open_log(f"sqlite:///{tmp_path}/log.db")


@pytest.mark.parametrize("url", ["", "log.db", "mysql://a:swordfish@h/d", "nosuch://a:swordfish@h/d"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """What is no address of a known database is refused with examples, and without what may be a password."""
    with pytest.raises(ServiceUnavailable) as met:
        Log(url)
    assert met.value.code == "database_url_bad"
    assert str(met.value) == (
        "LML_DATABASE_URL is not the address of a database that LML knows. "
        "Use postgresql://user:password@host/database or sqlite:////path/to/log.db."
    )


def test_a_write_begins_immediately_on_sqlite(tmp_path: Path) -> None:
    """On SQLite a write takes its lock when it begins, a read never does, and the log is in WAL mode."""
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    said: list[str] = []
    event.listen(log.engine, "before_cursor_execute", lambda *met: said.append(met[2]))
    with log.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    with log.write():
        pass
    assert [words for words in said if words.startswith("BEGIN")] == ["BEGIN", "BEGIN IMMEDIATE"]
