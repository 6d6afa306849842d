"""Which rows learn and which test: by content, by groups, by time, and in folds."""

import hashlib

import numpy as np
import polars as pl
import pytest

from shared.errors import RunFailed
from shared.specs import Task, TrainSpec
from workers.core.dataset import understand_dataset
from workers.core.split import SET_ASIDE, TEST, TRAIN, VALIDATION, folds, row_hashes, split_by_time, split_rows
from workers.core.target import Target, understand_target


def _reference(hashes: list[str], target: Target, split_seed: int) -> np.ndarray:
    """The definition of the split, row by row: what every run so far was split by."""
    groups, strata = {}, {}
    for row in np.flatnonzero(target.usable).tolist():
        groups.setdefault(hashes[row], []).append(row)
    for key, rows in groups.items():
        stratum = int(np.bincount(target.values[rows].astype(int)).argmax()) if target.classes else 0
        salted = hashlib.sha256(f"{split_seed}\0{target.name}\0{key}".encode()).hexdigest()
        strata.setdefault(stratum, []).append((salted, rows))
    parts = np.full(len(hashes), SET_ASIDE, dtype=np.int8)
    for members in strata.values():
        given, seen = np.zeros(3), 0
        for k, (_, rows) in enumerate(sorted(members)):
            seen += len(rows)
            part = (TRAIN, TEST, VALIDATION)[k] if k < 3 else int(np.argmax(np.array([0.6, 0.2, 0.2]) * seen - given))
            parts[rows] = TRAIN if len(members) < 3 and target.classes else part
            given[part] += len(rows)
    return parts


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_the_split_is_the_one_of_its_definition(seed, task):
    """However it is computed, each row stands where it always stood: runs stay comparable."""
    chance = np.random.default_rng(seed)
    cells = [str(k) for k in chance.integers(0, 400, 900)]
    words = [("a", "b", "c", "rare", "")[min(4, int(k))] for k in chance.exponential(1.2, 900)]
    if task is Task.REGRESSION:
        words = [str(len(word) * k) for k, word in enumerate(words)]
    frame = pl.DataFrame({"x": cells, "t": words})
    target, hashes = understand_target(frame, "t", task), row_hashes(frame, ["x"])
    assert hashes[0] == hashlib.sha256(cells[0].encode()).hexdigest()[:24]
    parts, _ = split_rows(hashes, target, split_seed=seed)
    np.testing.assert_array_equal(parts, _reference(hashes.to_list(), target, seed))


def test_counted_hashes_tell_equal_rows_apart():
    """The k-th row of its kind is hashed with k; blanks around cells say nothing."""
    got = row_hashes(pl.DataFrame({"x": ["a", "b", " a", "a "], "y": ["1"] * 4}), ["x", "y"], counted=True).to_list()
    wanted = ("a\x1f1\x1f0", "b\x1f1\x1f0", "a\x1f1\x1f1", "a\x1f1\x1f2")
    assert got == [hashlib.sha256(cell.encode()).hexdigest()[:24] for cell in wanted]


def _understood(write, text, **words):
    return understand_dataset(write(text), TrainSpec(dataset="d", target="t", **words))


def _visits(rows: int = 600, people: int = 60) -> str:
    chance = np.random.default_rng(0)
    lines = [
        f"p{k % people},{chance.normal():.4f},{chance.integers(0, 90)},{'ab'[k % people % 2]}" for k in range(rows)
    ]
    return "person,x,z,t\n" + "\n".join(lines) + "\n"


def test_rows_of_a_group_stay_together(write):
    """With group= no group stands on two sides, the shares hold, and the column is no feature."""
    data = _understood(write, _visits(), group="person")
    people = data.table.column("person")
    sides = {name: set(data.parts[(people == name).to_numpy()].tolist()) for name in people.unique()}
    assert all(len(parts) == 1 for parts in sides.values())
    assert np.mean(data.parts == TEST) == pytest.approx(0.2, abs=0.05)
    assert "person" not in [feature.name for feature in data.features]
    assert "person" not in data.hash_columns
    assert "it groups the rows (group=)" in data.columns[0].reason


