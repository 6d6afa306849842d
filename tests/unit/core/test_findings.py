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
    assert findings["copies"].sentence == (
        "400 of 400 rows equal another row in every feature, 200 of them surplus copies; equal rows are kept on one "
        "side of the split."
    )
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


def test_rare_classes_of_several_are_said(found):
    """A class of a few rows, or of less than a hundredth, can hardly be learnt or judged."""
    words = ["b" if k % 100 == 1 else "c" if k % 50 == 0 else "a" for k in range(ROWS)]
    assert found({"x": _noise(0), "t": words})["imbalance"].sentence == (
        "2 of 3 classes of `t` have few of the 400 rows: `b` (4), `c` (8). Scores of so few rows say little, and "
        "accuracy hides them."
    )
    assert "imbalance" not in found({"x": _noise(0), "t": _coin(1, words="abc")})


@pytest.mark.parametrize("regression", [False, True])
def test_a_copy_of_the_target_is_a_leak_in_few_rows_too(found, regression):
    """Below the rows that a score needs, only what tells the target without a fault is said."""
    y = [k * 7 % 31 + 0.5 for k in range(30)] if regression else _coin(3, 30)
    copy = [2 * v for v in y] if regression else [{"a": "no", "b": "paid"}[v] for v in y]
    sentence = found({"x": _noise(5, 30), "copy": copy, "t": y})["leak"].sentence
    assert sentence.startswith(
        "`copy` tells `t` without a fault in all 24 rows that are not tested; if it is not known"
    )
    assert "leak" not in found({"x": _noise(5, 30), "z": _coin(6, 30), "t": y})


