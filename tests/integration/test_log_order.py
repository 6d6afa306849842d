"""Which run is next, and when the others come: classes, shares, age, quotas, forecasts; on both engines."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import chain

import pytest
from sqlalchemy import update
from support.log_acts import ADA, NEW, OUTCOME, PROBLEM, at_once, change, claimed, events_of, queued, run_of

from shared.errors import RefusedWords
from shared.log import attempts, runs, tables, waiting, workers
from shared.log.attempts import Attempt
from shared.log.engine import Log, now
from shared.log.forecast import forecasts
from shared.log.order import HALF_LIFE_S, RISES_AFTER_S, count_slot_seconds, usage
from shared.log.quotas import Limits, Quota, require_place
from shared.specs import Device, TrainSpec
from shared.work import Length, Priority, Slot, length_of, worker_slots

GPU = Slot(devices=(Device.AUTO, Device.GPU), gpu="0")
SHORT = Slot(devices=(Device.AUTO, Device.CPU), lengths=(Length.SHORT,))


def of(who: str, priority: Priority = Priority.HIGH, **spec: object) -> runs.NewRun:
    """What someone asks for."""
    made = TrainSpec(dataset="a.csv", **spec)
    return replace(NEW, spec=made, principal=replace(ADA, user_id=who), priority=priority)


def taken(log: Log, slot: Slot = attempts.ANY_SLOT, limits: Limits = attempts.NO_LIMITS) -> Attempt | None:
    """The run that a slot gets."""
    met = change(log, lambda connection: attempts.claim(connection, worker="w", lease_s=60, slot=slot, limits=limits))
    return None if met is None else met[0]


def done(log: Log, attempt: Attempt, *, took_s: float = 10.0) -> None:
    """The attempt ends well, after so many seconds."""

    def end(connection: object) -> None:
        start = now(connection) - timedelta(seconds=took_s)  # type: ignore[arg-type]
        for table, column in ((tables.attempts, tables.attempts.c.run_id), (tables.runs, tables.runs.c.id)):
            connection.execute(update(table).where(column == attempt.run).values(started_at=start))  # type: ignore[attr-defined]
        attempts.succeed(connection, attempt, OUTCOME)  # type: ignore[arg-type]

    change(log, end)


def later(log: Log, number: int, *, waited_s: float) -> None:
    """The run has waited for so long."""

    def move(connection: object) -> None:
        since = now(connection) - timedelta(seconds=waited_s)  # type: ignore[arg-type]
        connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(queued_at=since))  # type: ignore[attr-defined]

    change(log, move)


def test_a_higher_class_goes_first(log: Log) -> None:
    """Urgent, high, normal, low: whatever was asked first, and a change of class counts at once."""
    numbers = {priority: queued(log, of("ada", priority)) for priority in Priority}
    assert change(log, lambda c: runs.change_priority(c, numbers[Priority.LOW], Priority.URGENT, by="ada"))
    order = [claimed(log).run for _ in numbers]
    expected = [Priority.LOW, Priority.URGENT, Priority.HIGH, Priority.NORMAL]
    assert order == [numbers[priority] for priority in expected]
    assert not change(log, lambda c: runs.change_priority(c, order[0], Priority.LOW, by="ada"))
    assert [event.kind for event in events_of(log, numbers[Priority.LOW])][:2] == ["queued", "priority_changed"]


def test_slots_are_shared_fairly(log: Log) -> None:
    """Of three people with 100, 10 and 1 waiting runs and one slot, nobody waits for the others' whole queues."""
    for who, count in (("ann", 100), ("bob", 10), ("cyd", 1)):
        for _ in range(count):
            queued(log, of(who))
    order = []
    for _ in range(30):
        attempt = taken(log)
        assert attempt is not None
        order.append(run_of(log, attempt.run).requested_by)
        done(log, attempt)
    assert order.index("cyd") <= 2
    assert Counter(order[:21]) == {"ann": 10, "bob": 10, "cyd": 1}


def test_of_a_requester_the_run_that_waits_longest_goes_first(log: Log) -> None:
    """Whatever its device and length, and whatever lies between in the index; each is claimed once."""
    chance = random.Random(0)
    waits_s = chance.sample(range(10, 1000), 24)
    numbers = {
        queued(log, of(f"p{place % 3}", device=chance.choice(list(Device)), epochs=chance.choice((1, 500)))): seconds
        for place, seconds in enumerate(waits_s)
    }
    for number, seconds in numbers.items():
        later(log, number, waited_s=seconds)
    for state in ("preparing", "failed", "succeeded"):  # before and behind those that wait
        number = queued(log, of("p1"))
        change(
            log,
            lambda c, n=number, s=state: c.execute(update(tables.runs).where(tables.runs.c.id == n).values(state=s)),
        )
    order: dict[str, list[int]] = {}
    while (attempt := taken(log)) is not None:
        order.setdefault(run_of(log, attempt.run).requested_by, []).append(numbers[attempt.run])
        done(log, attempt)
    assert sorted(order) == ["p0", "p1", "p2"]
    assert all(seconds == sorted(seconds, reverse=True) for seconds in order.values())
    assert sorted(chain.from_iterable(order.values())) == sorted(waits_s)


