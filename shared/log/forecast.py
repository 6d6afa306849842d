"""When a run will start and end: its place among those that wait, and how long runs like it took.

The queue is played through as the claim orders it (`order`), on the slots of the workers that live, with the durations
of past runs of the same kind and a similar size: once with the shorter ones, once with the longer ones.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles
from typing import Any

from sqlalchemy import Connection, exists, select

from shared.log import tables
from shared.log.engine import now
from shared.log.order import Requester, risen, running_since, usage
from shared.log.runs import Run
from shared.log.states import RunState
from shared.log.workers import live_slots
from shared.work import Slot

Range = tuple[float, float]
"""The least and the most, in seconds from now."""

_PAST_RUNS = 200
_ALIKE = 4.0
"""Datasets that differ in size by less than this factor make runs alike."""
_LEAST_ALIKE = 3


@dataclass(frozen=True)
class Forecast:
    """What can be said of a run that has not ended."""

    position: int | None
    """1 for the run that is next; None once it runs."""
    starts_in_s: Range | None
    ends_in_s: Range | None
    """None where no run like it has ended yet."""


@dataclass(frozen=True)
class _Duration:
    least: float
    usual: float
    most: float


@dataclass(frozen=True)
class _Waiting:
    number: int
    requester: Requester
    priority: int
    duration: _Duration | None


def forecasts(connection: Connection, runs: Sequence[Run]) -> dict[int, Forecast]:
    """For each of the runs that waits or runs, what is to be expected."""
    moment, past = now(connection), _Past(connection)
    found: dict[int, Forecast] = {}
    for run in runs:
        if run.state is RunState.RUNNING and run.started_at is not None:
            took = past.duration(run.kind, run.length, run.dataset_size_bytes)
            left = None if took is None else _left(took, (moment - run.started_at).total_seconds())
            found[run.id] = Forecast(position=None, starts_in_s=None, ends_in_s=left)
    waiting = [run for run in runs if run.state is RunState.QUEUED]
    if waiting:
        slots = live_slots(connection, moment) or [Slot()]
        lines: dict[tuple[Slot, ...], _Line] = {}
        for run in waiting:
            mine = tuple(slot for slot in slots if slot.takes(run.device, run.length))
            if mine not in lines:
                lines[mine] = _line(connection, mine, past, moment)
            found[run.id] = lines[mine].forecast(run.id, past.duration(run.kind, run.length, run.dataset_size_bytes))
    return found


def position(connection: Connection, run: Run) -> int:
    """The run's place among those that wait for the same slots; 1 is next."""
    return forecasts(connection, [run])[run.id].position or 1


class _Past:
    """How long runs took."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._of_class: dict[tuple[str, str], list[tuple[int, float]]] = {}
        self._known: dict[tuple[str, str, int | None], _Duration | None] = {}

    def duration(self, kind: str, length: str, size_bytes: int | None) -> _Duration | None:
        """Of runs of a kind and a length on datasets of about a size; of any size where those are too few."""
        key = (kind, str(length), size_bytes)
        if key not in self._known:
            self._known[key] = self._duration(*key)
        return self._known[key]

    def _duration(self, kind: str, length: str, size_bytes: int | None) -> _Duration | None:
        took = self._of_class.get((kind, length))
        if took is None:
            took = self._of_class[kind, length] = self._read(kind, length)
        size = float(size_bytes or 0)
        alike = [seconds for met, seconds in took if size / _ALIKE <= met <= size * _ALIKE]
        seconds = alike if len(alike) >= _LEAST_ALIKE else [seconds for _, seconds in took]
        if not seconds:
            return None
        if len(seconds) == 1:
            return _Duration(seconds[0], seconds[0], seconds[0])
        tenths = quantiles(seconds, n=10, method="inclusive")
        return _Duration(tenths[0], median(seconds), tenths[-1])

    def _read(self, kind: str, length: str) -> list[tuple[int, float]]:
        runs, seeds = tables.runs.c, tables.runs.alias("seeds")
        rows = self._connection.execute(
            select(runs.dataset_size_bytes, runs.started_at, runs.ended_at)
            .where(runs.kind == kind, runs.length == length, runs.state == RunState.SUCCEEDED.value)
            .where(~exists().where(seeds.c.seed_of == runs.id))  # what gathers others takes a moment
            .order_by(runs.id.desc())
            .limit(_PAST_RUNS)
        )
        return [(size or 0, (ended - started).total_seconds()) for size, started, ended in rows]


@dataclass(frozen=True)
class _Line:
    """The runs that wait for the same slots, in the order in which they will be taken."""

    places: dict[int, int]
    """From a run's number to how many are before it."""
    starts: Sequence[Range | None]
    """When each will start; None behind one of which nobody knows how long it takes."""

    def forecast(self, number: int, took: _Duration | None) -> Forecast:
        """Of one of them."""
        place = self.places.get(number, len(self.places))
        starts = self.starts[place] if place < len(self.starts) else None
        ends = None if starts is None or took is None else (starts[0] + took.least, starts[1] + took.most)
        return Forecast(position=place + 1, starts_in_s=starts, ends_in_s=ends)