def test_drift_along_a_sorted_number_is_time_and_no_leak(found):
    """Years and steps order rows as dates do; a file that was sorted by its target says nothing of time."""
    year, noise = [1900 + k // 4 for k in range(ROWS)], [float(v) for v in _noise(7)]
    target = [f"{k / 20 + v:.4f}" for k, v in enumerate(noise)]
    findings = found({"year": year, "x": _noise(1), "t": target})
    assert "leak" not in findings
    assert "and the mean of `t` drifts" in findings["time_order"].sentence
    assert findings["time_order"].sentence.endswith("say time=year.")
    assert "leak" in found({"total": list(range(ROWS)), "x": _noise(1), "t": [2 * k + 1 for k in range(ROWS)]})
    assert "time_order" not in found({"year": year, "x": _noise(1), "t": _noise(2)})


@pytest.mark.parametrize("day", [False, True])
def test_a_file_sorted_by_its_class_is_a_leak_and_no_time(found, day):
    """What numbers its rows, or dates them, tells the class; later rows of one class would test nothing."""
    order = [f"{2000 + k // 336}-{k // 28 % 12 + 1:02d}-{k % 28 + 1:02d}" if day else k for k in range(ROWS)]
    findings = found({"n": order, "x": _noise(1), "t": ["a" if k < 150 else "b" for k in range(ROWS)]})
    assert findings["leak"].sentence.startswith("`n` alone predicts `t` (cross-validated AUC 1.000)")
    assert "time_order" not in findings


def test_a_file_nearly_sorted_by_its_class_is_sorted(found):
    """A few rows out of place make no drift of it; a share that grows does."""
    number, chance = list(range(ROWS)), np.random.default_rng(0).random(ROWS)
    nearly = ["ab"[(k < 150) ^ (k in (70, 350))] for k in number]
    assert set(found({"n": number, "x": _noise(1), "t": nearly})) == {"leak"}
    grows = ["ab"[int(chance[k] < 0.1 + 0.8 * k / ROWS)] for k in number]
    assert set(found({"n": number, "x": _noise(1), "t": grows})) == {"time_order"}


def _days(rows: int = ROWS) -> list[str]:
    """A day for each row, in no order."""
    return [f"{2020 + k // 336}-{k // 28 % 12 + 1:02d}-{k % 28 + 1:02d}" for k in (k * 7 % rows for k in range(rows))]


def test_a_drift_along_dates_in_no_order_proposes_a_split(found):
    """Whatever the order of the file; a date that comes with another one is not said again."""
    place = [k * 7 % ROWS for k in range(ROWS)]
    drift = [f"{place[k] / 100 + float(v):.4f}" for k, v in enumerate(_noise(7))]
    finding = found({"day": _days(), "paid": _days(), "x": _noise(1), "t": drift})["time_drift"]
    assert finding.sentence == (
        "The rows are not in the order of `day`, and the mean of `t` drifts along it (1.49 at first, 3.5 in the "
        "latest fifth): if it says when a row came about, a model that is to predict later rows is tested honestly on "
        "the latest; say time=day. If it is another date, one of birth say, leave it so."
    )
    assert "time_drift" not in found({"date_of_birth": _days(), "x": _noise(1), "t": drift})
    parted = ["ab"[place[k] > 250] for k in range(ROWS)]
    assert set(found({"day": _days(), "x": _noise(1), "t": parted})) == {"leak"}


@pytest.mark.parametrize("kind", ["season", "weak", "none"])
def test_dates_without_a_clear_drift_are_left_alone(found, kind):
    """A season comes back, and a weak trend makes a date a feature like any other."""
    place, noise = [k * 7 % ROWS for k in range(ROWS)], [float(v) for v in _noise(7)]
    target = {
        "season": [3 * np.sin(k / 336 * 2 * np.pi) + v for k, v in zip(place, noise, strict=True)],
        "weak": [k / 400 + v for k, v in zip(place, noise, strict=True)],
        "none": noise,
    }[kind]
    assert found({"day": _days(), "x": _noise(1), "t": [f"{v:.4f}" for v in target]}) == {}


def test_a_word_of_a_text_can_be_the_leak(found):
    """One word for both of two classes, or one for each of several; words that tell together are what texts are for."""
    y, filler = _coin(3, words="abc"), _coin(8, words="klmnop")
    status = {"a": "won", "b": "lost", "c": "open"}
    texts = [f"case {k} of region {f}: {status[v]} today" for k, (v, f) in enumerate(zip(y, filler, strict=True))]
    three = found({"note": texts, "x": _noise(1), "t": y})["leak"]
    assert three.sentence == (
        "The words 'won', 'lost', 'open' in `note` alone predict `t` (cross-validated AUC 1.000); if the text is not "
        "known before the target is, leave it out with drop=note."
    )
    two = found({"note": texts, "x": _noise(1), "t": ["yes" if v == "a" else "no" for v in y]})["leak"]
    assert two.sentence.startswith("The word 'won' in `note` alone predicts `t` (cross-validated AUC 1.000)")
    number = [f"{100 * (v == 'a') + float(e):.4f}" for v, e in zip(y, _noise(2), strict=True)]
    assert found({"note": texts, "x": _noise(1), "t": number})["leak"].facts["words"] == ["won"]
    chance = Random(1)
    hints = [f"case {k} of {' '.join(chance.choice((v, v, *'abc')) for _ in range(5))} here" for k, v in enumerate(y)]
    assert found({"note": hints, "x": _noise(1), "t": y}) == {}
    rare = ["yes" if k in (7, 9, 70, 90) else "no" for k in range(ROWS)]
    assert "leak" not in found({"note": texts, "x": _noise(1), "t": rare})


def test_cells_that_alone_decide_are_said(found):
    """In a feature and in the target, with their rows; no more than five."""
    x, y = _noise(1), _noise(2)
    x[7], y[30], y[2] = "1e30", "123456", "-99000"
    findings = found({"x": x, "z": _noise(3), "t": _noise(2)})
    others = sorted(map(float, x))[:-1]
    assert findings["outlier"].sentence == (
        f"`x`: row 8 holds 1e+30, so far beyond the others ({others[0]:.6g} to {others[-1]:.6g}) that a linear model "
        "or a network sees little else of the column; correct such cells, or leave them empty."
    )
    finding = found({"x": _noise(1), "z": _noise(3), "t": y})["outlier"]
    assert finding.facts["rows"] == [3, 31]
    assert finding.sentence.startswith("`t`: rows 3 and 31 hold -99000 and the like, so far beyond the others (")
    assert "nothing else counts in what is learnt and how it scores; correct such cells" in finding.sentence


@pytest.mark.parametrize("seed", range(6))
def test_heavy_tails_and_rare_amounts_are_no_outliers(found, seed):
    """Incomes have large values of all sizes; an amount in the few rows that have one may be anything."""
    chance = np.random.default_rng(seed)
    income, amount = np.exp(2 * chance.normal(size=ROWS)), np.zeros(ROWS)
    amount[chance.choice(ROWS, 12, replace=False)] = np.exp(2 * chance.normal(size=12))
    table = {"income": income, "amount": amount, "tail": chance.standard_t(2, ROWS)}
    assert "outlier" not in found({**{k: [f"{v:.5g}" for v in column] for k, column in table.items()}, "t": _coin(2)})


def test_rows_of_one_block_propose_groups(found):
    """Whatever the column is called: its words stand together, and rows of one word are alike in the target."""
    site = [f"P{k // 5}" for k in range(ROWS)]
    alike = [f"{k // 5 * 7 % 11 + float(v) / 5:.3f}" for k, v in enumerate(_noise(3))]
    assert found({"site": site, "x": _noise(1), "t": alike})["group_rows"].sentence.endswith("say group=site.")
    assert "group_rows" not in found({"site": site, "x": _noise(1), "t": _noise(4)})


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
    """Where all columns are numbers, those of the wrong size tell; a mere gap does not."""
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
    assert "2 rows have cells under the wrong column, first in row 14, 51: in row 14 `x" in finding.sentence


_MOVES = {
    "to the left": lambda row: [*row[1:], ""],
    "to the right": lambda row: ["", *row[:-1]],
    "around": lambda row: [*row[1:], row[0]],
    "around to the right": lambda row: [row[-1], *row[:-1]],
    "from the second on": lambda row: [*row[:1], "", *row[1:-1]],
}


def _numeric_table() -> list[list[str]]:
    chance = np.random.default_rng(5)
    return [
        [f"{chance.normal(m, s):.3f}" for m, s in ((10, 1), (1e3, 50), (0.5, 0.1), (-200, 10), (40, 3))]
        for _ in range(ROWS)
    ]


def _columns_of(rows: list[list[str]]) -> dict[str, list[str]]:
    return {name: list(cells) for name, cells in zip("abcdy", zip(*rows, strict=True), strict=True)}


@pytest.mark.parametrize("move", _MOVES.values(), ids=_MOVES)
def test_a_half_whose_columns_shifted_is_found(found, move):
    """In a table of nothing but numbers, its target among the columns that moved."""
    rows = _numeric_table()
    moved = [move(row) if k >= ROWS // 2 else row for k, row in enumerate(rows)]
    finding = found(_columns_of(moved), target="y")["columns_shifted"]
    assert finding.facts == {"rows": 200, "first_rows": [201, 202, 203, 204, 205]}
    assert finding.sentence.startswith(
        "Rows 201 to 400 have cells that stand one column beside those of the other rows"
    )


@pytest.mark.parametrize("move", list(_MOVES.values())[:-1], ids=list(_MOVES)[:-1])
def test_the_hundredth_row_that_shifted_is_found(found, move):
    """Few rows are told from what most rows hold."""
    rows = [move(row) if k % 100 == 37 else row for k, row in enumerate(_numeric_table())]
    finding = found(_columns_of(rows), target="y")["columns_shifted"]
    assert finding.facts == {"rows": 4, "first_rows": [38, 138, 238, 338]}


@pytest.mark.parametrize("seed", range(12))
def test_tables_that_drift_or_have_outliers_are_not_shifted(found, seed):
    """Sorted rows, heavy tails, rows that are large in every column and words of one alphabet are no shift."""
    chance, rows = np.random.default_rng(seed), ROWS
    size, when = chance.normal(size=rows), np.arange(rows) / rows
    make = [
        lambda k: np.exp(2 * size + 0.3 * chance.normal(size=rows) + k),
        lambda k: chance.normal(size=rows) + 6 * when * (-1) ** k,
        lambda k: chance.standard_t(1.5, rows) * 10.0 ** (k - 3),
        lambda _: chance.choice([1, 2, 5], rows),
    ][seed % 4]
    table = {f"x{k}": [f"{value:.4g}" for value in make(k)] for k in range(6)}
    assert "columns_shifted" not in found({**table, "y": _noise(seed)})


def test_real_tables_are_not_shifted_until_they_are(shared_data, write):
    """No alarm on a real table, nor on one that is sorted; an alarm where a cell was lost in a half or a hundredth."""
    lines = (shared_data / "wine_red.csv").read_text().splitlines()
    tables = {
        "as it is": lines,
        "sorted": [lines[0], *sorted(lines[1:])],
        "half": [line if k < 800 else f"{line.partition(';')[2]};" for k, line in enumerate(lines)],
        "few": [line if not k or k % 100 else f"{line.partition(';')[2]};" for k, line in enumerate(lines)],
    }
    spec = TrainSpec(dataset="d", target="quality")
    met = {
        name: [finding.facts["rows"] for finding in understand_dataset(write("\n".join(table)), spec).findings
               if finding.code == "columns_shifted"]
        for name, table in tables.items()
    }  # fmt: skip
    assert met == {"as it is": [], "sorted": [], "half": [800], "few": [15]}


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
