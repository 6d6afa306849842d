"""Cards of runs in each state and of each kind: what people are told, free of any chat."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sample_cards import EVENTS, MEASURED, READ, RESULT, sample_cards

from bot.cards import (
    STAGES,
    Card,
    Step,
    StepState,
    Table,
    duration_text,
    number_text,
    problem_card,
    run_card,
    run_title,
    seconds_between,
)
from bot.tables import interval_text
from shared.access import Source, Visibility
from shared.errors import Problem
from shared.events import AnyEvent, CheckpointSaved, EpochDone, Queued, Released, Stage, StageStarted, Started
from shared.log.forecast import Forecast
from shared.log.runs import Artifact, Run, RunState
from shared.specs import AnySpec, CompareSpec, DescribeSpec, EvaluateSpec, PredictSpec, ProbeSpec, TrainSpec

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SPECS: dict[str, AnySpec] = {
    "describe": DescribeSpec(dataset="in/churn.csv"),
    "train": TrainSpec(dataset="in/churn.csv"),
    "evaluate": EvaluateSpec(run=42, dataset="in/march.csv"),
    "predict": PredictSpec(run=42, dataset="in/new.csv"),
    "compare": CompareSpec(runs=(41, 42)),
    "probe": ProbeSpec(),
}
STARTED = [Queued(), Started(attempt=1, worker="w1")]


def run_in(state: RunState, kind: str = "train", **more: Any) -> Run:
    """A run of a kind in a state."""
    waits = state in (RunState.PREPARING, RunState.QUEUED)
    values: dict[str, Any] = {
        "id": 42,
        "team_id": "T1",
        "visibility": Visibility.TEAM,
        "requested_by": "ada",
        "source": Source.SHELL,
        "words": "words",
        "kind": kind,
        "spec": SPECS[kind],
        "state": state,
        "created_at": BEGAN,
        "queued_at": BEGAN + timedelta(seconds=1),
        "started_at": None if waits else BEGAN + timedelta(seconds=3),
        "ended_at": BEGAN + timedelta(seconds=68) if state.ended else None,
    }
    return Run(**{**values, **more})


def at(position: int | None) -> Forecast | None:
    """A place in the queue, with no past to tell when it comes."""
    return None if position is None else Forecast(position=position, starts_in_s=None, ends_in_s=None)


def steps_of(run: Run, events: Sequence[AnyEvent], position: int | None = None) -> list[tuple[str, str]]:
    """A card's steps and how far each is."""
    return [(step.title, step.state.value) for step in run_card(run, events, expected=at(position)).steps]


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("state", RunState)
def test_every_kind_in_every_state_has_a_card(kind: str, state: RunState) -> None:
    """Whatever a run is and wherever it stands, its card names it, its state, a step for each stage and who asked."""
    card = run_card(run_in(state, kind), STARTED)
    assert card.title.split(" · ")[1].split()[0] == kind
    assert card.state == state.value
    assert len(card.steps) == 1 + len(STAGES[kind])
    assert ("asked by", "ada") in card.facts
    in_progress = [step for step in card.steps if step.state is StepState.IN_PROGRESS]
    assert not in_progress or not state.ended
    if state is RunState.SUCCEEDED:
        assert {step.state for step in card.steps} == {StepState.COMPLETE}
    if not state.ended:
        assert card.more == ("lml cancel 42",)


def test_the_stages_of_each_kind_are_stages() -> None:
    """Every kind of run has its stages, and every stage belongs to a kind."""
    assert set(STAGES) == set(SPECS)
    assert {stage for stages in STAGES.values() for stage in stages} == set(Stage)


@pytest.mark.parametrize(
    ("kind", "more", "title"),
    [
        ("train", {}, "Run 42 · train in/churn.csv"),
        ("train", {"dataset_name": "churn.csv", "name": "March"}, "Run 42 · train churn.csv (March)"),
        ("evaluate", {"dataset_name": "march.csv"}, "Run 42 · evaluate 42 on march.csv"),
        ("predict", {}, "Run 42 · predict 42 on in/new.csv"),
        ("compare", {}, "Run 42 · compare 41 and 42"),
    ],
)
def test_a_title_names_the_run(kind: str, more: dict[str, Any], title: str) -> None:
    """One line says which run it is, what it does and to what."""
    assert run_title(run_in(RunState.QUEUED, kind, **more)) == title


