"""A trained model is scored, asked and compared: always on rows that it has not learnt from, never with a guess."""

import csv
import json

import polars as pl
import pytest

from shared.errors import RunFailed, RunStopped
from shared.events import DatasetRead, Stage, StageStarted
from workers.core.compare import ComparedRun, compare
from workers.core.evaluate import evaluate
from workers.core.predict import predict


@pytest.fixture
def run(tmp_path):
    """Runs evaluate, predict or compare into `tmp_path/<name>`, with nobody watching."""

    def call(verb, *words, out="used"):
        return verb(*words, out=tmp_path / out, report=lambda _: None, should_stop=lambda: False)

    return call


@pytest.fixture
def model(write, fit, mixed_table, tmp_path):
    """The folder of a model of the mixed table, and the table's text."""
    fit(write(mixed_table(), "trained"), model="linear", target="kind")
    return tmp_path / "out", mixed_table()


def _rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_training_file_scores_its_test_rows(run, model, write, tmp_path):
    """Evaluating on the training file gives the training run's test metrics, exactly."""
    folder, text = model
    trained = json.loads((folder / "report.json").read_text())
    report = run(evaluate, folder, write(text))
    assert report["metrics"]["test"] == trained["metrics"]["test"]
    assert report["metrics"]["baseline"] == trained["metrics"]["baseline"]
    assert report["rows_scored"] == trained["dataset"]["parts"]["test"]
    assert report["rows_left_out"] == 240 - report["rows_scored"]
    assert f"{report['rows_left_out']} rows were left out" in report["warnings"][0]
    assert {p.name for p in (tmp_path / "used").iterdir()} == {
        "report.json", "predictions.csv", "confusion_matrix.png", "reliability.png", "drift.png"
    }  # fmt: skip
    assert json.loads((tmp_path / "used" / "report.json").read_text()) == report


def test_new_rows_are_all_scored(run, model, write, mixed_table):
    """Rows that the model has not met count, in any column order; unseen labels and missing targets are set aside."""
    folder, _ = model
    lines = [line.split(",") for line in mixed_table(60, seed=9).splitlines()]
    lines[1][-1], lines[2][-1] = "awful", ""
    report = run(evaluate, folder, write("\n".join(",".join(reversed(line)) for line in lines)))
    assert (report["rows_scored"], report["rows_left_out"]) == (58, 0)
    assert any(
        "1 row was set aside: the target `kind` is no class that the model knows" in w for w in report["warnings"]
    )
    assert any("1 row was set aside: the target `kind` is missing." in w for w in report["warnings"])


@pytest.mark.parametrize(
    ("change", "code", "part"),
    [
        (lambda lines: ["user_id,since,kind", "a,b,c"], "columns_missing", "missing: `size`, `color`, `active`"),
        (lambda lines: lines[:1], "dataset_header_only", "no row"),
    ],
)
def test_data_that_cannot_be_scored_is_refused(run, model, write, change, code, part):
    """All missing columns at once, and a file without rows, are named."""
    folder, text = model
    with pytest.raises(RunFailed) as caught:
        run(evaluate, folder, write("\n".join(change(text.splitlines()))))
    assert caught.value.code == code
    assert part in str(caught.value)


def test_data_without_the_target_is_predicted_and_looked_at(run, model, write, mixed_table, tmp_path):
    """Nothing is scored and the report says so; predictions have no column of what happened, and drift is told."""
    folder, _ = model
    lines = mixed_table(60, seed=9).splitlines()
    report = run(evaluate, folder, write("\n".join(line.rsplit(",", 1)[0] for line in lines)))
    assert report["warnings"][0] == (
        "The file has no column `kind`, so nothing is scored: these are predictions and drift only."
    )
    assert {"metrics", "headline", "rows_scored", "intervals", "slices"} & set(report) == set()
    assert (report["rows_predicted"], report["drift"]["rows"]) == (60, 60)
    assert report["schema"] == {"missing": [], "new": [], "other_kind": [], "unseen_words": []}
    rows = _rows(tmp_path / "used" / "predictions.csv")
    assert list(rows[0]) == ["row", "prediction", "probability_bad", "probability_good"]
    assert len(rows) == 60
    assert {p.name for p in (tmp_path / "used").iterdir()} == {"report.json", "predictions.csv", "drift.png"}