def _line(connection: Connection, slots: Sequence[Slot], past: _Past, moment: datetime) -> _Line:
    """Plays the queue of these slots through; without slots there is an order and no time."""
    queue = _in_order(connection, slots or [Slot()], past, moment)
    places = {waiting.number: place for place, waiting in enumerate(queue)}
    if not slots:
        return _Line(places, [None] * len(queue))
    going = _going(connection, slots, past, moment)
    least, most = (_starts(queue, going, len(slots), which) for which in ("least", "most"))
    return _Line(
        places, [None if low is None or high is None else (low, high) for low, high in zip(least, most, strict=True)]
    )


def _in_order(connection: Connection, slots: Sequence[Slot], past: _Past, moment: datetime) -> list[_Waiting]:
    """The runs that wait for these slots, in the order in which they will be taken."""
    devices = {device for slot in slots for device in slot.devices}
    lengths = {length for slot in slots for length in slot.lengths}
    groups: defaultdict[int, defaultdict[Requester, list[_Waiting]]] = defaultdict(lambda: defaultdict(list))
    runs = tables.runs.c
    rows = connection.execute(
        select(
            runs.id,
            runs.team_id,
            runs.requested_by,
            runs.kind,
            runs.length,
            runs.dataset_size_bytes,
            runs.priority,
            runs.queued_at,
        )
        .where(runs.state == RunState.QUEUED.value, runs.device.in_(devices), runs.length.in_(lengths))
        .order_by(runs.queued_at, runs.id)
    )
    for row in rows:
        requester = (row.team_id, row.requested_by)
        duration = past.duration(row.kind, row.length, row.dataset_size_bytes)
        priority = risen(row.priority, row.queued_at, moment)
        groups[priority][requester].append(_Waiting(row.id, requester, priority, duration))
    requesters = {requester for of_class in groups.values() for requester in of_class}
    used = usage(connection, requesters, running_since(connection), moment)
    taken: list[_Waiting] = []
    for priority in sorted(groups, reverse=True):
        next_up = [(used[who], of_who[0].number, who) for who, of_who in groups[priority].items()]
        heapq.heapify(next_up)
        at = dict.fromkeys(groups[priority], 0)
        while next_up:
            counted, _, who = heapq.heappop(next_up)
            waiting = groups[priority][who][at[who]]
            taken.append(waiting)
            at[who] += 1
            used[who] = counted + (waiting.duration.usual if waiting.duration else 1.0)
            if at[who] < len(groups[priority][who]):
                heapq.heappush(next_up, (used[who], groups[priority][who][at[who]].number, who))
    return taken


def _going(connection: Connection, slots: Sequence[Slot], past: _Past, moment: datetime) -> list[dict[str, float]]:
    """How long the runs that have such slots will go on, at least and at most."""
    runs = tables.runs.c
    rows: Any = connection.execute(
        select(runs.kind, runs.dataset_size_bytes, runs.started_at, runs.device, runs.length).where(
            runs.state == RunState.RUNNING.value
        )
    )
    left = []
    for row in rows:
        if not any(slot.takes(row.device, row.length) for slot in slots):
            continue
        took, gone = (
            past.duration(row.kind, row.length, row.dataset_size_bytes),
            (moment - row.started_at).total_seconds(),
        )
        least, most = (took and _left(took, gone)) or (0.0, gone)  # it takes longer than others did: as long again
        left.append({"least": least, "most": most})
    return left


def _left(took: _Duration, gone: float) -> Range | None:
    """What is left of a run that has gone on for so long; None where it takes longer than nearly all before it."""
    return None if gone > took.most else (max(took.least - gone, 0.0), took.most - gone)


def _starts(
    queue: Sequence[_Waiting], going: Sequence[dict[str, float]], slots: int, which: str
) -> Iterator[float | None]:
    """When a slot is free for each run of the queue, in seconds from now."""
    free_at = sorted(left[which] for left in going)[-slots:]
    free_at = [0.0] * (slots - len(free_at)) + free_at
    heapq.heapify(free_at)
    known = True
    for waiting in queue:
        yield free_at[0] if known else None
        known = known and waiting.duration is not None
        if known:
            heapq.heapreplace(free_at, free_at[0] + getattr(waiting.duration, which))