@pytest.mark.parametrize(
    ("state", "events", "position", "queue"),
    [
        (RunState.PREPARING, [], None, Step("Queue", StepState.IN_PROGRESS, "fetching the dataset")),
        (RunState.QUEUED, [Queued()], 3, Step("Queue", StepState.IN_PROGRESS, "number 3 in the queue")),
        (RunState.QUEUED, [Queued()], None, Step("Queue", StepState.IN_PROGRESS, "waiting for a worker")),
        (
            RunState.QUEUED,
            [*STARTED, Released(reason="its worker was lost")],
            1,
            Step("Queue", StepState.IN_PROGRESS, "number 1 in the queue; its worker was lost"),
        ),
        (RunState.RUNNING, STARTED, None, Step("Queue", StepState.COMPLETE, "waited 2.0 s")),
        (RunState.FAILED, STARTED, None, Step("Queue", StepState.COMPLETE, "waited 2.0 s")),
    ],
)
def test_the_first_step_is_the_queue(
    state: RunState, events: list[AnyEvent], position: int | None, queue: Step
) -> None:
    """The first step says how long a run waits or waited, and why it waits again."""
    assert run_card(run_in(state), events, expected=at(position)).steps[0] == queue


def test_a_run_that_failed_before_a_worker_had_it() -> None:
    """A run that failed while it waited shows the queue as the step that went wrong, and nothing begun after it."""
    assert steps_of(run_in(RunState.FAILED, started_at=None), []) == [
        ("Queue", "error"),
        ("Read the dataset", "pending"),
        ("Train", "pending"),
        ("Evaluate", "pending"),
        ("Export and check", "pending"),
    ]


def test_a_running_run_shows_where_it_is() -> None:
    """Stages that are done, the one that goes on with its epoch, loss and time left, and those to come."""
    card = run_card(run_in(RunState.RUNNING), EVENTS)
    assert [(step.title, step.state.value, step.detail) for step in card.steps[1:]] == [
        ("Read the dataset", "complete", "3,000 rows, 9 columns"),
        ("Train", "in_progress", "mlp: epoch 12 of at most 40, validation loss 0.4382, about 38 s left"),
        ("Evaluate", "pending", ""),
        ("Export and check", "pending", ""),
    ]
    assert card.notes == (*READ.inferred, *READ.warnings)
    assert card.facts[:2] == (("target", "churned"), ("task", "binary"))


def test_losses_that_are_no_numbers_are_dashes() -> None:
    """An epoch without a loss or an estimate says so without inventing one."""
    events = [*EVENTS, EpochDone(model="mlp", epoch=13, epochs=40, train_loss=None, validation_loss=None)]
    detail = run_card(run_in(RunState.RUNNING), events).steps[2].detail
    assert detail == "mlp: epoch 13 of at most 40, validation loss –"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_a_run_that_stopped_shows_where(state: RunState) -> None:
    """The stage in which a run failed or was stopped is marked; those before it are done."""
    problem = Problem("diverged", "The loss is no number.", "Lower lr.") if state is RunState.FAILED else None
    card = run_card(run_in(state, problem=problem), EVENTS)
    assert [step.state.value for step in card.steps] == ["complete", "complete", "error", "pending", "pending"]
    assert card.problem == problem
    assert (card.headline, card.tables) == ("", ())
    assert card.more == (("lml retry 42",) if state is RunState.CANCELLED else ())


def test_a_stopped_run_that_left_a_checkpoint_can_go_on() -> None:
    """The card of a failed or cancelled run says so."""
    events = [*EVENTS, CheckpointSaved()]
    for state in (RunState.CANCELLED, RunState.FAILED):
        assert "lml resume 42" in run_card(run_in(state), events).more


def test_a_second_attempt_begins_anew() -> None:
    """After a worker was lost, the card shows the stages of the attempt that runs now, and its notes once."""
    again = [*EVENTS, Released(reason="its worker was lost"), Started(attempt=2, worker="w2")]
    card = run_card(run_in(RunState.RUNNING), again)
    assert [step.state.value for step in card.steps[1:]] == ["pending"] * 4
    assert card.notes == ()
    card = run_card(run_in(RunState.RUNNING), [*again, StageStarted(stage=Stage.READ), READ, READ])
    assert [step.state.value for step in card.steps[1:]] == ["in_progress", "pending", "pending", "pending"]
    assert card.notes == (*READ.inferred, *READ.warnings)


