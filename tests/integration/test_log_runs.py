"""Asking for runs, finding them, and who sees them, on both engines."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from support.log_acts import (
    ADA,
    EPOCH,
    NEW,
    SHELL,
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

from bot import submit
from bot.desk import Desk
from bot.grammar import parse
from shared.access import Principal, Source, Visibility
from shared.blobs import BlobStore
from shared.errors import RefusedWords
from shared.events import (
    Cancelled,
    Queued,
    Stage,
    StageStarted,
)
from shared.log import attempts, runs, tables
from shared.log.engine import Log
from shared.log.forecast import position
from shared.log.runs import NewRun, RunState
from shared.settings import Settings
from shared.specs import EvaluateSpec
from shared.work import Priority

# Asking ----------------------------------------------------------------------------------------------


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
        "priority": Priority.HIGH,
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
        positions = [position(connection, runs.get(connection, number)) for number in (first, second)]
    assert positions == [1, 2]


# Events and points -----------------------------------------------------------------------------------


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


# Visibility ------------------------------------------------------------------------------------------


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
