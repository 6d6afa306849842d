"""The weights of a linear model, in the units of the file, say what the model says."""

import csv
import io
import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from shared.specs import TrainSpec
from workers.core.dataset import understand_dataset
from workers.core.development import development
from workers.core.layers import Expand
from workers.core.models.design import Designer
from workers.core.models.linear import fit_linear
from workers.core.progress import Clock, Progress

Write = Callable[..., Path]
Fit = Callable[..., dict[str, Any]]


def houses(target: str, *, rows: int = 400) -> str:
    """Numbers of different sizes, one with gaps; words, one of them seldom; yes and no; a noisy linear target."""
    chance = random.Random(2)
    lines = ["area,year,district,garden,price"]
    for k in range(rows):
        area, year = chance.uniform(30, 250), chance.randint(1900, 2024)
        district = "harbour" if k % 29 == 0 else "" if k % 17 == 0 else chance.choice(("north", "south", "west"))
        garden = chance.random() < 0.4
        price = 2000 * area + 300 * (year - 1960) + 40_000 * (district == "west") + 15_000 * garden
        price += chance.gauss(0, 9000)
        said = {
            "number": f"{price:.2f}",
            "two": "dear" if price > 300_000 else "cheap",
            "three": "dear" if price > 380_000 else "fair" if price > 200_000 else "cheap",
        }
        lines.append(
            f"{'' if k % 11 == 0 else f'{area:.1f}'},{year},{district},{'yes' if garden else 'no'},{said[target]}"
        )
    return "\n".join(lines) + "\n"


def sums(text: str, report: dict[str, Any], out: Path) -> np.ndarray:
    """Intercept + the sum of weight x cell for each test row, [n, classes or 1], computed from the file alone."""
    parts = pl.read_parquet(out / "rows.parquet")["part"].to_list()
    rows = list(csv.DictReader(io.StringIO(text)))
    learnt = [row for row, part in zip(rows, parts, strict=True) if part in ("train", "validation")]
    middle = {name: median(float(row[name]) for row in learnt if row[name]) for name in ("area", "year")}

    def cell(row: dict[str, str], feature: str) -> float:
        if feature in middle:
            return float(row[feature]) if row[feature] else middle[feature]
        if feature == "garden":
            return float(row["garden"] == "yes")
        if feature.endswith(" is missing"):
            return float(not row[feature.removesuffix(" is missing")])
        name, word = feature.split(" = ")
        return float(row[name] == word)

    names = list(report["intercepts"]) if "intercepts" in report else [None]
    totals = []
    for row, part in zip(rows, parts, strict=True):
        if part == "test":
            weighed = {name: report["intercepts"][name] if name else report["intercept"] for name in names}
            for one in report["coefficients"]:
                weighed[one.get("class")] += one["weight"] * cell(row, one["feature"])
            totals.append([weighed[name] for name in names])
    return np.array(totals)