def test_a_good_run_shows_its_result() -> None:
    """A run that ended well shows its headline beside the baseline, metrics by part, files and what comes next."""
    artifacts = [Artifact(name="model.onnx", sha256="0" * 64, size_bytes=1)]
    result = {**RESULT, "warnings": ["Few rows.", READ.warnings[0]]}
    card = run_card(run_in(RunState.SUCCEEDED, result=result), EVENTS, artifacts, prefix="/lml")
    assert card.headline == "accuracy 0.8512 on the test rows; a baseline without features reaches 0.7313"
    assert card.tables[0].header == ("metric", "test", "validation", "baseline")
    assert [row[0] for row in card.tables[0].rows] == ["accuracy", "f1", "roc_auc", "log_loss"]
    assert card.tables[0].rows[0] == ("accuracy", "0.8512", "0.8604", "0.7313")
    assert card.facts == (
        ("target", "churned"),
        ("task", "binary"),
        ("model", "mlp; ONNX equals torch to 3e-07"),
        ("took", "65 s"),
        ("asked by", "ada"),
    )
    assert card.notes == (*READ.inferred, *READ.warnings, "Few rows.")
    assert card.files == ("model.onnx",)
    assert card.more == ("/lml predict 42 DATASET", "/lml evaluate 42 DATASET", "/lml compare 42 RUN")
    assert card.steps[2].detail == "mlp: 12 epochs"


@pytest.mark.parametrize(
    ("kind", "result", "headline"),
    [
        ("predict", {"rows": 1_200}, "1,200 rows predicted"),
        ("predict", {"rows": 1_200, "rows_unreadable": 3}, "1,200 rows predicted; 3 could not be read"),
        ("compare", {"sentence": "Run 42 is better"}, "Run 42 is better"),
        (
            "train",
            {"headline": "r2", "metrics": {"test": {"r2": 0.91}, "baseline": {"r2": -0.01}}},
            "r2 0.9100 on the test rows; a baseline without features reaches -0.01",
        ),
        (
            "evaluate",
            {"headline": "accuracy", "metrics": {"test": {"accuracy": None}}},
            "",
        ),
    ],
)
def test_the_headline_of_each_kind(kind: str, result: dict[str, Any], headline: str) -> None:
    """A run that ended well says its result in one line, also when it left little."""
    assert run_card(run_in(RunState.SUCCEEDED, kind, result=result), STARTED).headline == headline


def test_an_evaluation_says_which_rows_it_scored() -> None:
    """An evaluation says how many rows it scored, and how many it left out."""
    result = {"task": "binary", "rows_scored": 450, "rows_left_out": 2_550, "metrics": {"test": {"accuracy": 1.0}}}
    card = run_card(run_in(RunState.SUCCEEDED, "evaluate", result=result), STARTED)
    assert ("rows", "450 scored, 2,550 left out") in card.facts


def test_a_comparison_is_a_table() -> None:
    """A comparison puts its runs side by side and marks the best."""
    card = sample_cards()["compare"]
    assert card.tables == (
        Table(
            caption="On the 600 test rows that they share",
            header=("run", "41 linear", "42 mlp (best)"),
            rows=(("accuracy", "0.8233", "0.8512"), ("f1", "0.7012", "0.7431")),
        ),
    )


def test_metrics_that_are_missing_are_dashes() -> None:
    """A metric that one part lacks, or that is no number, is a dash there; unknown metrics come last, by name."""
    metrics = {"test": {"zeta": 1.0, "accuracy": None, "alpha": 2}, "baseline": {"accuracy": 0.5}, "train": {}}
    card = run_card(run_in(RunState.SUCCEEDED, result={"task": "binary", "metrics": metrics}), STARTED)
    assert card.tables[0].header == ("metric", "test", "baseline")
    assert card.tables[0].rows == (
        ("accuracy", "–", "0.5000"),
        ("alpha", "2.0000", "–"),
        ("zeta", "1.0000", "–"),
    )


def train_card(**result: Any) -> Card:
    """The card of a train run that ended well with this result."""
    return run_card(run_in(RunState.SUCCEEDED, result=result), STARTED)