def test_what_was_used_counts_half_a_day_later(log: Log) -> None:
    """The seconds of slots halve in 24 hours; runs that go on count from their first moment."""

    def look(connection: object) -> tuple[float, float]:
        moment = now(connection)  # type: ignore[arg-type]
        then = moment - timedelta(seconds=HALF_LIFE_S)
        count_slot_seconds(connection, "T1", "ada", seconds=100.0, moment=then)  # type: ignore[arg-type]
        count_slot_seconds(connection, "T1", "ada", seconds=7.0, moment=moment)  # type: ignore[arg-type]
        used = usage(connection, [("T1", "ada"), ("T1", "bob")], {("T1", "bob"): [moment]}, moment)  # type: ignore[arg-type]
        return used["T1", "ada"], used["T1", "bob"]

    ada, bob = change(log, look)
    assert ada == pytest.approx(57.0, rel=1e-3)
    assert bob > 0


def test_two_free_slots_go_to_two_people(log: Log) -> None:
    """Someone whose run has just begun comes after someone who has none."""
    for who in ("ann", "ann", "bob"):
        queued(log, of(who))
    assert {run_of(log, claimed(log).run).requested_by for _ in range(2)} == {"ann", "bob"}


def test_nothing_waits_for_ever(log: Log) -> None:
    """A run rises by a class every two hours, up to high, and never to urgent."""
    low, normal, urgent = (
        queued(log, of("ada", priority)) for priority in (Priority.LOW, Priority.NORMAL, Priority.URGENT)
    )
    later(log, low, waited_s=2 * RISES_AFTER_S + 1)
    assert [claimed(log).run for _ in range(3)] == [urgent, low, normal]


@pytest.mark.parametrize(
    ("device", "slot", "fits"),
    [("auto", GPU, True), ("gpu", GPU, True), ("cpu", GPU, False), ("cpu", SHORT, True), ("gpu", SHORT, False)],
)
def test_a_slot_gets_only_what_it_takes(log: Log, device: str, slot: Slot, fits: bool) -> None:
    """device=auto runs anywhere, gpu and cpu where they belong, and long runs on no short slot."""
    queued(log, of("ada", device=device))
    assert (taken(log, slot) is not None) is fits


def test_a_long_run_does_not_stand_before_short_ones(log: Log) -> None:
    """A slot for short runs passes over a long one that was asked for first."""
    long = queued(log, of("ada", time_s=3600))
    short = queued(log, of("ada"))
    assert [run_of(log, number).length for number in (long, short)] == [Length.LONG, Length.SHORT]
    met = taken(log, SHORT)
    assert met is not None
    assert met.run == short
    assert taken(log, SHORT) is None


def test_many_claims_at_once_take_different_runs(log: Log) -> None:
    """Eight slots that claim in the same moment get eight runs of one person, each one once."""
    numbers = [queued(log, of("ada")) for _ in range(8)]
    assert sorted(attempt.run for attempt in at_once(lambda _: claimed(log))) == numbers


def test_a_quota_on_running_runs_lets_others_pass(log: Log) -> None:
    """Who has all their places waits, and the next person's run is taken."""
    limits = Limits(Quota(max_running=1))
    queued(log, of("ann"))
    second, other = queued(log, of("ann")), queued(log, of("bob"))
    first = taken(log, limits=limits)
    assert first is not None
    assert taken(log, limits=limits) == Attempt(other, 1)
    assert taken(log, limits=limits) is None
    done(log, first)
    assert taken(log, limits=limits) == Attempt(second, 1)


def refusal(log: Log, quota: Quota, *, gpu: bool = False) -> str:
    """What someone is told whose quota has no place."""
    with pytest.raises(RefusedWords) as met, log.write() as connection:
        require_place(connection, Limits(quota), team_id="T1", requested_by="U0ADA", gpu=gpu)
    return f"{met.value.code}: {met.value}"


