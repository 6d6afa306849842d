"""What a run looks like to people, free of any chat system: a run and its events in, a card out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot import describe_card, replay_card, seeds_card
from bot.compared_tables import more_tables
from bot.dataset_source import source_notes
from bot.loss_chart import Chart, loss_chart
from bot.scored import interval_of, on_test
from bot.tables import Table, duration_text, interval_text, number_text, result_tables, spread_text
from shared.errors import Problem
from shared.events import AnyEvent, DatasetRead, EpochDone, Released, Stage, StageStarted, Started, WorkerMissing
from shared.log.forecast import Forecast
from shared.log.pages import ListedRun
from shared.log.runs import Artifact, Run, RunState
from shared.specs import CompareSpec, DescribeSpec, EvaluateSpec, PredictSpec, dataset_of

__all__ = [
    "STAGES",
    "Card",
    "Step",
    "StepState",
    "Table",
    "duration_text",
    "headline_metric",
    "number_text",
    "problem_card",
    "run_card",
    "run_title",
    "seconds_between",
]


class StepState(StrEnum):
    """How far a step of a run is."""

    PENDING = "pending"  # not begun
    IN_PROGRESS = "in_progress"  # going on
    COMPLETE = "complete"  # done
    ERROR = "error"  # where the run failed or was stopped


@dataclass(frozen=True)
class Step:
    """A line of progress."""

    title: str
    state: StepState
    detail: str = ""


@dataclass(frozen=True)
class Card:
    """One answer for people. Its texts are plain: each front escapes what it has to."""

    title: str
    state: str = ""
    headline: str = ""
    steps: tuple[Step, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    problem: Problem | None = None
    files: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """What to type next."""
    page: str = ""
    """The address of the page that shows all of it."""
    chart: Chart | None = None


STAGES: dict[str, tuple[Stage, ...]] = {
    "describe": (Stage.READ,),
    "train": (Stage.READ, Stage.TRAIN, Stage.EVALUATE, Stage.EXPORT),
    "evaluate": (Stage.READ, Stage.EVALUATE),
    "predict": (Stage.READ, Stage.PREDICT),
    "compare": (Stage.COMPARE,),
    "probe": (),
}

_STAGE_TITLES = {
    Stage.READ: "Read the dataset",
    Stage.TRAIN: "Train",
    Stage.EVALUATE: "Evaluate",
    Stage.EXPORT: "Export and check",
    Stage.PREDICT: "Predict",
    Stage.COMPARE: "Compare",
}


def run_card(
    run: Run,
    events: Sequence[AnyEvent],
    artifacts: Sequence[Artifact] = (),
    *,
    prefix: str = "lml",
    expected: Forecast | None = None,
) -> Card:
    """The card of a run as it stands after these events, all of its events in their order."""
    result = run.result or {}
    return Card(
        title=run_title(run),
        state=run.state.value,
        headline=_headline(run, events, result),
        steps=_steps(run, events, expected),
        facts=_facts(run, events),
        tables=_tables(run, events, result),
        notes=(*source_notes(run), *_notes(events, result)),
        problem=run.problem,
        files=tuple(artifact.name for artifact in artifacts),
        more=_more(run, events, prefix),
        chart=loss_chart(events, result) if run.state.ended else None,
    )


def run_title(run: Run) -> str:
    """One line that names a run."""
    spec = run.spec
    if isinstance(spec, CompareSpec):
        what = " and ".join(str(number) for number in spec.runs)
        what += f" on {run.dataset_name or spec.dataset}" if spec.dataset is not None else ""
    elif isinstance(spec, EvaluateSpec | PredictSpec):
        what = f"{spec.run} on {run.dataset_name or spec.dataset}"
    else:
        what = f"{run.dataset_name or dataset_of(spec) or ''}{_seeds_in_title(run)}"
    name = f" ({run.name})" if run.name else ""
    return f"Run {run.id} · {run.kind} {what}".rstrip() + name


def _seeds_in_title(run: Run) -> str:
    if run.seed_of is not None:
        return f" seed {getattr(run.spec, 'seed', 0)} of run {run.seed_of}"
    return "" if run.seeds is None else f", {len(run.seeds)} seeds"


def _tables(run: Run, events: Sequence[AnyEvent], result: dict[str, Any]) -> tuple[Table, ...]:
    if run.kind == "describe":
        return describe_card.columns_tables(result)
    first, *others = result_tables(run.kind, result) or (None,)
    seeds = seeds_card.table(events, result) if run.seeds is not None else None
    found = (first, seeds, *others, *more_tables(run.kind, result))
    return tuple(table for table in found if table is not None)


def problem_card(problems: Sequence[Problem], *, title: str = "Not understood") -> Card:
    """Every problem of a command that was refused."""
    if len(problems) == 1:
        return Card(title=title, state="refused", problem=problems[0])
    return Card(title=title, state="refused", notes=tuple(problem.sentence() for problem in problems))


def headline_metric(result: dict[str, Any]) -> tuple[str, float | None]:
    """The one metric that stands for a result, and what it reached on the test rows."""
    metric = str(result.get("headline", ""))
    return metric, result.get("metrics", {}).get("test", {}).get(metric)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """The time between two moments, None while one of them has not come."""
    return None if start is None or end is None else round((end - start).total_seconds(), 3)


def took_s(run: Run | ListedRun) -> float | None:
    """How long a run took; one with seeds begins with them, long before a worker takes it to gather them."""
    return seconds_between(run.started_at if run.seeds is None else run.created_at, run.ended_at)


def _headline(run: Run, events: Sequence[AnyEvent], result: dict[str, Any]) -> str:
    if run.state is not RunState.SUCCEEDED:
        return seeds_card.progress(events) if run.state is RunState.GATHERING else ""
    if run.kind == "compare":
        return str(result.get("sentence", ""))
    if run.kind == "describe":
        return describe_card.headline(result)
    if run.kind == "predict" or "rows_predicted" in result:
        return _predicted(result)
    return _scored(result)


def _scored(result: dict[str, Any]) -> str:
    metric, reached = headline_metric(result)
    if reached is None:
        return ""
    baseline = number_text(result.get("metrics", {}).get("baseline", {}).get(metric))
    interval = interval_of(result, metric)
    on_rows = f"on the test rows; a baseline without features reaches {baseline}"
    if count := seeds_card.counted(result):
        mean = spread_text(reached, on_test(result, "sd").get(metric))
        return f"{metric} {mean} over {count} seeds, 95 % interval {interval_text(interval)}, {on_rows}"
    chance = f" ({interval_text(interval)})" if interval else ""
    return f"{metric} {number_text(reached)}{chance} {on_rows}"


def _predicted(result: dict[str, Any]) -> str:
    if "rows_predicted" in result:
        return f"{result['rows_predicted']:,} rows predicted, none scored: the data has no target"
    unreadable = result.get("rows_unreadable") or 0
    note = f"; {unreadable:,} could not be read" if unreadable else ""
    return f"{result.get('rows', 0):,} rows predicted{note}"


def _steps(run: Run, events: Sequence[AnyEvent], expected: Forecast | None) -> tuple[Step, ...]:
    if run.seeds is not None and run.state is not RunState.PREPARING:
        return _seed_steps(run, events)
    stages, attempt = STAGES[run.kind], _last_attempt(events)
    entered = [
        stages.index(event.stage) for event in attempt if isinstance(event, StageStarted) and event.stage in stages
    ]
    reached = entered[-1] if entered else -1
    later = (_stage_step(run, stage, index, reached, attempt) for index, stage in enumerate(stages))
    return (_queue_step(run, events, expected), *later)


def _seed_steps(run: Run, events: Sequence[AnyEvent]) -> tuple[Step, ...]:
    trained = seeds_card.progress(events)
    if run.state is RunState.GATHERING:
        missing = [_missing_text(event) for event in events if isinstance(event, WorkerMissing)]
        detail = "; ".join([trained, *missing[-1:]])
        return Step("Train the seeds", StepState.IN_PROGRESS, detail), Step("Gather", StepState.PENDING)
    if not seeds_card.has_all_ended(events):
        return Step("Train the seeds", StepState.ERROR, trained), Step("Gather", StepState.PENDING)
    ended = StepState.COMPLETE if run.state is RunState.SUCCEEDED else StepState.ERROR
    gathers = ended if run.state.ended else StepState.IN_PROGRESS
    return Step("Train the seeds", StepState.COMPLETE, trained), Step("Gather", gathers)


def _last_attempt(events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
    starts = [index for index, event in enumerate(events) if isinstance(event, Started)]
    return events[starts[-1] :] if starts else ()


def _queue_step(run: Run, events: Sequence[AnyEvent], expected: Forecast | None) -> Step:
    if run.state is RunState.PREPARING:
        return Step("Queue", StepState.IN_PROGRESS, "fetching the dataset")
    if run.state is RunState.QUEUED:
        said = [_waiting_text(expected)]
        for event in events:
            if isinstance(event, WorkerMissing):
                said.append(_missing_text(event))
            elif isinstance(event, Released):
                said.append(event.reason.rstrip("."))
        return Step("Queue", StepState.IN_PROGRESS, "; ".join([said[0], *said[1:][-1:]]))
    if run.started_at is None:
        return Step("Queue", StepState.ERROR)
    waited = seconds_between(run.queued_at, run.started_at) or 0.0
    return Step("Queue", StepState.COMPLETE, f"waited {duration_text(max(waited, 0.0))}")


def _missing_text(event: WorkerMissing) -> str:
    return f"no worker that lives takes {event.length} runs for device={event.device}"


def _waiting_text(expected: Forecast | None) -> str:
    if expected is None or expected.position is None:
        return "waiting for a worker"
    place = f"number {expected.position} in the queue"
    return f"{place}, {starts_text(expected)}" if expected.starts_in_s else place


def starts_text(expected: Forecast) -> str:
    """When a run will start and end, as people say it."""
    texts = [f"{what} in {range_text(*span)}" for what, span in _spans(expected) if span is not None]
    return ", ".join(texts)


def _spans(expected: Forecast) -> tuple[tuple[str, tuple[float, float] | None], ...]:
    return (("starts", expected.starts_in_s), ("ends", expected.ends_in_s))


def range_text(least_s: float, most_s: float) -> str:
    """A time between two, in seconds."""
    if most_s < 1.0:
        return "a moment"
    least, most = duration_text(least_s), duration_text(most_s)
    return f"about {most}" if least == most else f"{least} to {most}"


def _stage_step(run: Run, stage: Stage, index: int, reached: int, attempt: Sequence[AnyEvent]) -> Step:
    title = _STAGE_TITLES[stage]
    if run.state is RunState.SUCCEEDED or index < reached:
        return Step(title, StepState.COMPLETE, _stage_detail(stage, attempt, done=True))
    if index > reached:
        return Step(title, StepState.PENDING)
    state = StepState.IN_PROGRESS if run.state is RunState.RUNNING else StepState.ERROR
    return Step(title, state, _stage_detail(stage, attempt, done=False))


def _stage_detail(stage: Stage, attempt: Sequence[AnyEvent], *, done: bool) -> str:
    if stage is Stage.READ:
        read = next((event for event in attempt if isinstance(event, DatasetRead)), None)
        return f"{read.rows:,} rows, {read.columns} columns" if read else ""
    if stage is not Stage.TRAIN:
        return ""
    epochs = [event for event in attempt if isinstance(event, EpochDone)]
    if not epochs:
        return ""
    last = epochs[-1]
    if done:
        return "; ".join(_epochs_text(model, epochs) for model in dict.fromkeys(event.model for event in epochs))
    eta = f", about {duration_text(last.eta_s)} left" if last.eta_s is not None else ""
    loss = number_text(last.validation_loss)
    return f"{last.model}: epoch {last.epoch} of at most {last.epochs}, validation loss {loss}{eta}"


def _epochs_text(model: str, epochs: Sequence[EpochDone]) -> str:
    last = [event for event in epochs if event.model == model][-1]
    return f"{model}: {last.epoch} epoch{'s' if last.epoch != 1 else ''}"


def _facts(run: Run, events: Sequence[AnyEvent]) -> tuple[tuple[str, str], ...]:
    result = run.result or {}
    read = next((event for event in reversed(events) if isinstance(event, DatasetRead)), None)
    facts = []
    told = (read.target, read.task) if read else (run.target, run.task) if run.seeds is not None else ()
    facts += [(label, value) for label, value in zip(("target", "task"), told, strict=False) if value]
    if run.kind == "train" and result.get("model"):
        facts.append(("model", _model_text(result)))
    if "rows_scored" in result:
        facts.append(("rows", f"{result['rows_scored']:,} scored, {result.get('rows_left_out', 0):,} left out"))
    took = took_s(run)
    if took is not None:
        facts.append(("took", duration_text(took)))
    facts += _measured(result)
    facts.append(("asked by", run.requested_by))
    return tuple(facts)


def _measured(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What was measured beside the scores, as far as the run measured it."""
    rows_per_s, memory_mb = result.get("rows_per_s"), result.get("peak_memory_mb")
    calibration_error = (result.get("calibration") or {}).get("ece")
    within = (result.get("residuals") or {}).get("within_10_percent")
    facts = []
    if rows_per_s is not None:
        facts.append(("speed", f"{rows_per_s:,.0f} rows/s"))
    if memory_mb is not None:
        facts.append(("peak memory", f"{memory_mb:,.0f} MB"))
    if calibration_error is not None:
        facts.append(("calibration error", number_text(calibration_error)))
    if within is not None:
        facts.append(("within 10 %", f"{within:.0%} of the test rows"))
    return facts