def test_what_differs_from_the_training_data_is_told(run, model, write, mixed_table):
    """Columns that are new or gone, cells of another kind, unseen words and drift, each with its count."""
    folder, _ = model
    lines = mixed_table(80, seed=9).replace("red", "violet").splitlines()
    cells = [line.split(",")[1:] for line in lines]
    for row in cells[1:4]:
        row[0] = "many"
    report = run(evaluate, folder, write("\n".join(",".join([*row, "x"]) for row in cells).replace("kind,x", "kind,z")))
    schema = report["schema"]
    assert (schema["missing"], schema["new"]) == (["user_id"], ["z"])
    assert schema["other_kind"] == [
        {"column": "size", "kind": "number", "cells": 3, "of": schema["other_kind"][0]["of"]}
    ]
    violet = schema["unseen_words"][0]
    assert (violet["column"], violet["words"], violet["different"]) == ("color", ["violet"], 1)
    assert "color" in report["drift"]["drifted"]
    said = " ".join(report["warnings"])
    assert "Column that training had is missing: `user_id`." in said
    assert "Column that training had not is new: `z`." in said
    assert "`size`: 3 of " in said
    assert "hold words that training has not met: `violet`." in said
    assert "drifted from the rows that the model learnt from: `color` (strong, PSI" in said


def test_a_model_of_before_profiles_is_evaluated_without_drift(run, model, write, mixed_table):
    """It says that drift is not told, and why."""
    folder, _ = model
    (folder / "profile.json").unlink()
    report = run(evaluate, folder, write(mixed_table(60, seed=9)))
    assert report["drift"] is None
    assert any(said.startswith("Drift is not told: ") for said in report["warnings"])


def test_rows_that_trained_the_model_do_not_count(run, model, write):
    """A file of training rows only has nothing to score."""
    folder, text = model
    parts = pl.read_parquet(folder / "rows.parquet")["part"].to_list()
    lines = text.splitlines()
    kept = [line for line, part in zip(lines[1:], parts, strict=True) if part == "train"]
    with pytest.raises(RunFailed, match="rows with a target that the model has not learnt from") as caught:
        run(evaluate, folder, write("\n".join([lines[0], *kept])))
    assert caught.value.code == "nothing_to_score"


def test_a_folder_without_a_model_is_named(run, write, tmp_path):
    """Every artifact that is missing is named."""
    with pytest.raises(RunFailed) as caught:
        run(evaluate, tmp_path, write("a,b\n1,2\n"))
    assert [problem.code for problem in caught.value.problems] == ["model_unreadable"] * 3


def test_predictions_keep_order_and_cells(run, model, write, tmp_path):
    """One row for each row: the input's cells as they are, then prediction and probabilities, no note."""
    folder, _ = model
    text = "color,since,active,size,extra\nred,2024-01-05,yes,1.50,\nviolet,,no,,  x \n"
    report = run(predict, folder, write(text))
    assert (report["rows"], report["rows_unreadable"]) == (2, 0)
    rows = _rows(tmp_path / "used" / "predictions.csv")
    columns = ["color", "since", "active", "size", "extra", "prediction", "probability_bad", "probability_good"]
    assert list(rows[0]) == columns
    assert (rows[0]["size"], rows[1]["extra"], rows[1]["size"]) == ("1.50", "  x ", "")
    for row in rows:
        best = "good" if float(row["probability_good"]) > 0.5 else "bad"
        assert row["prediction"] == best
        assert float(row["probability_good"]) + float(row["probability_bad"]) == pytest.approx(1, abs=1e-6)