@pytest.mark.parametrize(
    "words",
    [{}, {"optimizer": "gd"}, {"optimizer": "sgd"}, {"optimizer": "adam"}, {"optimizer": "adamw"}, {"l2": 0}],
    ids=lambda words: " ".join(f"{key}={value}" for key, value in words.items()) or "solved",
)
def test_the_straight_line_of_the_design(
    write: Write, fit: Fit, line_table: Callable[..., str], words: dict[str, Any]
) -> None:
    """x = 1..100, y = 2x: by every optimizer the weight is 2 and the intercept 0, to 1e-3."""
    report = fit(write(line_table()), model="linear", **words)
    assert not any("exploded" in warning for warning in report["warnings"])
    assert report["coefficients"] == [{"feature": "x", "weight": pytest.approx(2.0, abs=1e-3)}]
    assert report["intercept"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("first", [0, 1_000_000, -3_000_000])
def test_a_straight_line_far_from_zero(write: Write, fit: Fit, first: int) -> None:
    """Of y = 2x the intercept is 0 to 1e-3 wherever x stands: an exact line gets no penalty."""
    text = "x,y\n" + "".join(f"{first + k},{2 * (first + k)}\n" for k in range(100))
    report = fit(write(text), model="linear")
    assert report["coefficients"] == [{"feature": "x", "weight": pytest.approx(2.0, abs=1e-9)}]
    assert report["intercept"] == pytest.approx(0.0, abs=1e-3)
    assert report["plan"]["l2"] == 0.0


def test_few_rows_keep_a_penalty(write: Write, fit: Fit) -> None:
    """Where the rows are less than twice the weights, no line without a penalty is tried."""
    chance = random.Random(0)
    lines = [",".join(f"{chance.gauss(0, 1):.3f}" for _ in range(31)) for _ in range(60)]
    report = fit(write(",".join(f"c{k}" for k in range(31)) + "\n" + "\n".join(lines)), model="linear")
    assert min(report["plan"]["l2_tried"]) > 0.0


@pytest.mark.parametrize("loss", ["mae", "huber"])
def test_a_straight_line_by_other_losses(write: Write, fit: Fit, line_table: Callable[..., str], loss: str) -> None:
    """y = 2x is found to 1e-3 by the losses that are learnt step by step."""
    report = fit(write(line_table(rows=40)), model="linear", loss=loss)
    assert report["coefficients"] == [{"feature": "x", "weight": pytest.approx(2.0, abs=1e-3)}]
    assert report["intercept"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("target", ["number", "three"])
def test_gathered_words_are_multiplied_words(write: Write, target: str) -> None:
    """A design that gathers the weights of words gives the products of the one that multiplies by ones and zeros."""
    spec = TrainSpec(dataset="data")
    data = development(understand_dataset(write(houses(target)), spec), spec, torch.device("cpu")).data
    expand = Expand(data.layout, data.x, cut=None)
    rows = torch.arange(0, len(data.x), 3)
    thin, thick = (
        Designer(expand, gathers=gathers).design(data.x, torch.float64).rows(rows) for gathers in (True, False)
    )
    chance = torch.Generator().manual_seed(0)
    weights = torch.randn(expand.width, 3, generator=chance, dtype=torch.float64)
    values = torch.randn(len(rows), 3, generator=chance, dtype=torch.float64)
    assert thin.dense.shape[1] < thick.dense.shape[1] == thin.width
    torch.testing.assert_close(thin.times(weights), thick.times(weights))
    torch.testing.assert_close(thin.transposed_times(values), thick.transposed_times(values))
    torch.testing.assert_close(thin.whole(), thick.whole())


def test_a_thousand_words_are_solved_in_no_time(write: Write, fit: Fit) -> None:
    """A column of a thousand words is taken to its optimum in a part of the time that dense ones and zeros take."""
    chance = random.Random(0)
    text = "word,y\n" + "".join(f"w{k % 1000},{k % 7 + chance.gauss(0, 1):.2f}\n" for k in range(3000))
    report = fit(write(text), model="linear", category=("word",))
    assert report["plan"]["ended_by"] == "converged"
    assert report["timing_s"]["train"] < 2.0


def test_gradient_descent_with_a_small_rate_falls_at_each_step(write: Write, line_table: Callable[..., str]) -> None:
    """The training loss of y = 2x is less after each epoch than before it."""
    spec = TrainSpec(dataset="data", model="linear", optimizer="gd", lr=0.02, epochs=150, l2=0)
    data = development(understand_dataset(write(line_table()), spec), spec, torch.device("cpu")).data
    progress = Progress(lambda _: None, lambda: False)
    candidate = fit_linear(data, spec, progress=progress, clock=Clock(60), threads=1)
    losses = [loss for loss, _ in candidate.curve]
    assert len(losses) == 150
    assert all(after < before for before, after in itertools.pairwise(losses))
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize("words", [{"l2": 0}, {"optimizer": "adam", "epochs": 20}, {"l1": 0.01}])
def test_weights_reproduce_the_predictions(write: Write, fit: Fit, tmp_path: Path, words: dict[str, Any]) -> None:
    """What the model predicts is the intercept and the sum of weight x cell, missing numbers at their median."""
    text = houses("number")
    report = fit(write(text), model="linear", **words)
    said = pl.read_csv(tmp_path / "out" / "test_predictions.csv")["prediction"].to_numpy()
    np.testing.assert_allclose(sums(text, report, tmp_path / "out")[:, 0], said, rtol=1e-6)
    weights = {one["feature"]: one["weight"] for one in report["coefficients"]}
    assert weights["area"] == pytest.approx(2000, rel=0.05)
    assert set(weights) == {
        "area", "year", "garden", "area is missing", "district = north", "district = south", "district = west",
        "district = harbour", "district is missing",
    }  # fmt: skip


def test_weights_of_two_classes_are_log_odds(write: Write, fit: Fit, tmp_path: Path) -> None:
    """The sum is the logarithm of how much likelier the second class is, before the temperature."""
    text = houses("two")
    report = fit(write(text), model="linear", l2=0.01)
    assert report["classes"] == ["cheap", "dear"]
    said = pl.read_csv(tmp_path / "out" / "test_predictions.csv")["probability_dear"].to_numpy()
    odds = sums(text, report, tmp_path / "out")[:, 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-odds / report["temperature"])), said, atol=1e-4)