def test_what_was_measured_is_shown() -> None:
    """The headline comes with its interval, the verdict before the other notes, speed and memory among the facts."""
    card = sample_cards()["measured"]
    assert card.headline == (
        "roc_auc 0.9012 (0.89 to 0.91) on the test rows; a baseline without features reaches 0.5000"
    )
    assert card.notes[0] == MEASURED["verdict"]
    assert card.facts[-5:] == (
        ("took", "62 s"),
        ("speed", "81,234 rows/s"),
        ("peak memory", "412 MB"),
        ("calibration error", "0.0213"),
        ("asked by", "U0ADA"),
    )
    metrics = card.tables[0]
    assert metrics.header == ("metric", "test", "95 % interval", "validation", "baseline")
    assert metrics.rows[0] == ("accuracy", "0.8512", "0.84 to 0.86", "0.8604", "0.7313")
    assert metrics.rows[3][:3] == ("log_loss", "0.3391", "–")
    assert [table.caption for table in card.tables] == [
        "Metrics",
        "Candidates on the validation rows",
        "Classes on the test rows",
        "Weights in the columns' own units",
    ]


def test_the_candidates_are_told_best_first() -> None:
    """What each candidate reached stands beside what it cost; the one that was kept is named."""
    assert sample_cards()["measured"].tables[1] == Table(
        caption="Candidates on the validation rows",
        header=("model", "used", "roc_auc", "took"),
        rows=(("mlp", "kept", "0.9087", "21 s"), ("linear", "–", "0.8421", "0.4 s"), ("gbdt", "–", "–", "–")),
    )


def test_a_blend_names_its_parts() -> None:
    """Where models were blended, each has its share, and those that have none a dash."""
    candidates = {
        "linear": {"validation": {"r2": 0.5}, "seconds": 1.0, "weight": 0.0},
        "mlp": {"validation": {"r2": 0.6}, "seconds": 1.0, "weight": 0.375},
        "gbdt": {"validation": {"r2": 0.7}, "seconds": 1.0, "weight": 0.625},
    }
    card = train_card(headline="r2", model="blend", candidates=candidates)
    assert [row[:2] for row in card.tables[0].rows] == [
        ("gbdt", "62% of the blend"),
        ("mlp", "38% of the blend"),
        ("linear", "–"),
    ]


def test_a_single_candidate_is_no_choice() -> None:
    """A run with one model has no table of candidates."""
    assert train_card(headline="r2", candidates={"mlp": {"validation": {"r2": 0.5}, "seconds": 1.0}}).tables == ()


def test_the_largest_weights_are_told() -> None:
    """Of many weights the largest are shown with the intercept, in twelve rows, and how many there are."""
    weights = [{"feature": f"x{k}", "weight": (-1) ** k * k} for k in range(40)]
    table = train_card(coefficients=weights, intercept=3.0).tables[0]
    assert table.caption == "Weights in the columns' own units: the largest 11 of 40"
    assert table.rows[:2] == (("x39", "-39.00"), ("x38", "38.00"))
    assert table.rows[-1] == ("(intercept)", "3.0000")
    assert len(table.rows) == 12


def test_weights_of_several_classes_name_them() -> None:
    """Where a column weighs differently for each class, the class stands beside it."""
    weights = [{"feature": "x", "class": "red", "weight": 1.0}, {"feature": "x", "class": "blue", "weight": None}]
    assert train_card(coefficients=weights).tables[0] == Table(
        caption="Weights in the columns' own units",
        header=("feature", "class", "weight"),
        rows=(("x", "red", "1.0000"), ("x", "blue", "–")),
    )


def test_of_many_classes_the_most_frequent_are_told() -> None:
    """The table of classes stays short and says of how many it tells."""
    found = [
        {"class": f"c{k}", "support": k, "precision": 0.5, "recall": 0.5, "f1": 0.5, "roc_auc": None}
        for k in range(100)
    ]
    table = train_card(per_class=found, classes=[f"c{k}" for k in range(230)]).tables[0]
    assert table.caption == "Classes on the test rows: the most frequent 12 of 230"
    assert table.rows[0] == ("c99", "99", "0.5000", "0.5000", "0.5000", "–")


def test_a_regression_says_how_it_errs() -> None:
    """The share of rows within a tenth is a fact, errors that grow are a note after the verdict."""
    card = train_card(verdict="Healthy.", residuals={"within_10_percent": 0.832, "hint": "The errors grow."})
    assert ("within 10 %", "83% of the test rows") in card.facts
    assert card.notes == ("Healthy.", "The errors grow.")


