"""What happens in the same moment, or after the clock was set back, keeps its promises; on both engines."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, insert, text, update
from support.log_acts import ADA, NEW, OUTCOME, SHELL, asked, at_once, change, claimed, queued, run_of, running

from shared.errors import RefusedWords
from shared.log import attempts, cards, preparing, runs, tables, waiting, workers
from shared.log.engine import Log, now
from shared.log.quotas import Limits, Quota, require_place, used_gpu_s
from shared.log.runs import RunState
from shared.specs import Device, TrainSpec
from shared.work import Slot

GPU = Slot(gpu="0")
AN_HOUR = timedelta(hours=1)


def test_the_first_ends_of_a_requester_at_once(log: Log) -> None:
    """None stumbles over the others when what they have used is first written down."""
    taken = [running(log) for _ in range(6)]
    at_once(
        lambda k: change(log, lambda connection: attempts.succeed(connection, taken[k], OUTCOME)), threads=len(taken)
    )
    assert {run_of(log, attempt.run).state for attempt in taken} == {RunState.SUCCEEDED}


def test_a_cancel_meets_a_run_that_is_just_given_back(log: Log) -> None:
    """Whichever comes first, the run ends as cancelled or its next attempt is asked to stop: no wish is lost."""
    for _ in range(10):
        attempt = running(log)
        acts = (
            lambda connection: runs.cancel(connection, attempt.run, by="U0ADA"),  # noqa: B023 - called at once
            lambda connection: attempts.release(connection, attempt, reason="its worker was stopped"),  # noqa: B023
        )
        at_once(lambda k: change(log, acts[k]), threads=2)  # noqa: B023
        assert run_of(log, attempt.run).state is RunState.CANCELLED


def test_claims_at_once_keep_a_quota(log: Log) -> None:
    """Of a person who may have one running run, slots that are free in the same moment take one."""
    for _ in range(4):
        queued(log)
    limits = Limits(Quota(max_running=1))

    def claim(_: int) -> bool:
        with log.write() as connection:
            return attempts.claim(connection, worker="w", lease_s=60, limits=limits) is not None

    assert sum(at_once(claim, threads=4)) == 1


def test_submissions_at_once_keep_a_quota(log: Log) -> None:
    """Of a person who may have two waiting runs, requests in the same moment get two."""
    limits = Limits(Quota(max_waiting=2))

    def submit(_: int) -> bool:
        try:
            with log.write() as connection:
                require_place(connection, limits, team_id=ADA.team_id, requested_by=ADA.user_id, gpu=False)
                runs.create(connection, NEW)
        except RefusedWords:
            return False
        return True

    assert sum(at_once(submit, threads=6)) == 2


def test_a_run_for_a_cpu_uses_no_gpu_hours(log: Log) -> None:
    """Wherever it runs, and although its owner has used up theirs."""
    queued(log, replace(NEW, spec=TrainSpec(dataset="a.csv")))
    first = change(log, lambda connection: attempts.claim(connection, worker="w", lease_s=60, slot=GPU))
    queued(log, replace(NEW, spec=TrainSpec(dataset="a.csv")))
    on_cpu = queued(log, replace(NEW, spec=TrainSpec(dataset="a.csv", device=Device.CPU)))
    limits = Limits(Quota(max_gpu_hours=0.0))
    taken = change(log, lambda connection: attempts.claim(connection, worker="w", lease_s=60, slot=GPU, limits=limits))
    assert first is not None
    assert taken is not None
    assert taken[0].run == on_cpu
    with log.write() as connection:
        connection.execute(
            update(tables.attempts)
            .where(tables.attempts.c.run_id == on_cpu)
            .values(started_at=now(connection) - AN_HOUR)
        )
        assert used_gpu_s(connection, ADA.team_id, ADA.user_id, now(connection)) < 60


def test_a_run_whose_command_died_ends(log: Log) -> None:
    """A shell's run that nobody brings a dataset for ends as failed; one that someone is at goes on."""
    new = replace(NEW, principal=SHELL)
    died, at_it, unbegun = asked(log, new), asked(log, new), asked(log, new)
    for number in (died, at_it):
        change(log, lambda connection: preparing.begin_preparing(connection, number, owner="h:1"))  # noqa: B023
    with log.write() as connection:
        past = now(connection) - timedelta(seconds=1)
        connection.execute(update(tables.runs).where(tables.runs.c.id == died).values(lease_until=past))
    assert change(log, waiting.end_abandoned) == [died]
    ended = run_of(log, died)
    assert ended.problem is not None
    assert (ended.state, ended.problem.code) == (RunState.FAILED, "command_ended")
    assert {run_of(log, number).state for number in (at_it, unbegun)} == {RunState.PREPARING}


def test_a_clock_that_was_set_back_stops_nothing(log: Log) -> None:
    """Locks, doorbells, datasets on their way and cards that stand an hour ahead are taken up at once."""
    number, on_its_way = queued(log), asked(log)
    change(log, lambda connection: cards.place(connection, number, channel_id="C1"))

    def move(connection: Connection) -> None:
        ahead = now(connection) + AN_HOUR
        connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(queued_at=ahead))
        connection.execute(update(tables.runs).where(tables.runs.c.id == on_its_way).values(lease_until=ahead))
        connection.execute(update(tables.cards).values(lease_until=ahead, due_at=ahead))
        connection.execute(insert(tables.locks).values(name="sweep", owner="dead", until=ahead))

    change(log, move)
    assert change(log, lambda connection: workers.take_lock(connection, "sweep", owner="w", seconds=6))
    with log.read() as connection:
        assert [run for run, _, _ in waiting.longer_than(connection, seconds=5)] == [number]
    taken = change(log, lambda connection: preparing.take_preparing(connection, owner="w", lease_s=60))
    assert taken is not None
    assert taken.id == on_its_way
    card = change(log, lambda connection: cards.take_behind(connection, owner="w"))
    assert card is not None
    assert card.run == number
    assert claimed(log).run == number


def test_nobody_holds_up_the_others_for_long(log: Log) -> None:
    """Who freezes inside a block on Postgres loses it within about a lease; SQLite's blocks end with their process."""
    if log.url.get_backend_name() == "sqlite":
        return
    with log.read() as connection:
        limits = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        }
    assert limits == {
        "lock_timeout": "5s",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "10s",
    }