def test_predictions_are_those_of_the_test_part(run, model, write, tmp_path):
    """For the training file, the test rows get what test_predictions.csv says."""
    folder, text = model
    run(predict, folder, write(text))
    rows = _rows(tmp_path / "used" / "predictions.csv")
    for said in _rows(folder / "test_predictions.csv"):
        got = rows[int(said["row"]) - 1]
        assert got["prediction"] == said["prediction"]
        assert float(got["probability_good"]) == pytest.approx(float(said["probability_good"]), abs=1e-6)


def test_rows_that_cannot_be_read_keep_their_place(run, model, write, tmp_path):
    """A wrong number of cells, or a word where a number belongs, empties the prediction and says why."""
    folder, _ = model
    text = "size,color,active,since\n1,red,yes,2024-01-01\n1,red\nmany,red,no,2024-01-01\n"
    text += "NA,blue,no,2024-01-01\n1e99,red,no,\n"
    report = run(predict, folder, write(text))
    assert (report["rows"], report["rows_unreadable"]) == (5, 3)
    rows = _rows(tmp_path / "used" / "predictions.csv")
    assert [bool(row["prediction"]) for row in rows] == [True, False, False, True, False]
    assert rows[1]["note"] == "the row has 2 cells where 4 are expected"
    assert rows[2]["note"] == "`size` must be a number, not 'many'"
    assert rows[4]["note"] == "its numbers are too large for the model"
    assert rows[0]["note"] == rows[3]["note"] == rows[1]["probability_good"] == ""
    assert "3 rows have no prediction" in report["warnings"][0]


def test_words_that_counted_as_missing_in_training_do_so_again(run, write, fit, tmp_path):
    """The training file's rows get what its own test part got, and the report says which cells are no numbers."""
    text = "x,y\n" + "".join(f"{'unknown' if k % 30 == 7 else k},{k % 50}\n" for k in range(240))
    fit(write(text, "trained"), model="linear")
    report = run(predict, tmp_path / "out", write(text))
    assert (report["rows"], report["rows_unreadable"]) == (240, 0)
    said = "`x`: 8 cells are no number and count as missing, as in training, first in row 8: 'unknown'."
    assert report["warnings"] == [said]
    rows = _rows(tmp_path / "used" / "predictions.csv")
    for tested in _rows(tmp_path / "out" / "test_predictions.csv"):
        assert float(rows[int(tested["row"]) - 1]["prediction"]) == pytest.approx(float(tested["prediction"]), rel=1e-5)


def test_our_columns_do_not_hide_those_of_the_input(run, write, fit, tmp_path):
    """An input column named like one of ours is renamed."""
    text = "x,note,prediction\n" + "".join(f"{k},{k % 3},{3 * k}\n" for k in range(60))
    fit(write(text, "trained"), model="linear", target="prediction")
    run(predict, tmp_path / "out", write(text + "oops,1,2\n"))
    rows = _rows(tmp_path / "used" / "predictions.csv")
    assert list(rows[0]) == ["x", "note_input", "prediction_input", "prediction", "note"]
    assert rows[3]["prediction_input"] == "9"
    assert float(rows[3]["prediction"]) == pytest.approx(9, abs=0.05)


def test_a_headerless_file_may_lack_the_target(run, write, fit, mixed_table, tmp_path):
    """Columns without names go by their place; with one column less, the target is the one that lacks."""
    lines = mixed_table(header=False).splitlines()
    turned = [",".join([line.rsplit(",", 1)[1], line.rsplit(",", 1)[0]]) for line in lines]  # the target first
    fit(write("\n".join(turned), "trained"), model="linear", target="column_1")
    bare = "\n".join(line.split(",", 1)[1] for line in turned)
    assert run(predict, tmp_path / "out", write(bare))["rows"] == 240
    rows, full = _rows(tmp_path / "used" / "predictions.csv"), run(predict, tmp_path / "out", write("\n".join(turned)))
    assert full["rows"] == 240
    assert [r["prediction"] for r in rows] == [r["prediction"] for r in _rows(tmp_path / "used" / "predictions.csv")]


