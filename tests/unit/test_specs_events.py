"""Specs and events as they are stored: strict when written, and what was ever written can still be read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.errors import Problem
from shared.events import (
    EVENT,
    AnyEvent,
    Cancelled,
    CancelRequested,
    CheckpointSaved,
    DatasetRead,
    EpochDone,
    Event,
    Failed,
    PriorityChanged,
    Queued,
    Released,
    Resumed,
    SeedEnded,
    SeedsQueued,
    Stage,
    StageStarted,
    Started,
    Succeeded,
    WorkerMissing,
)
from shared.specs import (
    SPEC,
    SPEC_TYPES,
    AnySpec,
    CompareSpec,
    DescribeSpec,
    EvaluateSpec,
    PredictSpec,
    ProbeSpec,
    Spec,
    TrainSpec,
    parents_of,
)

GOLDEN = Path(__file__).parent / "golden"
WRITE_GOLDEN = bool(os.environ.get("LML_WRITE_GOLDEN"))  # read here: a fixture takes every LML_ variable away

EVENTS: dict[str, AnyEvent] = {
    "queued": Queued(),
    "started": Started(attempt=2, worker="host:123"),
    "released": Released(reason="its worker was lost"),
    "stage_started": StageStarted(stage=Stage.TRAIN),
    "dataset_read": DatasetRead(
        rows=3_000,
        columns=9,
        target="churned",
        task="binary",
        inferred=("Target: `churned`, the last column. Change it with target=COL.",),
        warnings=("`id` was left out.",),
    ),
    "epoch_done": EpochDone(model="mlp", epoch=3, epochs=40, train_loss=0.5, validation_loss=None, eta_s=12.5),
    "cancel_requested": CancelRequested(by="U0ADA"),
    "succeeded": Succeeded(),
    "failed": Failed(problem=Problem("target_missing", "There is no column `chrned`.", "Did you mean `churned`?")),
    "cancelled": Cancelled(),
    "checkpoint_saved": CheckpointSaved(),
    "resumed": Resumed(detail="mlp, epoch 12"),
    "priority_changed": PriorityChanged(priority="high", by="U0ADA"),
    "worker_missing": WorkerMissing(device="gpu", length="long"),
    "seeds_queued": SeedsQueued(seeds=(3, 4), runs=(43, 44)),
    "seed_ended": SeedEnded(run=43, seed=3, state="succeeded", ended=1, of=2, metric="roc_auc", score=0.9),
}
SPECS: dict[str, AnySpec] = {
    "train": TrainSpec(
        dataset="churn.csv",
        target="churned",
        task="binary",
        drop=("id", "name"),
        category=("zip",),
        text=("note",),
        date=("since",),
        number=("age",),
        header=True,
        sep=";",
        encoding="cp1252",
        model="mlp-ple",
        epochs=30,
        batch=256,
        lr=0.001,
        optimizer="sgd",
        momentum=0.9,
        nesterov=True,
        schedule="cosine",
        warmup=0.1,
        restarts=2,
        l1=0.1,
        l2=0.01,
        clip=1.0,
        loss="cross_entropy",
        quantile=None,
        smoothing=0.1,
        weights="balanced",
        patience=16,
        depth=3,
        width=256,
        activation="relu",
        dropout=0.1,
        norm="layer",
        seed=7,
        seeds=5,
        split_seed=8,
        group="customer",
        time_s=120.0,
        device="gpu",
        name="March",
    ),
    "train_alone": TrainSpec(dataset="churn.csv"),
    "train_by_time": TrainSpec(dataset="sales.csv", time="day", loss="quantile", quantile=0.9),
    "describe": DescribeSpec(dataset="churn.csv", target="churned", task="binary", date=("since",), write="clean.csv"),
    "evaluate": EvaluateSpec(run=42, dataset="march.csv"),
    "predict": PredictSpec(run=42, dataset="new.csv"),
    "compare": CompareSpec(runs=(41, 42)),
    "compare_on": CompareSpec(runs=(41, 42), dataset="march.csv"),
    "probe": ProbeSpec(seconds=1.5),
}
SHAPES = {"train": 4, "train_alone": 4, "train_by_time": 3, "compare": 2}
"""The number of the newest golden file of a spec, where its shape has changed."""
STORED = [(EVENT, f"event_{name}_1", event) for name, event in EVENTS.items()]
STORED += [(SPEC, f"spec_{name}_{SHAPES.get(name, 1)}", spec) for name, spec in SPECS.items()]


def kinds_of(adapter: TypeAdapter[Any]) -> set[str]:
    """Every kind that a discriminated union knows."""
    return set(adapter.json_schema()["discriminator"]["mapping"])


def test_every_kind_has_its_golden_file() -> None:
    """A new kind of event or spec needs a golden file of what it writes."""
    assert set(EVENTS) == kinds_of(EVENT)
    assert {spec.kind for spec in SPECS.values()} == kinds_of(SPEC) == set(SPEC_TYPES)
    assert all(SPEC_TYPES[spec.kind] is type(spec) for spec in SPECS.values())


@pytest.mark.parametrize(("adapter", "name", "written"), STORED, ids=[name for _, name, _ in STORED])
def test_what_is_written_is_as_it_was(adapter: TypeAdapter[Any], name: str, written: Event | Spec) -> None:
    """A row reads as its golden file says; LML_WRITE_GOLDEN=1 adds missing files, and never changes one that is there.

    A shape that has to change gets a file of the next number; the old one stays, since rows like it are in logs.
    """
    file = GOLDEN / f"{name}.json"
    body = written.model_dump(mode="json")
    if WRITE_GOLDEN and not file.exists():
        file.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert body == json.loads(file.read_text(encoding="utf-8"))
    assert adapter.validate_python(body) == written
    assert adapter.validate_json(adapter.dump_json(written)) == written


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("event_*.json")), ids=lambda file: file.stem)
def test_every_event_ever_written_can_be_read(file: Path) -> None:
    """Whatever version of LML wrote an event, this one reads it."""
    body = json.loads(file.read_text(encoding="utf-8"))
    assert EVENT.validate_python(body).kind == body["kind"]


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("spec_*.json")), ids=lambda file: file.stem)
def test_every_spec_ever_written_can_be_read(file: Path) -> None:
    """Whatever version of LML wrote a spec, this one reads it."""
    body = json.loads(file.read_text(encoding="utf-8"))
    assert SPEC.validate_python(body).kind == body["kind"]


def test_a_spec_of_an_older_version_asks_for_what_it_asked() -> None:
    """A train spec from before a word existed asks for nothing by it, and for the time budget that it was given."""
    old = SPEC.validate_python(json.loads((GOLDEN / "spec_train_alone_1.json").read_text(encoding="utf-8")))
    assert old == TrainSpec(dataset="churn.csv", time_s=60.0)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_a_later_version_is_read(name: str) -> None:
    """A field that this version does not know is passed over when an event is read."""
    body = EVENTS[name].model_dump(mode="json")
    assert EVENT.validate_python({**body, "of_a_later_version": [1]}) == EVENTS[name]


def test_an_event_of_an_older_version_is_read() -> None:
    """A field with a default may be missing in an older row."""
    old = {"kind": "dataset_read", "rows": 1, "columns": 2, "target": "y", "task": "binary"}
    assert EVENT.validate_python(old) == DatasetRead(rows=1, columns=2, target="y", task="binary")
    old_epoch = {"kind": "epoch_done", "model": "mlp", "epoch": 1, "epochs": 2, "train_loss": 1, "validation_loss": 1}
    assert EVENT.validate_python(old_epoch).eta_s is None


@pytest.mark.parametrize(
    "body", [{"kind": "exploded"}, {}, {"kind": "started"}, {"kind": "stage_started", "stage": "lunch"}]
)
def test_an_event_that_is_none_is_not_read(body: dict[str, Any]) -> None:
    """What lacks its kind or a field without a default is no event."""
    with pytest.raises(ValidationError):
        EVENT.validate_python(body)


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_with_an_unknown_key_is_refused(name: str) -> None:
    """A spec takes no key that it does not know: what was asked for is never dropped in silence."""
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        SPEC.validate_python({**SPECS[name].model_dump(mode="json"), "learning_rate": 1})


@pytest.mark.parametrize("name", SPECS)
def test_specs_have_a_version(name: str) -> None:
    """A spec says its version, and one of another version is refused, not guessed at."""
    body = SPECS[name].model_dump(mode="json")
    assert body["version"] == 1
    with pytest.raises(ValidationError, match="version"):
        SPEC.validate_python({**body, "version": 2})


@pytest.mark.parametrize("written", [*EVENTS.values(), *SPECS.values()], ids=lambda written: written.kind)
def test_specs_and_events_are_frozen(written: Event | Spec) -> None:
    """Nothing changes a spec or an event once it is made."""
    with pytest.raises(ValidationError, match="frozen"):
        written.kind = "other"  # type: ignore[assignment, union-attr]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", ""),
        ("task", "ranking"),
        ("model", "tree"),
        ("epochs", 0),
        ("epochs", 100_001),
        ("batch", 0),
        ("lr", 0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("l1", -0.1),
        ("l2", float("nan")),
        ("momentum", 1),
        ("momentum", -0.1),
        ("warmup", 1),
        ("restarts", 101),
        ("clip", 0),
        ("quantile", 0),
        ("quantile", 1),
        ("smoothing", 1),
        ("patience", 0),
        ("depth", 21),
        ("width", 0),
        ("dropout", 1),
        ("seed", -1),
        ("seed", 2**31),
        ("split_seed", 2**31),
        ("time_s", 0),
        ("time_s", 7 * 24 * 3600 + 1),
        ("time_s", float("inf")),
        ("sep", "::"),
        ("sep", ""),
        ("name", "x" * 81),
    ],
)
def test_a_train_spec_keeps_its_bounds(field: str, value: Any) -> None:
    """A spec that comes from elsewhere than the grammar is held to the same bounds."""
    with pytest.raises(ValidationError, match=field):
        TrainSpec(**{"dataset": "a.csv", field: value})


@pytest.mark.parametrize("runs", [(), (1,), tuple(range(1, 12))])
def test_a_comparison_takes_two_to_ten_runs(runs: tuple[int, ...]) -> None:
    """A comparison of fewer than two or more than ten runs is refused."""
    with pytest.raises(ValidationError, match="runs"):
        CompareSpec(runs=runs)


def test_a_comparison_takes_runs_only() -> None:
    """A run's number is 1 or more, in a comparison as everywhere."""
    with pytest.raises(ValidationError, match="runs"):
        CompareSpec(runs=(0, -1))


def test_parents_are_the_runs_whose_models_are_used() -> None:
    """A spec that uses models names their runs; training uses none."""
    assert parents_of(SPECS["train"]) == parents_of(SPECS["describe"]) == ()
    assert parents_of(SPECS["evaluate"]) == (42,)
    assert parents_of(SPECS["predict"]) == (42,)
    assert parents_of(SPECS["compare"]) == (41, 42)
