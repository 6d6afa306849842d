"""The card of a run with seeds, and what stands of it in lists and boards."""

from typing import Any

import pytest
from support.log_acts import ADA
from support.sample_cards import BEGAN

from bot.board import Standing, leaderboard_answer
from bot.cards import StepState, run_card, run_title
from bot.compared_tables import more_tables
from bot.tables import result_tables, spread_text
from shared.access import Source, Visibility
from shared.events import AnyEvent, Queued, SeedEnded, SeedsQueued, Started, WorkerMissing
from shared.log.boards import Board
from shared.log.runs import Run, RunState
from shared.specs import TrainSpec

SOWN: list[AnyEvent] = [SeedsQueued(seeds=(3, 4, 5), runs=(43, 44, 45))]
SUMMED: dict[str, Any] = {
    "headline": "roc_auc",
    "model": "mlp",
    "metrics": {
        "test": {"roc_auc": 0.9131, "log_loss": 0.31},
        "validation": {"roc_auc": 0.92, "log_loss": 0.3},
        "baseline": {"roc_auc": 0.5},
    },
    "sd": {"test": {"roc_auc": 0.0042, "log_loss": 0.01}},
    "intervals": {"test": {"roc_auc": [0.89, 0.93], "log_loss": None}},
    "kept": {"seed": 4, "run": 44, "by": "log_loss", "validation": 0.28},
    "seeds": [
        {"seed": 3, "run": 43, "state": "succeeded", "metrics": {"test": {"roc_auc": 0.91}}},
        {"seed": 4, "run": 44, "state": "succeeded", "metrics": {"test": {"roc_auc": 0.9162}}},
        {"seed": 5, "run": 45, "state": "failed", "metrics": {}},
    ],
    "warnings": ["2 of 3 seeds count."],
}


def run_at(state: RunState, number: int = 42, **more: Any) -> Run:
    """A run with three seeds."""
    return Run(
        id=number,
        team_id="T1",
        visibility=Visibility.TEAM,
        requested_by=ADA.user_id,
        source=Source.SLACK,
        words="train churn.csv seeds=3",
        kind="train",
        spec=more.pop("spec", TrainSpec(dataset="churn.csv", seed=3, seeds=3)),
        state=state,
        dataset_name="churn.csv",
        created_at=BEGAN,
        **more,
    )


def ended(run: int, state: str, count: int, score: float | None = None) -> SeedEnded:
    """A seed has ended."""
    metric = None if score is None else "roc_auc"
    return SeedEnded(run=run, seed=run - 40, state=state, ended=count, of=3, metric=metric, score=score)


def test_while_seeds_train_the_card_counts_them() -> None:
    """How many are trained, what each reached, and that the others wait or run; what to type next."""
    card = run_card(run_at(RunState.GATHERING), [*SOWN, ended(44, "succeeded", 1, 0.9162), ended(45, "failed", 2)])
    assert card.title == "Run 42 · train churn.csv, 3 seeds"
    assert (card.state, card.headline) == ("gathering", "1 of 3 seeds trained, 1 failed")
    assert [step.state for step in card.steps] == [StepState.IN_PROGRESS, StepState.PENDING]
    (table,) = card.tables
    assert table.rows == (
        ("3", "43", "waits or runs", "–"),
        ("4", "44", "succeeded", "0.9162"),
        ("5", "45", "failed", "–"),
    )
    assert card.more == ("lml cancel 42", "lml log parent:42")


def test_a_worker_that_is_missing_is_told_on_the_card_that_is_read() -> None:
    """The seeds have no card of their own."""
    card = run_card(run_at(RunState.GATHERING), [*SOWN, WorkerMissing(device="gpu", length="long")])
    assert card.steps[0].detail == "0 of 3 seeds trained; no worker that lives takes long runs for device=gpu"


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (RunState.QUEUED, [StepState.COMPLETE, StepState.IN_PROGRESS]),
        (RunState.RUNNING, [StepState.COMPLETE, StepState.IN_PROGRESS]),
        (RunState.FAILED, [StepState.COMPLETE, StepState.ERROR]),
        (RunState.SUCCEEDED, [StepState.COMPLETE, StepState.COMPLETE]),
    ],
)
def test_then_they_are_gathered(state: RunState, steps: list[StepState]) -> None:
    """With the last seed the first step is done, and the second goes on, or is where it failed."""
    done = [ended(43, "succeeded", 1), ended(44, "succeeded", 2), ended(45, "failed", 3)]
    card = run_card(run_at(state), [*SOWN, *done, Queued(), Started(attempt=1, worker="w1")])
    assert [step.state for step in card.steps] == steps


def test_a_cancelled_run_says_how_far_its_seeds_were() -> None:
    """The step of the seeds is where it was stopped."""
    card = run_card(run_at(RunState.CANCELLED), [*SOWN, ended(43, "succeeded", 1)])
    assert [step.state for step in card.steps] == [StepState.ERROR, StepState.PENDING]
    assert card.steps[0].detail == "1 of 3 seeds trained"