def test_one_feature_is_asked_with_one_column(run, write, fit, line_table, tmp_path):
    """A file with nothing but x is enough for y = 2x, also beyond what was seen."""
    fit(write(line_table(), "trained"), model="linear")
    run(predict, tmp_path / "out", write("x\n3.5\n1000\n"))
    rows = _rows(tmp_path / "used" / "predictions.csv")
    assert [float(row["prediction"]) for row in rows] == pytest.approx([7, 2000], rel=1e-4)


@pytest.mark.parametrize(("verb", "stages"), [
    (evaluate, [Stage.READ, Stage.EVALUATE, Stage.EXPORT]), (predict, [Stage.READ, Stage.PREDICT]),
])  # fmt: skip
def test_stages_are_told_and_a_stop_is_obeyed(model, write, tmp_path, verb, stages):
    """Both verbs tell their stages and the dataset, and stop when asked."""
    folder, text = model
    events = []
    verb(folder, write(text), out=tmp_path / "used", report=events.append, should_stop=lambda: False)
    assert [event.stage for event in events if isinstance(event, StageStarted)] == stages
    assert any(isinstance(event, DatasetRead) for event in events)
    with pytest.raises(RunStopped):
        verb(folder, write(text), out=tmp_path / "used", report=events.append, should_stop=lambda: True)


def test_runs_on_the_same_data_are_compared(run, write, fit, mixed_table, tmp_path):
    """Two models of the same table share every test row, and the better one is named."""
    data = write(mixed_table())
    good = fit(data, out="good", model="linear", target="kind")
    poor = fit(data, out="poor", model="linear", target="kind", drop=("size", "since"))
    report = run(compare, [ComparedRun(7, tmp_path / "poor"), ComparedRun(9, tmp_path / "good")])
    assert report["rows_shared"] == good["dataset"]["parts"]["test"]
    assert [one["metrics"] for one in report["runs"]] == [poor["metrics"]["test"], good["metrics"]["test"]]
    assert (report["best"], report["headline"]) == (9, "roc_auc")
    assert report["sentence"].startswith("Run 9 is better than 7 by 0.")
    assert report["sentence"].endswith("; the interval excludes zero.")
    assert {p.name for p in (tmp_path / "used").iterdir()} == {"report.json", "comparison.csv", "comparison.png"}
    assert [row["run"] for row in _rows(tmp_path / "used" / "comparison.csv")] == ["7", "9"]


def test_runs_are_compared_on_a_dataset(run, write, fit, mixed_table, tmp_path):
    """Through their model files, on rows that neither has learnt from; the specs, time and size stand beside."""
    data = write(mixed_table())
    good, poor = {"target": "kind"}, {"target": "kind", "drop": ["size", "since"]}
    fit(data, out="good", model="linear", **good)
    fit(data, out="poor", model="linear", **poor)
    compared = [ComparedRun(7, tmp_path / "poor", poor), ComparedRun(9, tmp_path / "good", good)]
    new = mixed_table() + mixed_table(300, seed=9).split("\n", 1)[1]
    report = run(lambda *words, **more: compare(*words, data=write(new, "new"), **more), compared)
    assert (report["rows_of"], report["best"], report["tied"]) == ("dataset", 9, [])
    assert 300 <= report["rows_shared"] < 540
    assert any("left out: one of the models was trained or chosen with them" in said for said in report["warnings"])
    assert report["spec_differences"] == {"drop": {"7": ["size", "since"], "9": None}}
    pair = report["pairs"][0]
    assert (pair["runs"], pair["tied"]) == ([9, 7], False)
    assert pair["differences"]["accuracy"]["test"].startswith("McNemar")
    assert pair["differences"]["roc_auc"]["test"] == "DeLong"
    assert pair["differences"]["log_loss"]["test"] == "paired t"
    for one in report["runs"]:
        assert one["model_bytes"] == (tmp_path / ("poor" if one["run"] == 7 else "good") / "model.onnx").stat().st_size
        assert one["train_s"] > 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: "\n".join(line.rsplit(",", 1)[0] for line in text.splitlines()), "has no column `kind`"),
        (lambda text: text[: len(text) // 80], "and at least 10 are needed"),
    ],
)
def test_a_dataset_that_compares_nothing_is_refused(run, model, write, mixed_table, change, reason):
    """Without the target, or with too few new rows, nothing is compared and the reason is named."""
    folder, _ = model
    data = write(change(mixed_table(60, seed=9) if "column" in reason else mixed_table()), "new")
    with pytest.raises(RunFailed, match=reason) as caught:
        run(lambda *w, **more: compare(*w, data=data, **more), [ComparedRun(1, folder), ComparedRun(2, folder)])
    assert caught.value.code == "not_comparable"