def test_equal_rows_tie_groups(write):
    """Two groups that share a row stand on one side, and so do their other rows."""
    lines = [f"g{k // 5},{k},{'ab'[k % 2]}" for k in range(300)] + ["g0,7,b", "g30,7,b", ",7,b"]
    data = _understood(write, "group_name,x,t\n" + "\n".join(lines) + "\n", group="group_name")
    first = data.parts[(data.table.column("group_name").is_in(["g0", "g1", "g30"])).to_numpy()]
    assert set(first.tolist()) == {data.parts[-1]}


def test_groups_that_equal_rows_tie_into_one_are_dealt_as_they_are(write):
    """Copies of a row then stand on one side too: those of later parts are set aside."""
    lines = [f"g{k // 7 % 30},{k if k % 2 else k % 40},{k % 3},{'ab'[k // 2 % 2]}" for k in range(1200)]
    data = _understood(write, "g,x,z,t\n" + "\n".join(lines) + "\n", group="g")
    cells = data.table.frame.select("x", "z").rows()
    sides = {}
    for cell, part in zip(cells, data.parts.tolist(), strict=True):
        if part != SET_ASIDE:
            sides.setdefault(cell, set()).add(part)
    assert all(len(parts) == 1 for parts in sides.values())
    assert any("they equal rows of an earlier part." in warning for warning in data.warnings)


def _days(rows: int = 500) -> str:
    chance = np.random.default_rng(1)
    lines = [
        f"{k // 3 % 28 + 1:02d}.{k // 84 % 12 + 1:02d}.2024,{chance.normal():.5f},{'ab'[k % 2]}" for k in range(rows)
    ]
    return "day,x,t\n" + "\n".join(lines) + "\n"


def test_the_latest_rows_test(write):
    """With time= each part is later than the one before, a day is in one part, and the shares hold."""
    data = _understood(write, _days(), time="day")
    ranges = [(data.times[data.parts == part].min(), data.times[data.parts == part].max()) for part in (0, 1, 2)]
    assert ranges[0][1] < ranges[1][0] <= ranges[1][1] < ranges[2][0]
    shares = [np.mean(data.parts == part) for part in (TRAIN, VALIDATION, TEST)]
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.02)
    assert data.by_time


def test_rows_without_a_time_and_later_copies_are_set_aside(write):
    """Both are counted and said; what is tested was never learnt."""
    rows = [f"{k},{k % 200},{k % 7},{'ab'[k % 2]}" for k in range(400)] + [",5,5,a", "NA,6,6,b"]
    data = _understood(write, "when,x,z,t\n" + "\n".join(rows) + "\n", time="when", drop=("when",))
    assert "2 rows were set aside: their time is missing or cannot be read." in data.warnings
    assert set(data.parts[-2:]) == {SET_ASIDE}


def test_a_validation_part_of_one_class_is_said(write):
    """It can choose no model; what is learnt and tested has both classes."""
    rows = [f"{k},{k * 7 % 101},{'a' if 60 <= k < 80 else 'ab'[k % 2]}" for k in range(100)]
    data = _understood(write, "\n".join(["when,x,t", *rows]), time="when")
    assert (
        "The rows before the latest, which validate, are all `a`: they do not tell which model separates the classes "
        "best. Leave time= out, or send rows from a longer time."
    ) in data.warnings


def test_one_row_without_a_time_is_one(write):
    """It is set aside, and said in the singular."""
    rows = [f"{k},{k * 7 % 101},{'ab'[k % 2]}" for k in range(100)] + [",5,a"]
    data = _understood(write, "\n".join(["when,x,t", *rows]), time="when")
    assert "1 row was set aside: its time is missing or cannot be read." in data.warnings


def test_many_equal_rows_that_do_not_test_are_said(write):
    """They stand on one side; where that is the training part, the test part has none of them."""
    rows = [f"{k},{k % 7},{'ab'[k % 2]}" for k in range(255)] + ["500,5,a"] * 45
    data = _understood(write, "\n".join(["x,z,t", *rows]))
    assert set(data.parts[255:].tolist()) == {TRAIN}
    assert (
        "45 of 300 rows are equal in every feature, first in row 256: all of them train, and the test part tells "
        "nothing of such rows."
    ) in data.warnings
    few = _understood(write, "\n".join(["x,z,t", *rows[:275]]))
    assert not any("equal in every feature, first" in text for text in few.warnings)


