"""What a person says of a column wins over what its cells look like."""

import numpy as np
import polars as pl
import pytest

from shared.errors import RunFailed
from shared.specs import Task, TrainSpec
from workers.core.columns import told_kinds, understand
from workers.core.dataset import understand_dataset
from workers.core.encode import InputType, encode, fit_features
from workers.core.kinds import Kind
from workers.core.target import understand_target

N = 120


@pytest.mark.parametrize(
    ("word", "cells", "kind"),
    [
        ("category", [str(k % 7) for k in range(N)], Kind.CATEGORY),
        ("category", [f"2024-01-{k % 28 + 1:02d}" for k in range(N)], Kind.CATEGORY),
        ("text", [("good work", "bad work")[k % 2] for k in range(N)], Kind.TEXT),
        ("date", [str(1_704_412_800 + 3600 * k) for k in range(N)], Kind.DATE),
        ("date", [f"{k % 28 + 1}.1.2024" if k % 3 else "soon" for k in range(N)], Kind.DATE),
        ("number", [f"{k},5" if k % 3 else "lots" for k in range(N)], Kind.NUMBER),
        ("number", [f"{k}" for k in range(N)], Kind.NUMBER),
    ],
)
def test_each_kind_can_be_told(write, word, cells, kind):
    """The column is used as told, its reason says so, and the rows stand where they stood."""
    text = "customer_id;x;t\n" + "\n".join(f"{cell};{k % 11};{'ab'[k % 2]}" for k, cell in enumerate(cells)) + "\n"
    data = understand_dataset(write(text), TrainSpec(dataset="d", **{word: ("customer_id",)}))
    column = data.columns[0]
    assert (column.kind, column.used) == (kind, True)
    assert column.reason.startswith(f"told with {word}=: ")
    assert next(f for f in data.features if f.name == "customer_id").type is InputType.STRING or kind is Kind.NUMBER
    plain = understand_dataset(write(text), TrainSpec(dataset="d"))
    np.testing.assert_array_equal(data.parts, plain.parts)


