"""What breaks while a run trains: it ends once and well, with the weights of an undisturbed run, told once.

Each fault is aimed at the worker that has the run, and what it must lead to is looked for: another attempt that goes on
from the checkpoint that stood, or no other attempt at all. A run meets several faults, two runs at a time.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from support.chaos import (
    TERMINAL,
    Stage,
    files_of,
    models_of,
    outlived,
    stage_in,
    submit,
    train_spec,
    wait_for,
)
from support.deadline import until
from support.faults import FAULTS, forget_redis, set_clock_back
from support.small_disk import small_disk

from shared.blobs import BlobStore
from shared.log import runs
from shared.specs import ProbeSpec
from shared.wire import doorbell_queue

DEATHS = {
    "processes": (
        ("kill -9 of a run's process", "a run's process frozen for 2 s", "a checkpoint cut short"),
        ("kill -9 of a pool process", "kill -9 of a slot's process", "SIGTERM to a whole worker"),
    ),
    "workers": (
        ("kill -9 of a main process alone", "kill -9 of a whole worker"),
        ("a supervisor frozen past its lease", "kill -9 of the bot", "kill -9 of the sweep"),
    ),
}
REDIS = tuple(name for name in FAULTS if "Redis" in name and name != "Redis without its data")
LOCKED = next(name for name, fault in FAULTS.items() if "log locked" in name and fault.weight)


@dataclass(frozen=True)
class Met:
    """A fault that met an attempt of a run, and the attempt's process."""

    number: int
    attempt: int
    fault: str
    process: int


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two workers and a bot."""
    with stage_in(tmp_path_factory.mktemp("faults")) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> dict[str, str]:
    """The files of a run that nothing disturbs."""
    number = submit(stage, train_spec(stage, 0), "undisturbed")
    assert wait_for(stage, [number], within_s=180) == 0
    files = files_of(stage, number)
    assert any(name.endswith(".safetensors") for name in files)
    return files


@pytest.mark.parametrize("deaths", ["workers", pytest.param("processes", marks=pytest.mark.chaos)])
def test_whatever_dies_under_a_run_costs_it_time_only(stage: Stage, undisturbed: dict[str, str], deaths: str) -> None:
    """Each fault ends the attempt that it is aimed at, or none, and the next one goes on from the checkpoint."""
    stage.wait_until_ready()  # else one run trains on, perhaps to its end, while the other waits for a worker
    faults_of = {submit(stage, train_spec(stage, 0), " ".join(faults)): faults for faults in DEATHS[deaths]}
    for both in zip_longest(*faults_of.values()):
        met = [meet(stage, number, fault) for number, fault in zip(faults_of, both, strict=True) if fault]
        for each in met:
            assert_led_to(stage, each)
    for number, faults in faults_of.items():
        assert_well(stage, number, undisturbed, after=faults)
    assert stage.orphans == 0


@pytest.mark.chaos
def test_redis_is_only_the_doorbell(stage: Stage, undisturbed: dict[str, str]) -> None:
    """Runs that train notice nothing of it; one whose doorbell is lost, or could not ring, is run by the sweep."""
    first, second = (submit(stage, train_spec(stage, 0), f"redis-{name}") for name in "ab")
    for number in (first, second):
        until(lambda number=number: trains(stage, number), what="both workers have a run", within_s=120)
    silent = submit(stage, train_spec(stage, 0), "doorbell lost")
    assert rung(stage, silent) == 1
    forget_redis(stage, silent)
    assert rung(stage, silent) == 0
    for fault in REDIS:
        number = until(lambda: next((one for one in (first, second, silent) if trains(stage, one)), None), within_s=120)
        assert FAULTS[fault].act(stage, number) == ""
    assert wait_for(stage, [first, second, silent], within_s=180) == 0
    for number in (first, second, silent):
        assert_well(stage, number, undisturbed)


@pytest.mark.chaos
def test_a_log_that_takes_no_write_for_longer_than_a_lease_costs_no_attempt(
    stage: Stage, undisturbed: dict[str, str]
) -> None:
    """Nobody could renew a lease, so nobody's run is taken away after that."""
    numbers = [submit(stage, train_spec(stage, 0), f"locked-{name}") for name in "ab"]
    for number in numbers:
        until(lambda number=number: trains(stage, number), what="it trains", within_s=120)
    assert FAULTS[LOCKED].act(stage, numbers[0]) == ""
    for number in numbers:
        assert_well(stage, number, undisturbed)


@pytest.mark.chaos
def test_a_clock_that_was_set_back_holds_up_nothing_for_long(stage: Stage, undisturbed: dict[str, str]) -> None:
    """A lost run, a waiting one without a doorbell, and their cards get on within a minute, whoever had the lock."""
    running = [submit(stage, train_spec(stage, 0), f"clock-{name}") for name in "ab"]
    for number in running:
        until(lambda number=number: trains(stage, number), what="both workers have a run", within_s=120)
    waiting = submit(stage, ProbeSpec(), "clock-c")
    forget_redis(stage, waiting)
    lost = next(number for number in running if has_lock(stage, number))
    assert FAULTS["kill -9 of a whole worker"].act(stage, lost) == ""
    set_clock_back(stage, timedelta(hours=1))
    assert wait_for(stage, [*running, waiting], within_s=60) == 0
    stage.wait_for_cards([*running, waiting], within_s=30)
    for number in running:
        assert_well(stage, number, undisturbed, after=("kill -9 of a whole worker",) if number == lost else ())
    assert stage.outcomes(waiting) == ["succeeded"]