def test_runs_that_say_the_same_are_tied(run, model):
    """No run is the best of two copies of a model."""
    folder, _ = model
    report = run(compare, [ComparedRun(1, folder), ComparedRun(2, folder)])
    assert (report["best"], report["tied"]) == (None, [1, 2])
    assert report["sentence"].startswith("Runs 1 and 2 cannot be told apart on ")


def test_part_of_the_rows_may_be_shared(run, write, fit, line_table, tmp_path):
    """Runs on a file and on a longer version of it are compared on what both tested; the rest is said."""
    fit(write(line_table(300)), out="a", model="linear")
    fit(write(line_table(330)), out="b", model="linear")
    report = run(compare, [ComparedRun(1, tmp_path / "a"), ComparedRun(2, tmp_path / "b")])
    assert 10 <= report["rows_shared"] < 66
    assert any("do not count" in warning for warning in report["warnings"])


def test_runs_that_answer_other_questions_are_refused(run, write, fit, line_table, mixed_table, tmp_path):
    """Every reason is named at once."""
    fit(write(line_table()), out="a", model="linear")
    fit(write(mixed_table()), out="b", model="linear", target="kind")
    with pytest.raises(RunFailed) as caught:
        run(compare, [ComparedRun(1, tmp_path / "a"), ComparedRun(2, tmp_path / "b")])
    assert {problem.code for problem in caught.value.problems} == {"not_comparable"}
    text = str(caught.value)
    assert "their task differs (run 1: `regression`, run 2: `binary`)" in text
    assert "their target differs (run 1: `y`, run 2: `kind`)" in text
    assert "they share 0 test rows" in text


def test_other_data_is_refused(run, write, fit, line_table, tmp_path):
    """The same question about other rows is not comparable."""
    fit(write(line_table()), out="a", model="linear")
    fit(write("x,y\n" + "".join(f"{k}.5,{k}\n" for k in range(100))), out="b", model="linear")
    with pytest.raises(RunFailed, match="they share 0 test rows") as caught:
        run(compare, [ComparedRun(1, tmp_path / "a"), ComparedRun(2, tmp_path / "b")])
    assert caught.value.code == "not_comparable"


def test_a_table_of_few_combinations_scores_its_test_rows(run, write, fit, tmp_path):
    """Equal rows are counted alike in the training file and in the same file in another order."""
    lines = [f"{k % 2},{k // 2 % 2},{'ab'[(k % 2) ^ (k % 5 == 0)]}\n" for k in range(80)]
    trained = fit(write("x,z,t\n" + "".join(lines)), out="few", model="linear")
    again = run(evaluate, tmp_path / "few", write("x,z,t\n" + "".join(reversed(lines)), "again"))
    assert again["rows_scored"] == trained["dataset"]["parts"]["test"] == 16
    assert again["metrics"]["test"] == pytest.approx(trained["metrics"]["test"])
    new = run(evaluate, tmp_path / "few", write("x,z,t\n" + "".join(lines[:30]), "new"))
    assert new["rows_scored"] == 30
    assert "every row of this file counts" in new["warnings"][0]


