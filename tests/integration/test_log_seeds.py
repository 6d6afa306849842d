"""Seeds in the log, on both engines: how they are written, end, and move the run that they belong to."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from support.log_acts import (
    ADA,
    NEW,
    OUTCOME,
    PROBLEM,
    SHELL,
    asked,
    at_once,
    change,
    claimed,
    events_of,
    queued,
    run_of,
)
from support.past_runs import trained

from bot.search_words import query_of
from bot.words import split_words
from shared.access import Visibility
from shared.errors import RefusedWords
from shared.events import (
    Cancelled,
    CancelRequested,
    PriorityChanged,
    Queued,
    SeedEnded,
    SeedsQueued,
    Started,
    WorkerMissing,
)
from shared.log import attempts, boards, pages, runs, search, seeds, tables, waiting
from shared.log.attempts import Attempt
from shared.log.engine import Log, now
from shared.log.quotas import Limits, Quota, require_place
from shared.log.runs import NewRun, RunState
from shared.search import Query
from shared.specs import Device, TrainSpec
from shared.work import Length, Priority

SOWN = replace(
    NEW,
    spec=TrainSpec(dataset="in/a.csv", seed=3, seeds=3, device=Device.GPU, name="March"),
    words="train in/a.csv seeds=3 seed=3 device=gpu",
    dataset_name="a.csv",
    visibility=Visibility.CHANNEL,
    priority=Priority.NORMAL,
)
REACHED = replace(
    OUTCOME,
    result={"headline": "accuracy", "metrics": {"test": {"accuracy": 0.9}}, "model": "mlp", "plan": {}},
)


def states_of(log: Log, run: int) -> list[RunState]:
    """Where the seeds of a run stand."""
    with log.read() as connection:
        return [seed.state for seed in seeds.of_run(connection, run)]


def numbers_of(log: Log, run: int) -> list[int]:
    """The runs of its seeds."""
    with log.read() as connection:
        return [seed.run for seed in seeds.of_run(connection, run)]


def succeeded(log: Log, attempt: Attempt) -> None:
    """An attempt ends well."""
    change(log, lambda c: attempts.succeed(c, attempt, REACHED))


def test_a_run_for_each_seed_is_written_with_the_dataset(log: Log) -> None:
    """They wait in its place with what it has, each with its seed; it gathers, and is claimed by nobody."""
    parent = queued(log, replace(SOWN, trigger_id="t1"))
    stands = run_of(log, parent)
    assert (stands.state, stands.length, stands.dataset_sha256) == (RunState.GATHERING, Length.SHORT, "0" * 64)
    numbers = numbers_of(log, parent)
    assert events_of(log, parent) == [SeedsQueued(seeds=(3, 4, 5), runs=tuple(numbers))]
    for seed, number in zip((3, 4, 5), numbers, strict=True):
        child = run_of(log, number)
        assert child.spec == TrainSpec(dataset="in/a.csv", seed=seed, device=Device.GPU, name="March")
        assert child.words == f"train in/a.csv seed={seed} device=gpu name=March"
        assert (child.state, child.seed_of, child.priority) == (RunState.QUEUED, parent, Priority.NORMAL)
        assert (child.visibility, child.channel_id, child.requested_by) == (Visibility.CHANNEL, "C1", "U0ADA")
        assert (child.dataset_name, child.dataset_sha256, child.dataset_size_bytes) == ("a.csv", "0" * 64, 7)
        assert events_of(log, number) == [Queued()]
    assert [claimed(log).run for _ in numbers] == numbers
    assert change(log, lambda c: attempts.claim(c, worker="w", lease_s=60)) is None
    with log.read() as connection:
        cards = connection.execute(select(func.count()).select_from(tables.cards)).scalar_one()
        assert runs.of_trigger(connection, "T1", "t1") == parent
    assert cards == 0


def test_the_first_seed_is_said_in_words(log: Log) -> None:
    """Also where it is the default, so that the words of a seed say which it is."""
    parent = queued(log, replace(NEW, spec=TrainSpec(dataset="a.csv", seeds=2)))
    assert [run_of(log, number).words for number in numbers_of(log, parent)] == [
        "train a.csv seed=0",
        "train a.csv seed=1",
    ]


def test_the_last_end_lets_the_run_wait_for_a_worker(log: Log) -> None:
    """However seeds end, their run is told; with the last one it is a short run for any slot, and claimed."""
    parent = queued(log, SOWN)
    first, second, third = numbers_of(log, parent)
    succeeded(log, claimed(log))
    failing = claimed(log)
    change(log, lambda c: attempts.fail(c, failing, PROBLEM))
    assert run_of(log, parent).state is RunState.GATHERING
    assert change(log, lambda c: runs.cancel(c, third, by="U0ADA")) is RunState.CANCELLED
    stands = run_of(log, parent)
    assert (stands.state, stands.device, stands.length) == (RunState.QUEUED, Device.AUTO, Length.SHORT)
    assert events_of(log, parent)[1:] == [
        SeedEnded(run=first, seed=3, state="succeeded", ended=1, of=3, metric="accuracy", score=0.9),
        SeedEnded(run=second, seed=4, state="failed", ended=2, of=3),
        SeedEnded(run=third, seed=5, state="cancelled", ended=3, of=3),
        Queued(),
    ]
    assert claimed(log).run == parent


def test_seeds_that_end_at_once_move_their_run_once(log: Log) -> None:
    """Of all that end in the same moment exactly one is the last, and every end is counted."""
    for _ in range(5):
        parent = queued(log, SOWN)
        taken = [claimed(log) for _ in range(3)]
        at_once(lambda k: succeeded(log, taken[k]), threads=3)  # noqa: B023 - called at once
        met = events_of(log, parent)
        assert run_of(log, parent).state is RunState.QUEUED
        assert [event.ended for event in met if isinstance(event, SeedEnded)] == [1, 2, 3]
        assert sum(isinstance(event, Queued) for event in met) == 1
        assert claimed(log).run == parent


def test_a_cancel_meets_seeds_that_are_just_ending(log: Log) -> None:
    """Neither waits for the other for ever: the run is cancelled or gathers, and no seed is left behind."""
    for _ in range(5):
        parent = queued(log, SOWN)
        taken = [claimed(log) for _ in range(3)]

        def act(k: int) -> None:
            if k == 3:
                change(log, lambda c: runs.cancel(c, parent, by="U0ADA"))  # noqa: B023 - called at once
                return
            succeeded(log, taken[k])  # noqa: B023 - called at once

        at_once(act, threads=4)
        assert run_of(log, parent).state is RunState.CANCELLED
        assert states_of(log, parent) == [RunState.SUCCEEDED] * 3


def test_a_cancel_meets_a_run_that_just_begins_to_gather(log: Log) -> None:
    """Whichever comes first, no seed waits for a run that was cancelled."""
    for _ in range(5):
        parent = asked(log, SOWN)
        acts = (
            lambda c: runs.queue(c, parent, dataset_sha256="0" * 64),  # noqa: B023 - called at once
            lambda c: runs.cancel(c, parent, by="U0ADA"),  # noqa: B023 - called at once
        )
        at_once(lambda k: change(log, acts[k]), threads=2)  # noqa: B023
        assert run_of(log, parent).state is RunState.CANCELLED
        assert set(states_of(log, parent)) <= {RunState.CANCELLED}


def test_cancelling_the_run_stops_its_seeds(log: Log) -> None:
    """Those that wait end at once, one that runs is asked, one that has ended stays; their ends change nothing more."""
    parent = queued(log, SOWN)
    succeeded(log, claimed(log))
    going = claimed(log)
    assert change(log, lambda c: runs.cancel(c, parent, by="U0ADA")) is RunState.CANCELLED
    assert states_of(log, parent) == [RunState.SUCCEEDED, RunState.RUNNING, RunState.CANCELLED]
    assert events_of(log, going.run)[-1] == CancelRequested(by="U0ADA")
    change(log, lambda c: attempts.cancelled(c, going))
    assert events_of(log, parent)[-1] == Cancelled()


def test_cancelling_one_seed_lets_the_others_go_on(log: Log) -> None:
    """The run gathers the rest."""
    parent = queued(log, SOWN)
    change(log, lambda c: runs.cancel(c, numbers_of(log, parent)[0], by="U0ADA"))
    for _ in range(2):
        succeeded(log, claimed(log))
    assert run_of(log, parent).state is RunState.QUEUED


def test_a_run_that_cannot_be_rung_for_takes_its_seeds_along(log: Log) -> None:
    """It fails, and none of them waits for nobody."""
    parent = queued(log, SOWN)
    assert change(log, lambda c: runs.fail_waiting(c, parent, PROBLEM))
    assert run_of(log, parent).state is RunState.FAILED
    assert states_of(log, parent) == [RunState.CANCELLED] * 3


def test_the_class_of_a_run_is_that_of_its_waiting_seeds(log: Log) -> None:
    """One that runs keeps its own."""
    parent = queued(log, SOWN)
    going = claimed(log)
    assert change(log, lambda c: runs.change_priority(c, parent, Priority.URGENT, by="U0ADA"))
    asked_for = [run_of(log, number).priority for number in (parent, *numbers_of(log, parent))]
    assert asked_for == [Priority.URGENT, Priority.NORMAL, Priority.URGENT, Priority.URGENT]
    assert events_of(log, parent)[-1] == PriorityChanged(priority="urgent", by="U0ADA")
    assert events_of(log, going.run)[-1] == Started(attempt=1, worker="w1")


def test_a_lost_worker_of_a_seed_is_no_end(log: Log) -> None:
    """Its run goes on waiting; when workers are lost too often, the seed fails and is counted."""
    parent = queued(log, SOWN)
    for _ in range(attempts.MOST_LOSSES):
        claimed(log, lease_s=-1)
        change(log, attempts.release_lapsed)
    assert states_of(log, parent) == [RunState.FAILED, RunState.QUEUED, RunState.QUEUED]
    assert events_of(log, parent)[-1].state == "failed"


def test_a_deadline_is_that_of_the_seeds(log: Log) -> None:
    """Those that have not begun end; what the others reach is gathered, however late that is."""
    parent = queued(log, replace(SOWN, deadline_at=change(log, now) + timedelta(hours=1)))
    going = [claimed(log), claimed(log)]
    with log.write() as connection:
        late = now(connection) - timedelta(seconds=1)
        connection.execute(update(tables.runs).values(deadline_at=late))
    assert change(log, waiting.end_late) == [numbers_of(log, parent)[2]]
    for attempt in going:
        succeeded(log, attempt)
    assert change(log, waiting.end_late) == []
    assert run_of(log, parent).state is RunState.QUEUED


def test_a_missing_worker_is_told_once_to_the_run_that_has_the_card(log: Log) -> None:
    """Its seeds are told too."""
    parent = queued(log, SOWN)
    with log.write() as connection:
        long_ago = now(connection) - timedelta(hours=1)
        connection.execute(update(tables.runs).values(queued_at=long_ago))
    assert change(log, waiting.tell_worker_missing) == numbers_of(log, parent)
    assert change(log, waiting.tell_worker_missing) == []
    assert events_of(log, parent)[1:] == [WorkerMissing(device="gpu", length="short")]


def test_a_run_takes_a_waiting_place_for_each_seed(log: Log) -> None:
    """Before its seeds are written as after, and none itself while it gathers."""
    limits = Limits(Quota(max_waiting=4))

    def has_room(places: int) -> bool:
        mine = {"team_id": ADA.team_id, "requested_by": ADA.user_id}
        try:
            with log.write() as connection:
                require_place(connection, limits, **mine, gpu=False, runs=places)
        except RefusedWords:
            return False
        return True

    parent = asked(log, SOWN)
    assert (has_room(1), has_room(2)) == (True, False)
    change(log, lambda c: runs.queue(c, parent, dataset_sha256="0" * 64))
    assert (has_room(1), has_room(2)) == (True, False)


def test_a_replay_has_the_seeds_of_the_old_run_done_again(log: Log) -> None:
    """Each seed replays the run of that seed, where it had succeeded; another one is trained anew."""
    old = queued(log, SOWN)
    for outcome in (True, True, False):
        attempt = claimed(log)
        if outcome:
            succeeded(log, attempt)
        else:
            change(log, lambda c: attempts.fail(c, attempt, PROBLEM))  # noqa: B023 - called at once
    first, second, _ = numbers_of(log, old)
    succeeded(log, claimed(log))
    again = queued(log, replace(SOWN, replays=old))
    assert [run_of(log, number).replays for number in numbers_of(log, again)] == [first, second, None]


def test_lists_have_the_run_and_not_its_seeds(log: Log) -> None:
    """The log, boards, history and pages; `parent:` and the number of one show them."""
    parent = queued(log, replace(SOWN, visibility=Visibility.TEAM))
    for _ in range(4):
        succeeded(log, claimed(log))
    other = trained(log)
    numbers = numbers_of(log, parent)

    def found(text: str) -> list[int]:
        with log.read() as connection:
            return [run.id for run in search.find(connection, ADA, query_of(split_words(text)))]

    assert found("") == [other, parent]
    assert found(f"parent:{parent}") == numbers[::-1]
    assert found(f"parent:{parent} state:failed") == []
    assert found(f"run:{numbers[0]}") == [numbers[0]]
    assert found(f"run:{parent}..{numbers[-1]}") == [parent]
    assert found("name:March acc>0.5") == [parent]
    assert found("sort:-acc") == [parent, other]
    with log.read() as connection:
        dataset = boards.of_dataset(connection, ADA, "a.csv")
        assert [run.id for run in boards.history(connection, ADA, dataset, limit=9)] == [parent]
        assert [record.run for record in boards.records(connection, ADA, dataset)] == [parent]
        (board,) = boards.boards(connection, ADA, dataset)
        assert [run.id for run in boards.ranking(connection, ADA, board, limit=9)[1]] == [parent]
        assert pages.count_of_dataset(connection, ADA, dataset) == 1
        listed = {line.number: line for line in pages.listed(connection, ADA, Query())}
        assert (listed[parent].seeds, listed[other].seeds) == (3, None)
        above, below = pages.related(connection, ADA, run_of(log, parent))
        assert (above, below) == ([], [])
        assert pages.related(connection, ADA, run_of(log, numbers[0])) == ([], [])


@pytest.mark.parametrize("sd", [0.0042, None])
def test_a_line_of_the_log_has_the_spread(log: Log, sd: float | None) -> None:
    """Read out of the result without the rest of it."""
    result = {"headline": "auc", "metrics": {"test": {"auc": 0.9}}, "sd": {"test": {"auc": sd}}}
    parent = queued(log, NewRun(spec=TrainSpec(dataset="a.csv", seeds=2), words="train", principal=SHELL))
    for outcome in (REACHED, REACHED, replace(OUTCOME, result=result)):
        attempt = claimed(log)
        change(log, lambda c: attempts.succeed(c, attempt, outcome))  # noqa: B023 - called at once
    with log.read() as connection:
        (line,) = pages.listed(connection, SHELL, Query())
    assert (line.number, line.score, line.sd) == (parent, 0.9, sd)
