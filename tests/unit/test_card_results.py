"""What the card of a run that ended well shows of its result: headline, tables, facts, notes."""

from typing import Any

import pytest
from support.sample_cards import EVENTS, MEASURED, READ, RESULT, sample_cards
from support.sample_runs import STARTED, run_in

from bot.cards import (
    Card,
    Table,
    run_card,
)
from shared.log.runs import Artifact, RunState


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


@pytest.mark.parametrize("name", sample_cards())
def test_tables_are_rectangles(name: str) -> None:
    """Every row of a table is as long as its header."""
    for table in sample_cards()[name].tables:
        assert {len(row) for row in table.rows} <= {len(table.header)}
