"""Noise is neither a bad slice nor drift; what is planted is found, with its size."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from shared.specs import Task
from workers.core.drift import drift, drift_sentences, schema_differences
from workers.core.kinds import Kind
from workers.core.numbers import PLAIN
from workers.core.plots_given import drift_plot, slices_plot
from workers.core.profile import profile_of
from workers.core.slices import slices_sentence, worst_slices

COLUMNS = [
    {"name": "x", "kind": "number", "used": True},
    {"name": "w", "kind": "category", "used": True},
    {"name": "b", "kind": "boolean", "used": True},
    {"name": "left", "kind": "category", "used": False},
]
KINDS = {"x": Kind.NUMBER, "w": Kind.CATEGORY, "b": Kind.BOOLEAN}


def table(rows: int, seed: int, *, shift: float = 0.0, words: str = "abc", gaps: float = 0.1) -> pl.DataFrame:
    """A number with gaps, words and a boolean."""
    chance = np.random.default_rng(seed)
    x = [("" if chance.random() < gaps else f"{one:.4f}") for one in chance.normal(shift, 1, rows)]
    return pl.DataFrame({"x": x, "w": chance.choice(list(words), rows), "b": chance.choice(["yes", "No"], rows)})


def profile(frame: pl.DataFrame) -> dict:
    """What a train run writes of these rows."""
    columns = {name: profile_of(frame, name, kind, style=PLAIN, date=None) for name, kind in KINDS.items()}
    return {"rows": frame.height, "columns": columns}


STORED = SimpleNamespace(report={"columns": COLUMNS}, model=SimpleNamespace(target="t"))


def test_noise_is_no_bad_slice():
    """Over many samples in which no slice is worse, at most 5 % tell of any, within the chance of so many samples."""
    told = {Task.BINARY: 0, Task.REGRESSION: 0}
    for seed in range(200):
        frame, chance = table(300, seed), np.random.default_rng(seed)
        actual = chance.integers(2, size=300)
        second = np.where(chance.random(300) < 0.8, actual, 1 - actual)
        told[Task.BINARY] += worst_slices(frame, COLUMNS, Task.BINARY, actual, np.eye(2)[second])["worse"] > 0
        told[Task.REGRESSION] += (
            worst_slices(frame, COLUMNS, Task.REGRESSION, np.zeros(300), chance.exponential(size=300) ** 2)["worse"] > 0
        )
    assert max(told.values()) <= 17  # the 98th percentile of 200 samples at 5 %


def test_a_bad_slice_is_found(tmp_path):
    """Its rows, its score, the difference from the whole with an interval that holds it, and a plot."""
    frame, chance = table(600, 1), np.random.default_rng(1)
    actual, wrong = chance.integers(2, size=600), np.where((frame["w"] == "b").to_numpy(), 0.5, 0.1)
    said = np.where(chance.random(600) < wrong, 1 - actual, actual)
    found = worst_slices(frame, COLUMNS, Task.BINARY, actual, np.eye(2)[said])
    worst = found["worst"][0]
    assert (found["metric"], found["worse"], worst["slice"]) == ("accuracy", 1, "`w` is `b`")
    assert worst["rows"] == int((frame["w"] == "b").sum())
    assert worst["difference"] == pytest.approx(worst["value"] - found["whole"])
    assert worst["interval"][0] < -0.27 < worst["interval"][1] < 0
    assert slices_sentence(found).startswith(f"1 of {found['looked_at']} slices is worse than the other rows beyond")
    slices_plot(tmp_path / "slices.png", found, "$t")
    assert (tmp_path / "slices.png").read_bytes().startswith(b"\x89PNG")


def test_errors_that_grow_are_found_in_their_quarter():
    """Of a number, the quarter where a regression errs more; small slices are not looked at."""
    frame = table(400, 2, gaps=0.02)
    x = frame["x"].cast(pl.Float64, strict=False).fill_null(0.0).to_numpy()
    errors = np.random.default_rng(2).normal(size=400) * np.where(x > 1, 5, 1)
    found = worst_slices(frame, COLUMNS, Task.REGRESSION, np.zeros(400), errors)
    assert (found["metric"], found["worst"][0]["column"]) == ("mae", "x")
    assert found["worst"][0]["slice"].startswith("`x` is above ")
    assert found["worst"][0]["difference"] > 0
    assert found["looked_at"] == 4 + 3 + 2
    few = worst_slices(frame.head(15), COLUMNS, Task.REGRESSION, np.zeros(15), errors[:15])
    assert (few["looked_at"], slices_sentence(few)) == (0, "")


def test_equal_populations_do_not_drift():
    """Over many samples at most 5 % have a column whose corrected test says so; none is named as drifted by half."""
    alarms = named = 0
    for seed in range(100):
        then, now = profile(table(500, 2 * seed)), table(300, 2 * seed + 1)
        found = drift(STORED, now, then)
        alarms += any(one["p_corrected"] < 0.05 for one in found["columns"])
        named += bool(found["drifted"])
    assert alarms <= 11
    assert named <= 5


def test_the_distance_is_kolmogorovs():
    """From what was kept of the training rows: the distance and p of both samples, by SciPy, ties included."""
    for digits, rows in ((4, 3_000), (0, 400)):
        chance = np.random.default_rng(digits)
        then, now = np.round(chance.normal(0, 3, rows), digits), np.round(chance.normal(0.5, 3, 700), digits)
        frames = [pl.DataFrame({"x": [f"{value:.4f}" for value in one]}) for one in (then, now)]
        kept = {"rows": rows, "columns": {"x": profile_of(frames[0], "x", Kind.NUMBER, style=PLAIN, date=None)}}
        found = drift(STORED_X, frames[1], kept)["columns"][0]
        theirs = ks_2samp(then, now)
        assert found["ks"] == pytest.approx(theirs.statistic, abs=0.004)
        assert np.log(found["ks_p"]) == pytest.approx(np.log(theirs.pvalue), rel=0.15)


STORED_X = SimpleNamespace(report={"columns": COLUMNS[:1]}, model=SimpleNamespace(target="t"))


def test_drift_is_found_and_told(tmp_path):
    """A number that moved, another mix of words and more gaps: the PSI of two known shares is what its formula says."""
    then, now = table(2_000, 1), table(1_000, 2, shift=0.6, words="aab", gaps=0.3)
    found = drift(STORED, now, profile(then))
    by_name = {one["column"]: one for one in found["columns"]}
    assert set(found["drifted"]) == {"x", "w"}
    assert by_name["x"]["missing"] == pytest.approx(0.3, abs=0.05)
    assert by_name["b"]["drift"] == "none"
    shares = [[(frame["w"] == word).mean() or 0.5 / frame.height for word in "abc"] for frame in (then, now)]
    psi = sum((b - a) * np.log(b / a) for a, b in zip(*shares, strict=True))
    assert by_name["w"]["psi"] == pytest.approx(psi)
    drift_plot(tmp_path / "drift.png", found)
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
    schema = schema_differences(STORED, now, profile(then))
    assert drift_sentences(schema, found)[-1].startswith(
        "The data has drifted from the rows that the model learnt from"
    )


def test_too_few_rows_tell_no_drift():
    """Below thirty rows, and of a column without any value, nothing breaks and nothing is claimed."""
    assert drift(STORED, table(20, 1), profile(table(500, 2))) is None
    empty = table(100, 1, gaps=1.1)
    found = drift(STORED, empty, profile(table(500, 2)))
    assert next(one for one in found["columns"] if one["column"] == "x")["drift"] == "strong"
    assert drift(STORED, table(100, 3), profile(empty))["columns"][0]["column"] == "x"