def test_copies_after_the_border_are_set_aside(write):
    """A later row that equals an earlier one in every feature would only test memory."""
    frame = pl.DataFrame({"x": [str(k % 350) for k in range(400)], "t": ["a", "b"] * 200})
    target = understand_target(frame, "t", None)
    parts, said = split_by_time(row_hashes(frame, ["x"]), target, np.arange(400.0))
    assert said == ("50 rows were set aside: they equal rows of an earlier part.",)
    assert [int(np.sum(parts == part)) for part in (TRAIN, VALIDATION, TEST, SET_ASIDE)] == [240, 80, 30, 50]
    assert set(frame["x"].filter(pl.Series(parts == TEST))).isdisjoint(frame["x"].filter(pl.Series(parts == TRAIN)))


@pytest.mark.parametrize(
    ("text", "words", "code", "part"),
    [
        (_visits(), {"group": "persom"}, "group_unknown", "group= must name columns of the file; `persom` is none"),
        (_visits(), {"time": "tine"}, "time_unknown", "time= must name columns of the file; `tine` is none of them"),
        (_visits(), {"group": "t"}, "split_by_target", "group= must name another column than the target; `t` is"),
        (_visits(), {"group": "person", "time": "z"}, "group_and_time", "group=person and time=z ask for both"),
        (_visits(people=2), {"group": "person"}, "too_few_groups", "needs at least three groups"),
        (
            _visits(),
            {"time": "person"},
            "time_unordered",
            "must name a column of dates or numbers; `person` is category",
        ),
        ("d,x,t\n" + "1,2,a\n2,3,b\n" * 40, {"time": "d"}, "too_few_times", "this column has 2 in rows with a target"),
        (
            "d,x,t\n" + "".join(f"{k},{k % 97},{'a' if k < 80 else 'b'}\n" for k in range(100)),
            {"time": "d"},
            "time_one_class",
            "which train, must hold at least two classes; all are 'a'",
        ),
        (
            "d,x,t\n" + "".join(f"{k},{k % 97},{'ab'[k % 2] if k < 80 else 'b'}\n" for k in range(100)),
            {"time": "d"},
            "time_one_class",
            "The latest rows, which test, must hold at least two classes; all are 'b'",
        ),
    ],
)
def test_splits_that_cannot_be_made_are_refused(write, text, words, code, part):
    """Each refusal names the rule, the value met and what to do."""
    with pytest.raises(RunFailed) as caught:
        _understood(write, text, **words)
    assert code in {problem.code for problem in caught.value.problems}
    assert part in str(caught.value)
    assert caught.value.problems[0].hint


def test_all_wrong_words_are_told_at_once(write):
    """Of the target, of kinds, of groups and of times, in one answer."""
    with pytest.raises(RunFailed) as caught:
        understand_dataset(
            write(_visits()), TrainSpec(dataset="d", target="tt", drop=("q",), text=("xx",), group="who", time="z")
        )
    codes = [problem.code for problem in caught.value.problems]
    assert codes == ["target_unknown", "drop_unknown", "text_unknown", "group_unknown", "group_and_time"]
    with pytest.raises(RunFailed) as caught:
        understand_dataset(write(_visits()), TrainSpec(dataset="d", drop=("q",), text=("t",)))
    assert [problem.code for problem in caught.value.problems] == ["drop_unknown", "kind_of_target"]