def test_the_training_file_saved_as_parquet_scores_its_test_rows(run, write, fit, mixed_table, tmp_path):
    """Rows that the model has learnt from are known by value: numbers and gaps are written in another way there."""
    text = mixed_table().replace(",red,", ",Red,").replace(",yes,", ",True,").replace(",no,", ",False,")
    trained = fit(write(text, "trained"), model="linear", target="kind")
    pl.read_csv(text.encode(), try_parse_dates=True).write_parquet(tmp_path / "again")
    report = run(evaluate, tmp_path / "out", tmp_path / "again")
    assert report["rows_scored"] == trained["dataset"]["parts"]["test"]
    assert report["metrics"]["test"]["roc_auc"] == pytest.approx(trained["metrics"]["test"]["roc_auc"])


def _german(rows: int = 120) -> list[tuple[float, float, str]]:
    return [(k * 37.25 % 3000, k * 0.5, ("Maß", "Größe")[k % 2]) for k in range(rows)]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
@pytest.mark.parametrize("form", ["clean", "plain", "parquet"])
def test_a_file_is_understood_though_the_training_file_was_written_in_another_way(
    run, write, fit, tmp_path, encoding, form
):
    """Semicolons and decimal commas then, UTF-8, commas or Parquet now: the same rows give the same predictions."""

    def comma(value: float) -> str:
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))

    lines = [f"{comma(a)};{what};{comma(a / 3 + b)}" for a, b, what in _german()]
    fit(write("\n".join(["Fläche;Art;Preis", *lines]).encode(encoding), "trained"), model="linear")
    if form == "clean":
        again = "\n".join(
            ["Fläche,Art,Preis", *(f'"{x}",{w},"{y}"' for x, w, y in (line.split(";") for line in lines))]
        )
        path = write(again, "again")
    elif form == "plain":
        path = write(
            "\n".join(["Fläche,Art,Preis", *(f"{a},{w},{round(a / 3 + b, 2)}" for a, b, w in _german())]), "again"
        )
    else:
        path = tmp_path / "again"
        frame = pl.DataFrame(_german(), schema=["Fläche", "b", "Art"], orient="row")
        frame.select("Fläche", "Art", Preis=(pl.col("Fläche") / 3 + pl.col("b")).round(2)).write_parquet(path)
    report = run(predict, tmp_path / "out", path)
    assert report["rows_unreadable"] == 0
    rows = _rows(tmp_path / "used" / "predictions.csv")
    for tested in _rows(tmp_path / "out" / "test_predictions.csv"):
        assert float(rows[int(tested["row"]) - 1]["prediction"]) == pytest.approx(float(tested["prediction"]), rel=1e-5)
    assert run(evaluate, tmp_path / "out", path)["rows_scored"] == 24


def test_numbers_and_dates_of_another_style_that_are_not_clear_are_refused(run, write, fit, tmp_path):
    """1,234 may be a thousand or one; both problems are told at once."""
    lines = [f"{k}.{k % 10}{k % 7}25|{k % 28 + 1:02d}.0{k % 9 + 1}.2024|{k * 3}.5" for k in range(1, 61)]
    fit(write("\n".join(["x|day|y", *lines]), "trained"), model="linear")
    text = "\n".join(["x;day;z", *(f"{k % 9 + 1},{100 + k};2024-03-{k % 28 + 1:02d};a" for k in range(30))])
    with pytest.raises(RunFailed) as caught:
        run(predict, tmp_path / "out", write(text, "again"))
    assert [problem.code for problem in caught.value.problems] == ["numbers_unclear", "dates_differ"]
    assert "`x`: nothing says what the comma of '1,100' is; a decimal comma is assumed." in str(caught.value)
    assert (
        "The dates of `day` must be written as in the training file (day, month, year with '.' between); here"
        in str(caught.value)
    )
