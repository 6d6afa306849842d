"""Columns, target, task and split: what is decided about a table, and how it is said."""

import numpy as np
import polars as pl
import pytest

from shared.errors import RunFailed
from shared.specs import LossName, Task, TrainSpec
from workers.core.columns import Kind, understand
from workers.core.dataset import understand_dataset
from workers.core.encode import InputType, fit_features
from workers.core.reading import read_table
from workers.core.split import SET_ASIDE, TEST, TRAIN, VALIDATION
from workers.core.target import find_target, understand_target

N = 40
UUIDS = [f"{k:08x}-0000-4000-8000-000000000000" for k in range(N)]


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("x", [str(k + 1) for k in range(N)], Kind.NUMBER),  # sequential and unique, and a feature all the same
        ("price", [f"{k}.5" for k in range(N)], Kind.NUMBER),
        ("id", [f"{k}.5" for k in range(N)], Kind.NUMBER),  # fractions identify nothing
        ("mixed", [str(k) if k else "lots" for k in range(N)], Kind.NUMBER),
        ("size", ["1", "NA", "?", "", "null"] * 8, Kind.NUMBER),
        ("id", [str(k + 1) for k in range(N)], Kind.ID),
        ("customerID", [f"c{k}" for k in range(N)], Kind.ID),
        ("order_id", [f"c{k}" for k in range(N)], Kind.ID),
        ("store_id", [str(k % 4) for k in range(N)], Kind.CATEGORY),  # repeats: names of something, no identifier
        ("key", UUIDS, Kind.ID),
        ("index", [str(k) for k in range(N)], Kind.ID),
        ("paid", ["10", "12"] * 20, Kind.NUMBER),  # ends with "id" but is another word
        ("active", ["Yes", "no"] * 20, Kind.BOOLEAN),
        ("flag", ["true", "FALSE", ""] * 13 + ["true"], Kind.BOOLEAN),
        ("color", ["red", "green"] * 20, Kind.CATEGORY),
        ("answer", ["yes", "no", "maybe", "no"] * 10, Kind.CATEGORY),
        ("day", [f"2024-01-{k % 28 + 1:02d}" for k in range(N)], Kind.DATE),
        ("moment", [f"2024-01-{k % 28 + 1:02d} 10:{k:02d}" for k in range(N)], Kind.DATE),
        ("comment", [f"word {k}" for k in range(N)], Kind.TEXT),
        ("phone", [f"0{30000 + 7 * k}" for k in range(N)], Kind.ID),
        ("hour", [f"{k % 24:02d}" for k in range(N)], Kind.NUMBER),
        ("depot", [f"00{k % 20:02d}" for k in range(N)], Kind.CATEGORY),
        ("account", [str(64711505833216990 + 10**13 * k) for k in range(N)], Kind.ID),
        ("debtor", [str(64711505833216990 + 10**13 * (k % 20)) for k in range(N)], Kind.CATEGORY),
        ("stars", [str(10 ** (k % 20) + k) for k in range(N)], Kind.NUMBER),  # large numbers among small ones
        ("made", [str(17 * 10**17 + k * 10**15) for k in range(N)], Kind.NUMBER),  # nanoseconds
        ("same", ["a"] * N, Kind.CONSTANT),
        ("empty", ["", "NA"] * 20, Kind.CONSTANT),
    ],
)
def test_kinds(name, cells, kind):
    """A column's kind follows from its cells, and from its name only where that says identifier."""
    frame = pl.DataFrame({name: cells, "other": ["1", "2"] * 20, "t": ["a", "b"] * 20})
    column = understand(frame, target="t", drop=(), unnamed=frozenset())[0]
    assert column.kind is kind
    assert column.reason
    assert column.used == (kind in {Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY, Kind.DATE})


def test_an_identifier_that_is_the_last_feature_is_used():
    """A model of an identifier is poor, but better than no model."""
    frame = pl.DataFrame({"id": [str(k) for k in range(N)], "t": ["a", "b"] * 20})
    (column,) = understand(frame, target="t", drop=(), unnamed=frozenset())
    assert column.used
    assert column.kind is Kind.NUMBER
    assert "no other feature is left" in column.reason