@pytest.mark.parametrize(
    ("word", "cells", "code", "part"),
    [
        (
            "date",
            ["01.02.2024", *["soon"] * (N - 1)],
            "date_unreadable",
            "column that date= names must be dates of one format; in `x` 119 of 120 are none, first in row 2: 'soon'.",
        ),
        (
            "date",
            ["soon"] * (N - 1) + ["later"],
            "date_unreadable",
            "in `x` 120 of 120 are none, first in row 1: 'soon'.",
        ),
        (
            "number",
            ["12", *["12 EUR (net)", "?"] * (N // 2)][:N],
            "number_unreadable",
            "numbers of one format; in `x` 60 of 61 are none, first in row 2: '12 EUR (net)'.",
        ),
        (
            "text",
            [f"w{k} v{k}" for k in range(N)],
            "text_unreadable",
            "hardly a word of `x` occurs in five rows, such as those of 'w0 v0'.",
        ),
    ],
)
def test_what_cannot_be_read_as_told_is_refused(word, cells, code, part):
    """The rule, how many cells break it, the first of them with its row, and what to do."""
    frame = pl.DataFrame({"x": cells, "t": ["a", "b"] * (N // 2)})
    with pytest.raises(RunFailed) as caught:
        understand(frame, target="t", told={"x": Kind(word)})
    assert caught.value.code == code
    assert part in str(caught.value)
    assert caught.value.problems[0].hint


def test_wrong_words_are_told_all_at_once():
    """Unknown columns with the nearest name, the target, and columns told twice."""
    spec = TrainSpec(dataset="d", category=("colour", "t"), date=("x",), number=("x", "zzzz"), text=("z",))
    with pytest.raises(RunFailed) as caught:
        told_kinds(spec, ["color", "x", "t"], "t")
    codes = [problem.code for problem in caught.value.problems]
    assert codes == [
        "category_unknown", "kind_of_target", "text_unknown", "kind_told_twice", "number_unknown",
    ]  # fmt: skip
    said = str(caught.value)
    assert "category= must name columns of the file; `colour` is none of them. Did you mean `color`?" in said
    assert "category= is for features; `t` is the target. Say task=regression or task=multiclass instead." in said
    assert "A column has one kind; `x` is named by date= and by number=." in said


@pytest.mark.parametrize(
    ("name", "cells", "kind", "reason"),
    [
        ("zip", [f"{10_000 + k % 12}" for k in range(N)], Kind.CATEGORY, "its name says that its numbers are codes"),
        ("store_id", [str(k % 12) for k in range(N)], Kind.CATEGORY, "its name says that its numbers are codes"),
        ("area", [f"0{k % 12:02d}" for k in range(N)], Kind.CATEGORY, "its numbers start with zeros, as codes do"),
        ("grade", [str(k % 5) for k in range(N)], Kind.NUMBER, "all 120 cells are numbers"),
        ("zip", [f"{k}.5" for k in range(N)], Kind.NUMBER, "all 120 cells are numbers"),
        ("flag", ["Ja", "NEIN"] * (N // 2), Kind.BOOLEAN, "its cells are ja or nein"),
        ("flag", ["on", "Off"] * (N // 2), Kind.BOOLEAN, "its cells are off or on"),
        ("flag", ["0", "1"] * (N // 2), Kind.NUMBER, "all 120 cells are numbers"),
        ("note", [f"the {k} {('good', 'bad')[k % 2]}" for k in range(N)], Kind.TEXT, "share words such as 'bad'"),
        (
            "seen",
            [f"{k % 28 + 1}/{k % 12 + 1}/2024" for k in range(N)],
            Kind.DATE,
            "(day, month, year with '/' between)",
        ),
        ("open", [f"{k % 24}:30" for k in range(N)], Kind.NUMBER, "all 120 cells are times (time of day)"),
    ],
)
def test_reasons(name, cells, kind, reason):
    """A kind comes with the evidence for it."""
    frame = pl.DataFrame({name: cells, "t": ["a", "b"] * (N // 2)})
    (column,) = understand(frame, target="t")
    assert column.kind is kind
    assert reason in column.reason
    assert column.used


def test_a_word_that_only_the_test_part_has_is_no_word_of_a_vocabulary(write):
    """Neither of a category nor of a text; both keep their most frequent words."""
    lines = [f"{'abc'[k % 3]},the {('good', 'bad')[k % 2]} one,{k},{'xy'[k // 7 % 2]}" for k in range(N)]
    data = understand_dataset(
        write("word,said,z,t\n" + "\n".join(lines) + "\n"), TrainSpec(dataset="d", text=("said",))
    )
    words = {feature.name: feature.words for feature in data.features}
    assert words["word"] == ("a", "b", "c")
    assert words["said"] == ("bad", "good")


@pytest.mark.parametrize("cells", [["", "NA", "?"], ["one", "two", "three"], ["same", "same", "same"]])
def test_a_text_has_a_word_to_count_whatever_the_rows_to_learn_from_hold(cells):
    """The rows of the test part may be the only ones with words that they share."""
    frame = pl.DataFrame({"said": [*cells, *["good work", "bad work"] * 20], "t": ["a"] * 43})
    columns = understand(frame, target="t", told={"said": Kind.TEXT})
    (feature,) = fit_features(frame, columns, np.arange(43) < 3)
    assert feature.words
    assert encode(frame, [feature]).counts.shape == (43, len(feature.words))


def test_a_regression_reads_numbers_as_people_write_them():
    """The values are plain numbers, and what was read is said."""
    cells = [f"${1000 + k:,}.50" for k in range(40)] + ["", "n.a."]
    target = understand_target(pl.DataFrame({"price": cells}), "price", None)
    assert target.task is Task.REGRESSION
    np.testing.assert_array_equal(target.values[:2], [1000.5, 1001.5])
    assert int(target.usable.sum()) == 40
    said = (
        "Target: the numbers of `price` are written with a comma between thousands, `$`; predictions are plain numbers."
    )
    assert said in target.inferred
    assert target.warnings[0] == "1 row was set aside: its target `price` is missing."
    assert target.warnings[1] == "1 row was set aside: its `price` is no number, first in row 42: 'n.a.'."


@pytest.mark.parametrize("told", [None, Task.REGRESSION])
def test_a_target_that_is_half_text_is_refused_with_its_first_cell(told):
    """How many cells, the first row and its cell, also where the task was to be inferred."""
    cells = [f"{k}.5" if k % 4 else "12 EUR (net)" for k in range(1, 1001)]
    with pytest.raises(RunFailed) as caught:
        understand_target(pl.DataFrame({"price": cells}), "price", told)
    assert caught.value.code == "target_not_numeric"
    assert "target `price` is text in 250 of 1,000 rows, first at row 4: '12 EUR (net)'." in str(caught.value)
    assert "Clean it or pick another target" in caught.value.problems[0].hint
