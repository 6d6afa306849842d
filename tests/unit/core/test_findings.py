"""What a person is warned of before trusting a model: leaks, copies, time, groups, shifted rows."""

import time
from random import Random

import numpy as np
import pytest

from shared.specs import TrainSpec
from workers.core.dataset import understand_dataset
from workers.core.leakage import single_score

ROWS = 400


@pytest.fixture
def found(write):
    """Findings of a table by their code; its columns are lists of cells."""

    def look(columns: dict[str, list], **words):
        rows = zip(*columns.values(), strict=True)
        text = "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"
        data = understand_dataset(write(text), TrainSpec(dataset="d", **words))
        assert all(finding.sentence in data.warnings for finding in data.findings)
        return {finding.code: finding for finding in data.findings}

    return look


def _noise(seed: int, rows: int = ROWS) -> list[str]:
    return [f"{value:.4f}" for value in np.random.default_rng(seed).normal(size=rows)]


def _coin(seed: int, rows: int = ROWS, words: str = "ab") -> list[str]:
    chance = Random(seed)
    return [chance.choice(words) for _ in range(rows)]


def test_a_quiet_table_has_no_findings(found):
    """Nothing is said where nothing is to be said."""
    assert found({"x": _noise(0), "z": _noise(1), "t": _coin(2)}) == {}


@pytest.mark.parametrize("kind", ["number", "word", "nonlinear", "regression", "multiclass"])
def test_a_column_that_alone_predicts_the_target_is_a_leak(found, kind):
    """Whatever its kind and however it does so; the remedy is named, the column stays."""
    y = _coin(3, words="abc" if kind == "multiclass" else "ab")
    noise = [float(x) / 1000 for x in _noise(4)]
    leak = {
        "number": ["abc".index(v) + n for v, n in zip(y, noise, strict=True)],
        "word": [{"a": "no", "b": "claimed"}[v] if v in "ab" else v for v in y],
        "nonlinear": ["abc".index(v) + 2 * (k % 5) for k, v in enumerate(y)],
        "multiclass": ["abc".index(v) + n for v, n in zip(y, noise, strict=True)],
        "regression": noise,
    }[kind]
    target = [f"{value * 7:.6f}" for value in leak] if kind == "regression" else y
    finding = found({"x": _noise(5), "paid_out": leak, "t": target})["leak"]
    assert finding.column == "paid_out"
    measure = "R2" if kind == "regression" else "AUC"
    assert finding.sentence.startswith(f"`paid_out` alone predicts `t` (cross-validated {measure} ")
    assert "leave it out with drop=paid_out." in finding.sentence
    assert finding.facts[measure.lower()] > 0.98


def test_a_cell_that_is_missing_can_be_the_leak(found):
    """A date of the outcome that is only there for one outcome, say."""
    y = _coin(3)
    noted = [f"{k * 37 % 101}" if v == "b" else "" for k, v in enumerate(y)]
    assert (
        "Whether `noted` is missing alone predicts `t`"
        in found({"x": _noise(5), "noted": noted, "t": y})["leak_missing"].sentence
    )


def test_a_name_like_the_targets_makes_a_good_column_suspicious(found):
    """price_last_year beside price; a column that says as much under another name is just good."""
    y = np.random.default_rng(0).normal(size=ROWS)
    close = [f"{v:.4f}" for v in y + np.random.default_rng(1).normal(size=ROWS) * 0.22]
    target = [f"{v:.4f}" for v in y]
    said = found({"x": _noise(5), "price_old": close, "price": target})["leak_name"].sentence
    assert said.startswith("`price_old` is named like `price` and predicts it well (cross-validated R2 0.9")
    assert "leak_name" not in found({"x": _noise(5), "other": close, "price": target})


def test_single_scores_are_honest_and_fast():
    """Chance is no score, however many words a column has; a hundred columns of 20,000 rows take at most a second."""
    chance = np.random.default_rng(0)
    y, folds = chance.integers(0, 2, 20_000), np.arange(20_000) % 5
    assert single_score(chance.integers(0, 1000, 20_000), folds, y, 2) == pytest.approx(0.5, abs=0.03)
    assert single_score(np.arange(20_000), folds, y, 2) == pytest.approx(0.5, abs=0.03)
    codes = [chance.integers(0, 64, 20_000) for _ in range(100)]
    started = time.process_time()
    for column in codes:
        single_score(column, folds, y, 2)
    assert time.process_time() - started < 1.0


