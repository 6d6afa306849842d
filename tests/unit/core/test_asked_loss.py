"""A run is judged by the loss that was asked for: its choice, its headline, its baseline and its verdict."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

Write = Callable[..., Path]
Fit = Callable[..., dict[str, Any]]


def skewed(rows: int = 400) -> str:
    """A number whose noise is far from symmetrical and grows with a column."""
    chance = random.Random(0)
    lines = ["a,b,y"]
    for _ in range(rows):
        a, b = chance.gauss(0, 1), chance.random()
        lines.append(f"{a:.4f},{b:.4f},{50 + 5 * a + chance.expovariate(0.2) * (0.3 + b):.4f}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("words", "metric"),
    [({"loss": "quantile", "quantile": 0.9}, "pinball"), ({"loss": "mae"}, "mae"), ({"loss": "huber"}, "huber")],
)
def test_the_loss_that_was_asked_for_decides(
    write: Write, fit: Fit, tmp_path: Path, words: dict[str, Any], metric: str
) -> None:
    """Choice, headline, interval, baseline and verdict are all of the same score, and the file says the same."""
    report = fit(write(skewed()), time_s=4, **words)
    assert (report["headline"], report["chosen_by"], report["judged_by"]["loss"]) == (metric, metric, words["loss"])
    assert report["metrics"]["test"][metric] < report["metrics"]["baseline"][metric]
    low, high = report["intervals"]["test"][metric]
    assert low < report["metrics"]["test"][metric] < high
    assert f"{metric} is " in report["verdict"]
    assert f"{metric} on the validation rows" in report["choice"]
    said = pl.read_csv(tmp_path / "out" / "test_predictions.csv")
    if metric == "pinball":
        short = (said["actual"] - said["prediction"]).to_numpy()
        assert report["metrics"]["test"]["pinball"] == pytest.approx(np.maximum(0.9 * short, -0.1 * short).mean())
        assert report["metrics"]["test"]["coverage"] == pytest.approx((short <= 0).mean())
        assert 0.75 < report["metrics"]["test"]["coverage"] < 0.99
        rows = pl.read_parquet(tmp_path / "out" / "rows.parquet")["part"].to_numpy()
        values = pl.read_csv(tmp_path / "data")["y"].to_numpy()
        assert report["baseline_guess"] == [pytest.approx(np.quantile(values[rows != "test"], 0.9), rel=1e-4)]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["judged_by"] == report["judged_by"]


def test_squares_are_judged_as_ever(write: Write, fit: Fit) -> None:
    """Asked for or not, the mean squared error has r2 as its headline, and the mean as its baseline."""
    for words in ({}, {"loss": "mse"}):
        report = fit(write(skewed()), model="linear", **words)
        assert (report["headline"], report["chosen_by"]) == ("r2", "rmse")
        assert set(report["metrics"]["test"]) == {"r2", "rmse", "mse", "mae"}


def test_a_loss_of_classes_is_compared_after_scaling(write: Write, fit: Fit, mixed_table: Callable[..., str]) -> None:
    """A focal loss keeps the headline of its task; candidates are compared once their scale is set right."""
    report = fit(write(mixed_table()), loss="focal", time_s=3)
    assert (report["headline"], report["chosen_by"]) == ("roc_auc", "log_loss")
    assert "log_loss (after temperature scaling) on the validation rows" in report["choice"]
    assert report["positive_class"] == "good"