@pytest.mark.parametrize("missing", [None, {}])
def test_measures_that_are_empty_leave_nothing(missing: dict[str, Any] | None) -> None:
    """A run that measured nothing more shows what it always showed."""
    keys = ("intervals", "candidates", "per_class", "calibration", "residuals", "coefficients", "verdict")
    plain = run_card(run_in(RunState.SUCCEEDED, result=RESULT), EVENTS)
    assert run_card(run_in(RunState.SUCCEEDED, result={**RESULT, **dict.fromkeys(keys, missing)}), EVENTS) == plain


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (None, "–"),
        ([0.82, 0.88], "0.82 to 0.88"),
        ([0.8235, 0.8291], "0.824 to 0.829"),
        ([0.4, 1.0], "0.40 to 1.00"),
        ([-0.05, 0.02], "-0.05 to 0.02"),
        ([11_800.0, 12_900.0], "11,800 to 12,900"),
        ([12.31, 13.4], "12.3 to 13.4"),
        ([1e-9, 3e-9], "1e-09 to 3e-09"),
        ([0.99999999, 0.999999999], "1 to 1"),
        ([1.5e8, 2.5e9], "1.5e+08 to 2.5e+09"),
        ([0.5, 0.5], "0.5000 to 0.5000"),
    ],
)
def test_intervals_for_people(interval: list[float] | None, shown: str) -> None:
    """An interval is as exact as its width deserves."""
    assert interval_text(interval) == shown


@pytest.mark.parametrize("name", sample_cards())
def test_tables_are_rectangles(name: str) -> None:
    """Every row of a table is as long as its header."""
    for table in sample_cards()[name].tables:
        assert {len(row) for row in table.rows} <= {len(table.header)}


def test_every_problem_of_a_refusal_is_shown() -> None:
    """One problem is shown as such; several are all shown, each with what to do."""
    one, two = Problem("a", "Wrong.", "Do so."), Problem("b", "Bad.")
    assert problem_card([one]) == Card(title="Not understood", state="refused", problem=one)
    assert problem_card([one, two], title="Refused") == Card(
        title="Refused", state="refused", notes=("Wrong. Do so.", "Bad.")
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0.0000"),
        (0.85123, "0.8512"),
        (-0.5, "-0.5000"),
        (9.99999, "10.0000"),
        (12.345, "12.35"),
        (12_345.678, "12,345.68"),
        (123_456, "123,456.00"),
        (1e-5, "1e-05"),
        (-2.5e-7, "-2.5e-07"),
        (1e12, "1e+12"),
        (1, "1.0000"),
        (0.0123456, "0.01235"),
    ],
)
def test_numbers_for_people(value: float | None, shown: str) -> None:
    """A number is short enough to be read and long enough to be compared."""
    assert number_text(value) == shown


@given(st.floats())
def test_any_number_is_short(value: float) -> None:
    """Whatever a number is, its text fits into a cell."""
    assert 0 < len(number_text(value)) <= 11


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (2.04, "2.0 s"),
        (10, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3_600, "60 min"),
        (7_200, "2.0 h"),
        (604_800, "168.0 h"),
    ],
)
def test_durations_for_people(seconds: float, shown: str) -> None:
    """A duration is told in the unit that people would use."""
    assert duration_text(seconds) == shown


def test_the_time_between_two_moments() -> None:
    """It is in seconds, and there is none before both have come."""
    assert seconds_between(BEGAN, BEGAN + timedelta(seconds=1.23456)) == 1.235
    assert seconds_between(None, BEGAN) is None
    assert seconds_between(BEGAN, None) is None


@pytest.mark.parametrize(
    ("source", "notes"),
    [
        (None, ()),
        ({"slack_file": "F1", "name": "churn.csv"}, ()),
        ({"sha256": "ab"}, ()),
        (
            {"run": 7, "name": "churn.csv", "sha256": "ab"},
            ("No file is called so here: this is `churn.csv` as run 7 read it.",),
        ),
        ({"address": "https://data.example.com/a.csv"}, ("Read from https://data.example.com/a.csv.",)),
    ],
)
def test_a_card_says_where_its_data_came_from(source: dict[str, Any] | None, notes: tuple[str, ...]) -> None:
    """Where a name alone does not tell which data was read, the card does."""
    assert run_card(run_in(RunState.QUEUED, dataset_source=source), []).notes == notes