@pytest.mark.parametrize(
    ("names", "words", "target", "said"),
    [
        (["Target", "a", "b"], {}, "Target", "by its name"),
        (["a", "CLASS", "b"], {}, "CLASS", "by its name"),
        (["a", "b", "species"], {}, "species", "the last column; change it with target=COLUMN."),
        (["a", "b", "c"], {"target": "a"}, "a", None),
    ],
)
def test_the_target_is_told_or_inferred(names, words, target, said):
    """What was inferred is said with the words that change it."""
    found, inferred = find_target(names, TrainSpec(dataset="d", **words))
    assert found == target
    assert (said in inferred[0]) if said else not inferred


def test_all_wrong_names_are_told_at_once():
    """An unknown target and unknown words in drop= come as one error with the nearest names."""
    with pytest.raises(RunFailed) as caught:
        find_target(["Species", "island", "sex"], TrainSpec(dataset="d", target="specis", drop=("iland", "zzzz")))
    assert [problem.code for problem in caught.value.problems] == ["target_unknown", "drop_unknown", "drop_unknown"]
    assert "`specis` is none of them. Did you mean `Species`?" in str(caught.value)
    assert "The columns are `Species`, `island`, `sex`." in str(caught.value)


def test_the_target_cannot_be_dropped():
    """drop= of the target is an error, also when the target was inferred."""
    with pytest.raises(RunFailed, match="drop= names `c`, which is the target") as caught:
        find_target(["a", "c"], TrainSpec(dataset="d", drop=("c",)))
    assert caught.value.code == "target_dropped"


@pytest.mark.parametrize(
    ("cells", "told", "task", "classes"),
    [
        (["0.5", "1.25"] * 15, None, Task.REGRESSION, ()),
        ([str(k) for k in range(30)], None, Task.REGRESSION, ()),
        (["1", "0"] * 15, None, Task.BINARY, ("0", "1")),
        (["10", "9", "2"] * 10, None, Task.MULTICLASS, ("2", "9", "10")),
        ([" b ", "a", "c"] * 10, None, Task.MULTICLASS, ("a", "b", "c")),
        (["1", "2", "3"] * 10, Task.REGRESSION, Task.REGRESSION, ()),
    ],
)
def test_the_task_is_told_or_inferred(cells, told, task, classes):
    """Fractions and many whole numbers mean regression, else the number of classes decides; classes are sorted."""
    target = understand_target(pl.DataFrame({"t": cells}), "t", told)
    assert (target.task, target.classes) == (task, classes)
    assert bool(target.inferred) == (told is None)


@pytest.mark.parametrize(
    ("cells", "loss", "task"),
    [
        (["5", "6", "7"] * 10, "mae", Task.REGRESSION),
        (["0", "1"] * 15, "quantile", Task.REGRESSION),
        (["5", "6", "7"] * 10, "focal", Task.MULTICLASS),
        ([str(k) for k in range(30)] * 3, "cross_entropy", Task.MULTICLASS),
        (["0.5", "1.25"] * 15, "cross_entropy", Task.REGRESSION),  # the loss is refused later
        (["low", "mid", "high"] * 10, "mse", Task.MULTICLASS),  # likewise
    ],
)
def test_the_loss_tells_the_task_of_numbers(cells, loss, task):
    """A loss of numbers makes numbers of a target that could be classes, and a loss of classes the other way round."""
    target = understand_target(pl.DataFrame({"t": cells}), "t", None, loss=LossName(loss))
    assert target.task is task
    assert (f"loss={loss} is for numbers" in target.inferred[0]) == (loss in ("mae", "quantile"))


def test_rows_without_target_are_set_aside():
    """A missing target is no class, and its rows are counted."""
    target = understand_target(pl.DataFrame({"t": ["a", "b", "NA", " "] * 10}), "t", None)
    assert target.classes == ("a", "b")
    assert int(target.usable.sum()) == 20
    written = "(written 'NA'; if that is a class, write it as another word)"
    assert target.warnings == (f"20 rows were set aside: their target `t` is missing {written}.",)