def test_a_quota_on_waiting_runs_says_what_is_used(log: Log) -> None:
    """The rule, how many wait, and what frees a place."""
    for _ in range(2):
        queued(log)
    assert refusal(log, Quota(max_waiting=2)) == (
        "quota_waiting: At most 2 runs of one requester wait at a time; 2 do. "
        "A place frees when one of them starts; `status` says when. `cancel RUN` frees one now."
    )
    with log.write() as connection:
        require_place(connection, Limits(Quota(max_waiting=3)), team_id="T1", requested_by="U0ADA", gpu=False)
        require_place(connection, Limits(Quota(max_waiting=2)), team_id="T1", requested_by="U0EVE", gpu=False)


def test_a_quota_on_gpu_hours_says_when_they_free(log: Log) -> None:
    """What was used in the last 24 hours counts; a run that waits for a GPU stays waiting, one on a CPU does not."""
    queued(log)
    attempt = taken(log, GPU)
    assert attempt is not None
    done(log, attempt, took_s=3 * 3600)
    told = refusal(log, Quota(max_gpu_hours=2), gpu=True)
    assert "At most 2 GPU-hours of one requester in 24 hours; 3.0 are used." in told
    assert "device=cpu needs none" in told
    number = queued(log)
    assert taken(log, GPU, Limits(Quota(max_gpu_hours=2))) is None
    assert taken(log, SHORT, Limits(Quota(max_gpu_hours=2))) == Attempt(number, 1)


def test_what_past_runs_took_tells_when_the_next_begin(log: Log) -> None:
    """Place, and a range for start and end: one slot, a run that goes on, two that wait."""
    change(log, lambda c: workers.seen(c, "w", [Slot()]))
    for took_s in (10.0, 20.0, 30.0):
        queued(log)
        done(log, claimed(log), took_s=took_s)
    queued(log)
    going = claimed(log)
    first, second = queued(log), queued(log)
    with log.read() as connection:
        met = forecasts(connection, [run_of(log, number) for number in (going.run, first, second)])
    assert [met[number].position for number in (going.run, first, second)] == [None, 1, 2]
    assert met[going.run].ends_in_s == pytest.approx((12.0, 28.0), abs=1.0)
    assert met[first].starts_in_s == pytest.approx((12.0, 28.0), abs=1.0)
    assert met[second].starts_in_s == pytest.approx((24.0, 56.0), abs=1.0)
    assert met[second].ends_in_s == pytest.approx((36.0, 84.0), abs=1.5)


def test_nothing_is_foretold_without_a_past(log: Log) -> None:
    """A first run has its place and no range."""
    number = queued(log)
    queued(log)
    with log.read() as connection:
        met = forecasts(connection, [run_of(log, number + 1)])[number + 1]
    assert (met.position, met.starts_in_s, met.ends_in_s) == (2, None, None)


def test_the_place_is_the_one_that_the_claim_gives(log: Log) -> None:
    """What is foretold is what happens, with people, classes and shares mixed."""
    people: Sequence[tuple[str, Priority]] = [
        ("ann", Priority.HIGH), ("ann", Priority.NORMAL), ("ann", Priority.HIGH), ("bob", Priority.HIGH),
        ("ann", Priority.HIGH), ("bob", Priority.URGENT), ("cyd", Priority.LOW), ("bob", Priority.HIGH),
    ]  # fmt: skip
    queued(log, of("ann"))
    done(log, claimed(log), took_s=10.0)
    change(log, lambda c: count_slot_seconds(c, "T1", "ann", seconds=5.0, moment=now(c)))
    numbers = [queued(log, of(who, priority)) for who, priority in people]
    with log.read() as connection:
        met = forecasts(connection, [run_of(log, number) for number in numbers])
    foretold = sorted(numbers, key=lambda number: met[number].position or 0)
    order = []
    for _ in numbers:
        attempt = claimed(log)
        order.append(attempt.run)
        done(log, attempt, took_s=10.0)
    assert order == foretold


def test_a_run_past_its_deadline_ends(log: Log) -> None:
    """A waiting run whose deadline has passed is told as failed, once; others stay."""
    moment = change(log, now)
    late = queued(log, replace(NEW, deadline_at=moment - timedelta(seconds=1)))
    queued(log, replace(NEW, deadline_at=moment + timedelta(hours=1)))
    assert change(log, waiting.end_late) == [late]
    assert change(log, waiting.end_late) == []
    problem = run_of(log, late).problem
    assert problem is not None
    assert problem.code == "deadline_passed"


