"""The tables of comparisons and evaluations: what was tested, asked differently, worse and drifted."""

from typing import Any

import pytest

from bot.compared_tables import more_tables
from bot.tables import result_tables

TOLD = {"difference": 0.02, "interval": [0.01, 0.03], "p": 0.0001, "p_corrected": 0.0003, "test": "DeLong"}
COMPARED: dict[str, Any] = {
    "headline": "roc_auc",
    "rows_shared": 300,
    "rows_of": "dataset",
    "best": 42,
    "runs": [
        {"run": 41, "model": "linear", "metrics": {"roc_auc": 0.8}, "train_s": 1.5, "model_bytes": 12_300},
        {"run": 42, "model": "mlp", "metrics": {"roc_auc": 0.82}, "train_s": None, "model_bytes": None},
    ],
    "pairs": [{"runs": [42, 41], "tied": False, "differences": {"roc_auc": TOLD}}],
    "spec_differences": {"model": {"41": "linear", "42": "mlp"}, "drop": {"41": ["a", "b"], "42": []}},
}


def test_a_comparison_tells_pairs_specs_and_costs() -> None:
    """Quality, time and size stand side by side, then each pair with its test, then what was asked differently."""
    (scores,) = result_tables("compare", COMPARED)
    assert scores.caption == "On the 300 rows of the dataset"
    assert scores.header == ("run", "41 linear", "42 mlp (best)")
    assert scores.rows == (("roc_auc", "0.8000", "0.8200"), ("trained in", "1.5 s", "–"), ("file", "12.3 kB", "–"))
    pairs, specs = more_tables("compare", COMPARED)
    assert pairs.rows == (("42 - 41", "roc_auc", "0.02", "0.01 to 0.03", "< 0.001", "DeLong"),)
    assert specs.header == ("key", "41", "42")
    assert specs.rows == (("model", "linear", "mlp"), ("drop", "a, b", "–"))


def test_many_runs_are_compared_below_each_other() -> None:
    """More runs than fit beside each other are rows, and their scores columns."""
    many = [{"run": number, "model": "mlp", "metrics": {"r2": number / 10}} for number in range(1, 8)]
    (scores,) = result_tables("compare", {**COMPARED, "runs": many, "best": 7})
    assert scores.header == ("run", "r2")
    assert scores.rows[-1] == ("7 mlp (best)", "0.7000")


def test_an_evaluation_tells_slices_and_drift() -> None:
    """Worse slices with their intervals, and the columns that drifted."""
    slices = {
        "metric": "accuracy",
        "looked_at": 12,
        "worst": [
            {"slice": "`w` is `b`", "rows": 1_200, "value": 0.5, "difference": -0.25, "interval": [-0.4, -0.2]},
        ],
    }
    columns = [
        {"column": "x", "drift": "strong", "psi": 0.31, "ks": 0.2, "p_corrected": 0.002},
        {"column": "w", "drift": "some", "psi": 0.12, "p_corrected": 0.01},
        {"column": "b", "drift": "none", "psi": 0.01, "p_corrected": 1.0},
    ]
    worse, drifted = more_tables("evaluate", {"slices": slices, "drift": {"columns": columns}})
    assert worse.caption == "Worse slices, of 12 looked at"
    assert worse.rows == (("w is b", "1,200", "0.5000", "-0.2500", "-0.40 to -0.20"),)
    assert drifted.rows == (("x", "strong", "0.310", "0.200", "0.002"), ("w", "some", "0.120", "–", "0.010"))


@pytest.mark.parametrize("kind", ["compare", "evaluate", "train", "predict"])
def test_what_a_result_lacks_has_no_table(kind: str) -> None:
    """Results of earlier versions, or of other kinds, have nothing more to show."""
    assert more_tables(kind, {"runs": [], "drift": None}) == ()
