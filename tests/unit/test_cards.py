"""Cards of runs in each state and of each kind: what people are told, free of any chat."""

from collections.abc import Sequence
from typing import Any

import pytest
from support.sample_cards import EVENTS, READ
from support.sample_runs import SPECS, STARTED, run_in

from bot.cards import (
    STAGES,
    Card,
    Step,
    StepState,
    problem_card,
    run_card,
    run_title,
)
from shared.errors import Problem
from shared.events import AnyEvent, CheckpointSaved, EpochDone, Queued, Released, Stage, StageStarted, Started
from shared.log.forecast import Forecast
from shared.log.runs import Run, RunState


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


def test_every_problem_of_a_refusal_is_shown() -> None:
    """One problem is shown as such; several are all shown, each with what to do."""
    one, two = Problem("a", "Wrong.", "Do so."), Problem("b", "Bad.")
    assert problem_card([one]) == Card(title="Not understood", state="refused", problem=one)
    assert problem_card([one, two], title="Refused") == Card(
        title="Refused", state="refused", notes=("Wrong. Do so.", "Bad.")
    )


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