def test_a_mean_stands_with_spread_and_interval() -> None:
    """In the headline, the table of metrics and that of the seeds; whose files they are is said."""
    card = run_card(run_at(RunState.SUCCEEDED, result=SUMMED, target="churned", task="binary"), SOWN)
    assert card.headline == (
        "roc_auc 0.9131 ± 0.0042 over 2 seeds, 95 % interval 0.89 to 0.93, on the test rows; "
        "a baseline without features reaches 0.5000"
    )
    metrics, seeds = card.tables
    assert metrics.header == ("metric", "test, mean ± sd", "95 % interval", "validation", "baseline")
    assert metrics.rows[0][:3] == ("roc_auc", "0.9131 ± 0.0042", "0.89 to 0.93")
    assert seeds.rows[1] == ("4", "44", "succeeded", "0.9162", "–", "these")
    assert "seed 4 (run 44)" in card.notes[0]
    assert "2 of 3 seeds count." in card.notes
    assert dict(card.facts)["target"] == "churned"


def test_a_seed_names_its_run() -> None:
    """In its title, and in what to type next."""
    seed = run_at(RunState.QUEUED, 44, spec=TrainSpec(dataset="churn.csv", seed=4), seed_of=42)
    assert run_title(seed) == "Run 44 · train churn.csv seed 4 of run 42"
    assert run_card(seed, [Queued()]).more == ("lml cancel 44", "lml show 42")


def test_tables_of_one_model_say_which() -> None:
    """Classes are those of the seed whose model was kept."""
    told = {**SUMMED, "per_class": [{"class": "yes", "support": 3, "precision": 1.0}], "classes": ["no", "yes"]}
    captions = [table.caption for table in result_tables("train", told)]
    assert captions == ["Metrics, means over the seeds", "Classes on the test rows, seed 4: the most frequent 1 of 2"]


def test_a_board_has_means_and_tells_them_apart_by_intervals() -> None:
    """A run with seeds is one row; no comparison of single models speaks for it."""
    many = run_at(RunState.SUCCEEDED, result=SUMMED, score=0.9131, model="mlp", headline="roc_auc")
    told = {"intervals": {"test": {"roc_auc": [0.88, 0.92]}}}
    one = run_at(RunState.SUCCEEDED, 50, spec=TrainSpec(dataset="churn.csv"), result=told, score=0.9, model="mlp")
    board = Board("a" * 64, None, "churned", "binary", "5" * 64, "roc_auc", 50, ("churn.csv",))
    answer = leaderboard_answer(_desk(), "churn.csv", [Standing(board, 2, [many, one])], others=0, target=None)
    (table,) = answer.card.tables
    assert [row[:6] for row in table.rows] == [
        ("1=", "42", "mlp", "0.9131 ± 0.0042", "0.89 to 0.93", "2"),
        ("1=", "50", "mlp", "0.9000", "0.88 to 0.92", "1"),
    ]
    assert "Means over seeds are told apart by their 95 % intervals" in answer.card.notes[0]
    rows = answer.envelope["items"][0]["rows"]
    assert [(row["seeds"], row["sd"]) for row in rows] == [([3, 4], 0.0042), ([0], None)]


def _desk() -> Any:
    class Desk:
        prefix = "lml"

    return Desk()


def test_a_comparison_shows_the_spread_beside_the_model() -> None:
    """The single model above, its parameters, and below what the seeds reached."""
    over = {"seeds": 3, "kept_seed": 4, "metrics": {"roc_auc": 0.9131}, "sd": {"roc_auc": 0.0042}, "intervals": {}}
    entry = {"run": 42, "model": "mlp", "metrics": {"roc_auc": 0.92}, "parameters": 51_215, "over_seeds": over}
    result = {"runs": [entry, {"run": 50, "model": "gbdt", "metrics": {"roc_auc": 0.9}}], "rows_shared": 60}
    (scores,) = result_tables("compare", result)
    assert scores.header == ("run", "42 mlp, seed 4", "50 gbdt")
    assert scores.rows == (("roc_auc", "0.9200", "0.9000"), ("parameters", "51,215", "–"))
    (means,) = more_tables("compare", result)
    assert means.rows == (("42", "3", "roc_auc", "0.9131 ± 0.0042", "–"),)


@pytest.mark.parametrize(
    ("mean", "sd", "said"),
    [
        (0.9131, 0.00424, "0.9131 ± 0.0042"),
        (1234.5, 12.0, "1,234.50 ± 12.00"),
        (0.07215, 0.0141, "0.07215 ± 0.01410"),
        (0.9131, 0.0, "0.9131 ± 0.0000"),
        (0.9131, 0.000004, "0.9131 ± 4e-06"),
        (2.5e8, 1.25e6, "2.5e+08 ± 1.2e+06"),
        (0.9, None, "0.9000"),
        (None, None, "–"),
    ],
)
def test_a_mean_and_its_spread_are_as_exact_as_each_other(mean: float | None, sd: float | None, said: str) -> None:
    """Both end at the same digit; a spread that would vanish is said in its own digits."""
    assert spread_text(mean, sd) == said