@pytest.mark.parametrize("classes", [("a", "b"), ()])
def test_folds_hold_every_row_that_learns_once(classes):
    """Folds are about equal, stratified, keep equal rows together, and follow from the cells alone."""
    chance = np.random.default_rng(3)
    frame = pl.DataFrame({"x": [str(k) for k in chance.integers(0, 300, 800)], "t": chance.choice(["1", "2.5"], 800)})
    if classes:
        frame = frame.with_columns(t=pl.when(pl.col("t") == "1").then(pl.lit("a")).otherwise(pl.lit("b")))
    target, hashes = understand_target(frame, "t", None), row_hashes(frame, ["x"])
    parts, _ = split_rows(hashes, target, split_seed=0)
    got = folds(hashes, target, parts, k=5)
    assert set(got[parts == TEST]) == {-1}
    sizes = np.bincount(got[got >= 0])
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 15
    assert (
        pl.DataFrame({"x": frame["x"], "fold": got})
        .filter(pl.col("fold") >= 0)
        .group_by("x")
        .agg(pl.col("fold").n_unique())["fold"]
        .max()
        == 1
    )
    turned = folds(hashes.reverse(), understand_target(frame.reverse(), "t", None), parts[::-1], k=5)
    np.testing.assert_array_equal(turned[::-1], got)


def test_folds_keep_groups_together_and_times_in_order():
    """By group no group is in two folds; by time each fold is later than the one before."""
    frame = pl.DataFrame({"x": [str(k) for k in range(200)], "t": ["a", "b"] * 100})
    target, hashes = understand_target(frame, "t", None), row_hashes(frame, ["x"])
    parts = np.where(np.arange(200) < 160, TRAIN, TEST).astype(np.int8)
    groups = pl.Series([f"g{k % 20}" for k in range(200)])
    got = folds(hashes, target, parts, groups=groups)
    assert all(len(set(got[k:160:20].tolist())) == 1 for k in range(20))
    got = folds(hashes, target, parts, times=np.arange(200.0))
    assert np.all(np.diff(got[:160].astype(int)) >= 0)
    assert np.bincount(got[:160]).tolist() == [32] * 5


def test_rows_that_are_equal_by_value_stand_on_one_side(write):
    """However their numbers, gaps, dates and words are written."""
    chance = np.random.default_rng(0)
    rows = [(*map(int, chance.integers(0, 1000, 2)), f"2024-0{k % 9 + 1}-1{k % 7}", "ab"[k % 2]) for k in range(300)]
    plain = [f"{a},{b / 2},{day},{'yes' if a % 2 else 'no'},{'' if a % 9 == 0 else a},{t}" for a, b, day, t in rows]
    other = [
        f"{a}.0, {b / 2:.3f},{day} 00:00,{'Yes' if a % 2 else 'NO'},{'NA' if a % 9 == 0 else f'+{a}'},{t}"
        for a, b, day, t in rows
    ]
    data = _understood(write, "\n".join(["a,b,day,member,gap,t", *plain, *other]))
    assert [column.kind.value for column in data.columns] == ["number", "number", "date", "boolean", "number"]
    assert data.hashes[:300].to_list() == data.hashes[300:].to_list()
    assert data.parts[:300].tolist() == data.parts[300:].tolist()


def test_a_row_that_makes_up_a_third_of_the_table_trains(write):
    """It is not torn apart; the test rows come from the others, which is said with numbers."""
    chance = np.random.default_rng(0)
    lines = ["0,0.0,a"] * 100 + [
        f"{v:.3f},{w:.3f},{'ab'[k % 2]}" for k, (v, w) in enumerate(chance.normal(size=(200, 2)))
    ]
    data = _understood(write, "\n".join(["x,z,t", *lines]))
    assert set(data.parts[:100].tolist()) == {TRAIN}
    assert [int(np.sum(data.parts[100:] == part)) for part in (TRAIN, VALIDATION, TEST)] == [120, 40, 40]
    said = (
        "100 of 300 rows are equal in every feature, first in row 1: all of them train; the rows that test are drawn "
    )
    assert said + "from the other 200." in data.warnings
    assert not data.hash_counted


def test_what_is_said_of_equal_rows_does_not_contradict_itself(write):
    """Where few rows differ they stand on both sides, and nothing else is said."""
    lines = [f"{k % 2},{k // 2 % 2},{'ab'[k % 3 == 0]}" for k in range(80)]
    said = _understood(write, "\n".join(["x,z,t", *lines])).warnings
    assert any("in the training part and in the test part alike" in text for text in said)
    assert not any("kept on one side" in text for text in said)