@pytest.mark.chaos
def test_a_disk_without_room_for_checkpoints_costs_no_run(stage: Stage, undisturbed: dict[str, str]) -> None:
    """The run says so in its report, and a lost attempt goes on from the last checkpoint that had room."""
    with small_disk(stage.settings.checkpoints_folder, size="1m") as disk:
        number = submit(stage, train_spec(stage, 0), "disk full")
        until(lambda: trains(stage, number), what="it trains", within_s=120)
        fill(disk)
        saved = stage.kinds(number).count("checkpoint_saved")
        assert FAULTS["kill -9 of a run's process"].act(stage, number) == ""
        assert_well(stage, number, undisturbed, after=("kill -9 of a run's process",))
    assert stage.kinds(number).count("checkpoint_saved") - saved <= 1, "there was room after all"
    report = report_of(stage, number)
    assert any("could not be written (No space left on device)" in warning for warning in report["warnings"])
    assert report["checkpoints"]["resumed_from"] is not None


def trains(stage: Stage, number: int) -> int:
    """The attempt that trains and has saved a checkpoint; 0 while none does."""
    kinds = stage.kinds(number)
    since = kinds[len(kinds) - kinds[::-1].index("started") :] if "started" in kinds else []
    return stage.row(number).attempts if "checkpoint_saved" in since and stage.whereabouts(number) else 0


def meet(stage: Stage, number: int, name: str) -> Met:
    """Let a fault meet a run that trains."""
    attempt = until(lambda: trains(stage, number), what=f"run {number} trains before: {name}", within_s=120)
    place = stage.whereabouts(number)
    assert place is not None
    assert FAULTS[name].act(stage, number) == "", name
    return Met(number, attempt, name, place.run)


def assert_led_to(stage: Stage, met: Met) -> None:
    """The fault ended the attempt as it must, and the attempt's process with it; or it ended none."""
    ends = FAULTS[met.fault].ends
    if ends is None:
        assert stage.outcomes(met.number)[met.attempt - 1] in (None, "succeeded"), met.fault
        return
    until(lambda: stage.outcomes(met.number)[met.attempt - 1], what=f"attempt {met.attempt} has ended: {met.fault}")
    assert stage.outcomes(met.number)[met.attempt - 1] == ends, met.fault
    assert not outlived([met.process], within_s=10.0), f"the process of the lost attempt works on: {met.fault}"


def assert_well(stage: Stage, number: int, undisturbed: dict[str, str], *, after: Sequence[str] = ()) -> None:
    """It ended once and well, with the attempts that the faults have cost, equal models, and one message."""
    assert wait_for(stage, [number], within_s=180) == 0
    events = stage.events(number)
    kinds = [event.kind for event in events]
    assert [kind for kind in kinds if kind in TERMINAL] == ["succeeded"]
    expected = [FAULTS[name].ends for name in after if FAULTS[name].ends is not None]
    assert stage.outcomes(number) == [*expected, "succeeded"]
    assert kinds.count("released") == len(expected)
    assert kinds.count("resumed") == len(expected)
    if "a checkpoint cut short" in after:
        assert_passed_over_a_checkpoint(
            stage, number, last_resumed=[e.detail for e in events if e.kind == "resumed"][-1]
        )
    files = files_of(stage, number)
    assert models_of(files) == models_of(undisturbed)
    assert set(files) == set(undisturbed)
    stage.wait_for_cards([number], within_s=120)
    assert stage.cards(number) == 1


def assert_passed_over_a_checkpoint(stage: Stage, number: int, *, last_resumed: str) -> None:
    """The report says which checkpoint was damaged, and which one before it was used."""
    report = report_of(stage, number)
    (warning,) = [warning for warning in report["warnings"] if "checkpoint" in warning]
    assert "bytes are left" in warning
    assert warning.endswith(f"so training went on from {last_resumed}.")
    assert report["checkpoints"]["resumed_from"] == last_resumed


def report_of(stage: Stage, number: int) -> dict[str, Any]:
    """A run's report."""
    store = BlobStore(stage.settings.store_folder)
    report: dict[str, Any] = json.loads(store.path_of(files_of(stage, number)["report.json"]).read_bytes())
    return report


def rung(stage: Stage, number: int) -> int:
    """How many doorbells wait for slots that take the run."""
    with stage.log.read() as connection:
        run = runs.get(connection, number)
    with stage.client() as client:
        waiting: Any = client.llen(f"lml:{doorbell_queue(run.device, run.length)}")
    return int(waiting)


def has_lock(stage: Stage, number: int) -> bool:
    """Whether the sweep of the run's worker is the one that works."""
    place = stage.whereabouts(number)
    return place is not None and f":{place.main}" in stage.lock_owner("sweep")


def fill(disk: Path) -> None:
    """Leave no byte of room."""
    with (disk / "filler").open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return