def test_copies_and_contradictions_are_counted(found):
    """Equal features with different targets bound what any model can reach."""
    x = [str(k // 2) for k in range(ROWS)]
    findings = found({"x": x, "t": ["ab"[k % 2] if k < 80 else "a" if k < 200 else "b" for k in range(ROWS)]})
    assert findings["copies"].sentence.startswith("200 of 400 rows equal another row in every feature;")
    assert findings["contradictions"].sentence == (
        "80 rows have equal features but different `t`: no model of these features can be right in more than 90.0% of "
        "all rows."
    )
    numbers = found({"x": x, "t": [k // 2 + (k % 2) * 50.5 for k in range(ROWS)]})["contradictions"]
    assert "400 rows have equal features but different `t`: no model of these features can explain more than 8" in (
        numbers.sentence
    )


def test_a_rare_class_is_said(found):
    """Accuracy says little where one class is nearly everything."""
    sentence = found({"x": _noise(0), "t": ["yes" if k % 40 == 0 else "no" for k in range(ROWS)]})["imbalance"].sentence
    assert sentence.startswith("`yes` is the class of 10 of 400 rows: always saying `no` is right in 97.5%")


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_rows_in_the_order_of_time_propose_a_split(found, order):
    """Also when the newest comes first; a drift of the target is said with it, and time= makes it quiet."""
    days = [f"2024-{k // 34 + 1:02d}-{k % 28 + 1:02d}" for k in range(ROWS)]
    days = sorted(days, reverse=order == "descending")
    drift = [f"{float(v) + (k if order == 'ascending' else -k) / 50:.4f}" for k, v in enumerate(_noise(7))]
    table = {"day": days, "x": _noise(1), "t": drift}
    finding = found(table)["time_order"]
    assert finding.facts["order"] == order
    assert "and the mean of `t` drifts" in finding.sentence
    assert finding.sentence.endswith("say time=day.")
    assert "time_order" not in found(table, time="day")
    shuffled = [days[k * 7 % ROWS] for k in range(ROWS)]
    assert "time_order" not in found({**table, "day": shuffled})


def test_customers_with_several_rows_propose_groups(found):
    """Only where rows of one customer are alike in the target."""
    people = [f"c{k % 80}" for k in range(ROWS)]
    alike = ["ab"[k % 80 % 2] for k in range(ROWS)]
    sentence = found({"customer_id": people, "x": _noise(1), "t": alike})["group_rows"].sentence
    assert sentence.startswith("Rows with the same `customer_id` have similar `t`")
    assert sentence.endswith("say group=customer_id.")
    assert "group_rows" not in found({"customer_id": people, "x": _noise(1), "t": _coin(4)})


def _shifted_table(rows, shift):
    chance, lines = Random(1), []
    for k in range(ROWS):
        row = [chance.choice(("Rome", "Paris")), str(chance.randint(20, 60)), chance.choice(("red", "blue")), f"{k}.5"]
        if k in rows:
            row = [*row[1:], ""] if shift < 0 else ["", *row[:-1]]
        lines.append(row)
    return dict(zip(("city", "age", "color", "size"), map(list, zip(*lines, strict=True)), strict=True))


@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize("rows", [(13, 200), range(0, ROWS, 3)])
def test_shifted_rows_are_found(found, shift, rows):
    """A row whose cells moved by one column never trains without a warning, be they few or many."""
    finding = found({**_shifted_table(rows, shift), "t": _coin(2)})["columns_shifted"]
    assert finding.facts == {"rows": len(rows), "first_rows": [row + 1 for row in list(rows)[:5]]}
    assert "cells under the wrong column, first in row" in finding.sentence
    assert ", which fits `" in finding.sentence


def test_shifted_numbers_are_found(found):
    """Where all columns are numbers, a missing first cell and numbers of the wrong size tell; a mere gap does not."""
    chance = np.random.default_rng(0)
    columns = [chance.normal(10.0**k, 10.0**k / 10, ROWS).round(4).astype(str) for k in range(5)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    gap = [["", *row[1:]] if k == 70 else row for k, row in enumerate(rows)]
    moved = [["", *row[:-1]] if k in (13, 50) else row for k, row in enumerate(gap)]
    names = [f"x{k}" for k in range(5)]
    quiet, loud = ({**dict(zip(names, zip(*t, strict=True), strict=True)), "t": _coin(2)} for t in (gap, moved))
    assert "columns_shifted" not in found(quiet)
    finding = found(loud)["columns_shifted"]
    assert finding.facts["first_rows"] == [14, 51]
    assert "`x0` is missing, and the numbers fit the columns beside theirs" in finding.sentence


def test_rows_with_strange_words_are_not_shifted(found):
    """What fits no neighbour is just not a number: each column says so, with the first row and its cell."""
    table = _shifted_table((), 1)
    table["age"][13] = table["size"][13] = "unknown"
    findings = found({**table, "t": _coin(2)})
    assert "columns_shifted" not in findings
    assert findings["cells_unreadable"].sentence == (
        "`size`: 1 cell is no number and counts as missing, first in row 14: 'unknown'."
    )


def test_a_column_that_hardly_varies_is_used_and_said(found):
    """One value nearly everywhere is no reason to leave a column out."""
    finding = found({"x": ["1" if k else "2" for k in range(ROWS)], "z": _noise(1), "t": _coin(2)})["hardly_varies"]
    assert finding.sentence == "`x` has the same value in 399 of 400 rows; it is used all the same."