def _model_text(result: dict[str, Any]) -> str:
    parity = (result.get("parity") or {}).get("max_difference")
    checked = f"; ONNX equals torch to {parity:.0e}" if parity is not None else ""
    return f"{result['model']}{checked}"


def _notes(events: Sequence[AnyEvent], result: dict[str, Any]) -> tuple[str, ...]:
    said = [
        text
        for event in _last_attempt(events)
        if isinstance(event, DatasetRead)
        for text in (*event.inferred, *event.warnings)
    ]
    texts = (result.get("verdict"), (result.get("residuals") or {}).get("hint"), result.get("choice"))
    judged = [text for text in texts if text]
    seeds = seeds_card.whose_files(result)
    if seeds:
        said = list(result.get("inferred") or ())
    return tuple(dict.fromkeys([*replay_card.sentences(result), *seeds, *judged, *said, *result.get("warnings", ())]))


def _more(run: Run, events: Sequence[AnyEvent], prefix: str) -> tuple[str, ...]:
    seeds = () if run.seeds is None else (f"{prefix} log parent:{run.id}",)
    seeds = (f"{prefix} show {run.seed_of}",) if run.seed_of is not None else seeds
    if run.state is RunState.SUCCEEDED and run.kind == "train":
        return (
            f"{prefix} predict {run.id} DATASET",
            f"{prefix} evaluate {run.id} DATASET",
            f"{prefix} compare {run.id} RUN",
            *seeds,
        )
    if run.state is RunState.SUCCEEDED and isinstance(run.spec, DescribeSpec):
        return (describe_card.next_words(run.spec, run.result or {}, prefix),)
    if not run.state.ended:
        return (f"{prefix} cancel {run.id}", *seeds)
    resume = (f"{prefix} resume {run.id}",) if any(event.kind == "checkpoint_saved" for event in events) else ()
    retry = (f"{prefix} retry {run.id}",) if run.state is RunState.CANCELLED else ()
    return () if run.state is RunState.SUCCEEDED else resume + retry + seeds