def test_who_waits_for_no_worker_is_told_once(log: Log) -> None:
    """A minute without a worker of its class; a worker that lives and takes it says nothing."""
    change(log, lambda c: workers.seen(c, "w", [SHORT]))
    lonely, cared_for = queued(log, of("ada", device="gpu")), queued(log)
    for number in (lonely, cared_for):
        later(log, number, waited_s=waiting.MISSED_AFTER_S + 1)
    assert change(log, waiting.tell_worker_missing) == [lonely]
    assert change(log, waiting.tell_worker_missing) == []
    assert events_of(log, lonely)[-1].kind == "worker_missing"


def test_a_lock_is_one_owner_s_until_it_ends(log: Log) -> None:
    """Of many that take it at once one gets it; it can be kept, and taken by another when its time is over."""
    got = at_once(lambda k: change(log, lambda c: workers.take_lock(c, "sweep", owner=f"w{k}", seconds=60)))
    assert got.count(True) == 1
    owner = f"w{got.index(True)}"
    assert change(log, lambda c: workers.take_lock(c, "sweep", owner=owner, seconds=-1))
    assert change(log, lambda c: workers.take_lock(c, "sweep", owner="other", seconds=60))
    assert not change(log, lambda c: workers.take_lock(c, "sweep", owner=owner, seconds=60))


def test_a_clock_that_was_set_back_keeps_no_run(log: Log) -> None:
    """A lease that ends later than any can is cut to a whole one, so that a lost run is found in time."""
    queued(log)
    attempt = claimed(log, lease_s=3600)  # as if written before the clock was set back by an hour
    assert change(log, lambda c: attempts.release_lapsed(c, lease_s=5.0)) == []
    with log.read() as connection:
        lease_until = connection.execute(tables.runs.select().where(tables.runs.c.id == attempt.run)).one().lease_until
        assert timedelta(seconds=3) < lease_until - now(connection) <= timedelta(seconds=5)


def test_a_run_that_loses_every_worker_is_told(log: Log) -> None:
    """Ten lost workers in a row, with no checkpoint in between, end a run; a checkpoint begins the count anew."""
    from shared.events import CheckpointSaved

    number = queued(log)
    for _ in range(attempts.MOST_LOSSES - 1):
        claimed(log, lease_s=-1)
        assert change(log, attempts.release_lapsed) == [number]
    saved = claimed(log, lease_s=-1)
    change(log, lambda c: attempts.record(c, saved, CheckpointSaved()))
    assert change(log, attempts.release_lapsed) == [number]
    assert run_of(log, number).losses == 1
    for _ in range(attempts.MOST_LOSSES - 1):
        claimed(log, lease_s=-1)
        change(log, attempts.release_lapsed)
    problem = run_of(log, number).problem
    assert problem is not None
    assert problem.code == "worker_lost_often"


def test_a_crash_is_tried_again_as_often_as_allowed(log: Log) -> None:
    """The budget of crashes is the run's own; lost workers use none of it."""
    number = queued(log)
    claimed(log, lease_s=-1)
    change(log, attempts.release_lapsed)
    for _ in range(2):
        attempt = claimed(log)
        change(log, lambda c, attempt=attempt: attempts.crash(c, attempt, PROBLEM, most=1))
    run = run_of(log, number)
    assert (run.state, run.crashes, run.attempts) == (runs.RunState.FAILED, 1, 3)


@pytest.mark.parametrize(
    ("spec", "size_bytes", "length"),
    [
        (TrainSpec(dataset="a.csv"), 10_000, Length.SHORT),
        (TrainSpec(dataset="a.csv"), 100_000_000, Length.LONG),
        (TrainSpec(dataset="a.csv", time_s=600), 10_000, Length.LONG),
        (TrainSpec(dataset="a.csv", epochs=5_000), 10_000, Length.LONG),
    ],
)
def test_how_long_a_run_is(spec: TrainSpec, size_bytes: int, length: Length) -> None:
    """By the size of its table and what was asked of it."""
    assert length_of(spec, dataset_size_bytes=size_bytes) is length


def test_the_slots_of_machines() -> None:
    """One for each GPU, or those for any run without one; short ones beside them on the CPU."""
    on_gpus = worker_slots(["0", "3"], long_slots=1, short_slots=1)
    assert [(slot.gpu, slot.takes(Device.GPU, Length.LONG)) for slot in on_gpus] == [
        ("0", True), ("3", True), (None, False),
    ]  # fmt: skip
    laptop = worker_slots([], long_slots=2, short_slots=1)
    assert [slot.takes(Device.GPU, Length.SHORT) for slot in laptop] == [False] * 3
    both = worker_slots([], devices=(Device.GPU, Device.CPU), long_slots=1, short_slots=0)
    assert both[0].takes(Device.GPU, Length.LONG)
    assert Slot.of_plain(on_gpus[0].plain()) == on_gpus[0]