@pytest.mark.parametrize(
    ("cells", "told", "code", "part"),
    [
        (["", "NA"] * 10, None, "target_all_missing", "every one of the 20 cells of `t` is missing"),
        (["a"] * 30, None, "target_one_class", "every cell of `t` is 'a'."),
        (["Yes", ""] * 30, None, "target_one_class", "every filled cell of `t` is 'Yes', and 30 of 60 are missing."),
        (["1.5"] * 30, Task.REGRESSION, "target_one_class", "every cell of `t` is '1.5'"),
        (["a", "b"] * 5, None, "too_few_rows", "at least 20 rows with a target; this file has 10"),
        ([f"name {k}" for k in range(30)], None, "too_many_classes", "30 of the 30 classes of `t` have fewer"),
        (
            [f"{'€$'[k % 2]}{k}.50" for k in range(40)],
            None,
            "target_not_numeric",
            "those of target `t` are written in several ways (20 of 40 with `€`, such as '€0.50' in row 1; 20 with `$`"
            ", such as '$1.50' in row 2), and amounts in different currencies are no single quantity",
        ),
        (
            [f"{k}{',.'[k % 2]}50" for k in range(40)],
            Task.REGRESSION,
            "target_not_numeric",
            "(20 of 40 as programs write them, such as '1.50' in row 2; 20 with a decimal comma, such as '0,50' in row "
            "1), and what a comma or a point means differs between them; write them one way",
        ),
        (
            [f"{k}.915e+302" for k in range(40)],
            None,
            "target_out_of_range",
            "at most 3.4e38; the numbers of `t` go from",
        ),
        ([f"1.5e-{k + 80}" for k in range(40)], None, "target_out_of_range", "go from 1.5e-119 to 1.5e-80"),
        (["a", "b", "c"] * 10, Task.BINARY, "task_not_binary", "exactly two classes; `t` has 3"),
        (
            ["a", "1"] * 15,
            Task.REGRESSION,
            "target_not_numeric",
            "target `t` is text in 15 of 30 rows, first at row 1: 'a'",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused(cells, told, code, part):
    """Each refusal names the rule, the value met and what to do."""
    with pytest.raises(RunFailed) as caught:
        understand_target(pl.DataFrame({"t": cells}), "t", told)
    assert caught.value.code == code
    assert part in str(caught.value)
    assert caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("text", "words", "reason"),
    [
        ("a,t\n" + "same,x\nsame,y\n" * 15, {}, "`a` (constant): every cell is 'same'"),
        ("a,t\n" + ",x\nNA,y\n" * 15, {}, "`a` (constant): every cell is missing"),
        ("a,t\n" + "1,x\n2,y\n" * 15, {"drop": ("a",)}, "left out with drop="),
        ("a,t\n" + "".join(f"text {k},{'xy'[k % 2]}\n" for k in range(30)), {}, "no words that some of them share"),
    ],
)
def test_a_table_without_features_is_refused(write, text, words, reason):
    """Every column that cannot be used is named with its reason."""
    with pytest.raises(RunFailed) as caught:
        understand_dataset(write(text), TrainSpec(dataset="d", target="t", **words))
    assert caught.value.code == "no_feature_left"
    assert reason in str(caught.value)


def _parts(write, text, **words):
    data = understand_dataset(write(text), TrainSpec(dataset="d", **words))
    return data, dict(zip(data.hashes, data.parts.tolist(), strict=True))


def test_the_split_has_the_shares_and_is_stratified(write, mixed_table):
    """60/20/20 of the rows, and of each class."""
    data, _ = _parts(write, mixed_table(500))
    for rows in (np.ones(500, bool), data.target.values == 0, data.target.values == 1):
        shares = [np.mean(data.parts[rows] == part) for part in (TRAIN, VALIDATION, TEST)]
        np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.02)


def test_the_split_depends_on_content_target_and_split_seed_only(write, mixed_table):
    """Neither the order of the rows, the seed nor drop= moves a row; split_seed does."""
    text = mixed_table(200)
    header, *rows = text.splitlines()
    _, parts = _parts(write, text)
    _, turned = _parts(write, "\n".join([header, *reversed(rows)]))
    assert parts == turned
    assert parts == _parts(write, text, seed=5)[1]
    assert parts == _parts(write, text, drop=("color",))[1]
    assert parts != _parts(write, text, split_seed=1)[1]


def test_equal_feature_rows_stand_on_one_side(write):
    """Duplicates, also with another target or identifier, are in one part."""
    lines = [f"u{k},{k % 30},{k % 7},{'ab'[k % 2]}" for k in range(300)]
    data, _ = _parts(write, "user_id,x,z,t\n" + "\n".join(lines))
    groups = {}
    for key, part in zip(data.frame.select("x", "z").rows(), data.parts.tolist(), strict=True):
        groups.setdefault(key, set()).add(part)
    assert all(len(parts) == 1 for parts in groups.values())


def test_a_rare_class_is_for_training_only(write):
    """A class with two rows cannot be tested; that is said."""
    text = "x,t\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(60)) + "100,c\n101,c\n,\n"
    data, _ = _parts(write, text)
    rare = data.target.values == data.target.classes.index("c")
    assert set(data.parts[rare]) == {TRAIN}
    assert data.parts[-1] == SET_ASIDE
    assert any("Too rare to be tested, so used for training only: `c`." in warning for warning in data.warnings)


def test_a_table_of_few_combinations_is_split_row_by_row(write):
    """Where hardly a row differs from others, equal rows are counted, so that every part has its share."""
    data = understand_dataset(write("x,t\n" + "1,a\n2,b\n" * 40), TrainSpec(dataset="d"))
    assert len(set(data.hashes)) == len(data.hashes) == 80
    assert [int(np.sum(data.parts == part)) for part in (TRAIN, VALIDATION, TEST)] == [48, 16, 16]
    assert any(warning.startswith("Few rows differ in their features") for warning in data.warnings)


def test_classes_of_too_few_distinct_rows_are_refused(write):
    """No class can be in every part when none has three different rows."""
    text = "x,t\n" + "".join(f"{k},{'abcdef'[k // 2]}\n" * 3 for k in range(12))
    with pytest.raises(RunFailed, match="Each class needs at least three distinct rows") as caught:
        understand_dataset(write(text), TrainSpec(dataset="d"))
    assert caught.value.code == "too_few_distinct_rows"


def test_numbers_as_people_write_them_are_features(write):
    """A decimal comma makes a number like any other, and the reason says how it was read."""
    rows = "".join(f"{k},5;{k % 13};{k % 2}\n" for k in range(40))
    data = understand_dataset(write("price;size;t\n" + rows), TrainSpec(dataset="d", sep=";"))
    price = data.columns[0]
    assert (price.kind, price.used) == (Kind.NUMBER, True)
    assert price.reason == "all 40 cells are numbers written with a decimal comma"
    np.testing.assert_array_equal(data.cells.numbers[1][:2], [0.5, 1.5])


def test_the_words_that_count_as_a_missing_target_are_said(write):
    """A class named None is a gap to us, so the person is told."""
    rows = "".join(f"{k},{('ab', 'None')[k % 2] if k % 2 else 'ab'[k % 4 // 2]}\n" for k in range(60))
    data = understand_dataset(write("x,t\n" + rows), TrainSpec(dataset="d"))
    assert any("target `t` is missing (written 'None'; if that is a class" in said for said in data.warnings)


def test_large_integers_are_asked_for_in_double(write):
    """Also where a single one occurs beside gaps."""
    rows = "".join(f"{'' if k % 3 else 20000001},{k},{'ab'[k % 2]}\n" for k in range(40))
    data = understand_dataset(write("big,x,t\n" + rows), TrainSpec(dataset="d"))
    assert [feature.type for feature in data.features] == [InputType.DOUBLE, InputType.FLOAT]


def test_statistics_come_from_the_training_part(write, mixed_table):
    """A word that only other parts have is not in the vocabulary."""
    text = mixed_table(300)
    data, _ = _parts(write, text)
    lines = text.splitlines()
    for row in np.flatnonzero(data.parts != TRAIN):
        cells = lines[row + 1].split(",")
        cells[2] = "purple"
        lines[row + 1] = ",".join(cells)
    # The words change the rows' hashes, so the parts are given by the first split.
    frame = read_table(write("\n".join(lines))).frame
    features = fit_features(frame, data.columns, data.parts == TRAIN)
    assert next(f for f in features if f.name == "color").words == ("blue", "green", "red")