def test_weights_of_several_classes(write: Write, fit: Fit, tmp_path: Path) -> None:
    """Each class has its weights and its intercept; their softmax is what the model says."""
    text = houses("three")
    report = fit(write(text), model="linear", l2=0.01)
    assert set(report["intercepts"]) == {"cheap", "dear", "fair"}
    table = pl.read_csv(tmp_path / "out" / "test_predictions.csv")
    said = np.stack([table[f"probability_{name}"].to_numpy() for name in report["classes"]], axis=1)
    powers = np.exp(sums(text, report, tmp_path / "out") / report["temperature"])
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), said, atol=1e-4)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_l1_leaves_out_what_does_not_matter(write: Write, fit: Fit, weights: str) -> None:
    """Columns of noise get a weight of exactly zero, those that matter do not."""
    chance = random.Random(0)
    lines = ["a,b,n1,n2,n3,n4,kind"]
    for _ in range(400):
        values = [chance.gauss(0, 1) for _ in range(6)]
        rare = values[0] - values[1] + chance.gauss(0, 0.3) > 1.5
        lines.append(",".join(f"{value:.4f}" for value in values) + (",rare" if rare else ",usual"))
    report = fit(write("\n".join(lines)), model="linear", l1=0.05, weights=weights)
    found = {one["feature"]: one["weight"] for one in report["coefficients"]}
    assert {name for name, weight in found.items() if weight == 0.0} == {"n1", "n2", "n3", "n4"}
    assert report["plan"]["ended_by"] == "converged"


def test_l1_with_balanced_weights_and_outliers_converges(write: Write, fit: Fit) -> None:
    """The steps stay short enough when the rows of a rare class count twenty times and are far away."""
    chance = random.Random(0)
    lines = ["a,b,kind"]
    for k in range(600):
        rare = k % 40 == 0
        scale = 30 if rare else 1
        lines.append(f"{chance.gauss(0, scale):.4f},{chance.gauss(rare, scale):.4f},{'rare' if rare else 'usual'}")
    report = fit(write("\n".join(lines)), model="linear", l1=1e-4, l2=1e-3, weights="balanced")
    assert report["plan"]["ended_by"] == "converged"
    assert all(math.isfinite(one["weight"]) for one in report["coefficients"])


@pytest.mark.parametrize("words", [{"l2": 0.01}, {"l1": 0.003, "l2": 0.01}])
def test_rows_that_do_not_fit_at_once_give_the_same(
    write: Write, fit: Fit, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any]
) -> None:
    """Read piece by piece, a file that is sorted by its class gives the weights that it gives when read at once."""
    head, *lines = houses("two").splitlines()
    data = write("\n".join([head, *sorted(lines, key=lambda line: line.rsplit(",", 1)[1])]))
    whole = fit(data, model="linear", weights="balanced", **words)
    monkeypatch.setattr("workers.core.models.linear.DOUBLE_CELLS", 0)
    monkeypatch.setattr("workers.core.models.linear.CHUNK_ROWS", 60)
    pieces = fit(data, model="linear", weights="balanced", **words)
    for one, other in zip(whole["coefficients"], pieces["coefficients"], strict=True):
        assert other["weight"] == pytest.approx(one["weight"], rel=0.02, abs=1e-3)


@pytest.mark.parametrize("words", [{"l1": 1e-3, "l2": 0}, {"optimizer": "gd", "l2": 0, "epochs": 500}])
def test_columns_that_cancel_out_are_solved(write: Write, fit: Fit, words: dict[str, Any]) -> None:
    """Of two columns that are each other's negative, the steps are as short as their sum needs."""
    chance = random.Random(0)
    values = [chance.gauss(0, 1) for _ in range(120)]
    text = "a,b,y\n" + "".join(f"{v:.4f},{-v:.4f},{5 * v + chance.gauss(0, 0.01):.4f}\n" for v in values)
    report = fit(write(text), model="linear", **words)
    assert not any("exploded" in warning for warning in report["warnings"])
    weights = {one["feature"]: one["weight"] for one in report["coefficients"]}
    assert weights["a"] - weights["b"] == pytest.approx(5, rel=0.01)


def test_names_of_dates_and_texts(write: Write, fit: Fit) -> None:
    """A date has a slope and phases of its own, a text its words: each weight has a name of its own."""
    chance = random.Random(1)
    lines = ["when,said,y"]
    for k in range(200):
        good = chance.random() < 0.5
        when = f"20{chance.randint(10, 24)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        said = f"a {'good' if good else 'bad'} thing that number {k} has seen {chance.choice(('here', 'there'))} today"
        lines.append(f"{when},{said},{10 * good + chance.gauss(0, 1):.3f}")
    report = fit(write("\n".join(lines)), model="linear")
    names = [one["feature"] for one in report["coefficients"]]
    assert len(names) == len(set(names))
    assert {"when", "when, year sin", "when, week cos"} <= set(names)
    weights = {one["feature"]: one["weight"] for one in report["coefficients"]}
    assert weights["said: good"] > 0 > weights["said: bad"]


def test_other_models_have_none(write: Write, fit: Fit, line_table: Callable[..., str]) -> None:
    """A network has no weights that anybody could read."""
    assert "coefficients" not in fit(write(line_table()), model="mlp", epochs=1)
