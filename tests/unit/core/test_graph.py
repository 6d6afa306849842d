"""The exported graph reads any cell as the encoder does, and any client can feed it."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from shared.specs import ModelName, Task, TrainSpec
from workers.core.columns import understand
from workers.core.encode import InputType, encode, fit_features
from workers.core.features import Preprocess
from workers.core.graph import build_graph
from workers.core.layers import Dense, Expand
from workers.core.predictor import NetMember, Predictor
from workers.core.runtime import Model
from workers.core.train import train

ROWS = 200
# fmt: off
HOSTILE = [
    "", " ", "   ", "\t", "\n", "12", " 12 ", "\t12\n", "+5", "-1e5", "1e400", "1e-400", "1e99", "1E+003", ".5", "5.",
    ".", "1,234", "0x10", "$4", "1_000", "\u0661", "inf", "-Infinity", "nan", "NaN", "None", "NA", "<NA>", "?", "-",
    "abc", "red", " red", "red ",
    "RED", "\u00c4", "a\x1fb", "true", " TRUE", "Yes", "2024-02-30", "2024-02-29", " 2023-01-01",
    "2023-01-01 ", "0000-01-01", "9999-12-31T23:59:59.999999Z", "2023-01-01T", "2023-01-01 12:30", "2023-01-01T12:30 ",
    "2023-13-01", "2023-01-01T25:00", "2023-01-01 00:00:00.5", "1" * 120, "0." + "0" * 175 + "1e-99", "\u65e5\u672c",
]
# fmt: on


def _frame() -> pl.DataFrame:
    """A table with a column of every kind and input type."""
    k = np.arange(ROWS)
    return pl.DataFrame(
        {
            "plain": [str(i * 0.5) if i % 7 else "" for i in k],
            "big": [str(10**9 + i) for i in k],
            "gaps": [str(i % 13) if i % 40 else "NA" for i in k],
            "flag": ["yes" if i % 3 else "no" for i in k],
            "day": [f"20{i % 30:02d}-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in k],
            "moment": [f"2024-01-{i % 28 + 1:02d}T{i % 24:02d}:30:00" if i % 9 else "" for i in k],
            "color": [("red", "green", " blue", "?")[i % 4] for i in k],
            "price": [f"${i * 37:,}.50" if i % 8 else "(5)" for i in k],
            "said": [f"({('good', 'BAD')[i % 2]} work, no. {i}) {('red', 'Blue')[i // 2 % 2]}!" for i in k],
            "due": [f"{i % 28 + 1}/{i % 12 + 1}/2024 {i % 12 + 1}:05 {'ap'[i % 2]}m" for i in k],
            "y": [str(i % 3) for i in k],
        }
    )


@pytest.fixture(scope="module")
def exported() -> tuple[Predictor, tuple, Model]:
    """A network with random weights over every kind of column, and its model file."""
    torch.manual_seed(0)
    frame, everything = _frame(), np.ones(ROWS, dtype=bool)
    features = fit_features(frame, understand(frame, target="y"), everything)
    cells = encode(frame, features)
    preprocess = Preprocess(features, cells, np.arange(ROWS))
    first = Expand(preprocess.layout, preprocess.matrix(cells))
    body = nn.Sequential(first, Dense(1, first.width, 16), nn.ReLU(), nn.Dropout(0.1), Dense(1, 16, 3)).eval()
    predictor = Predictor(preprocess, [NetMember(body, Task.MULTICLASS)], [1.0], Task.MULTICLASS)
    graph = build_graph(predictor, features, ("0", "1", "2"), target="y")
    return predictor, features, Model(graph.SerializeToString())


def test_input_types_follow_from_the_cells(exported):
    """Plain numbers are floats, large integers doubles, everything else strings."""
    types = {one.name: one.type for one in exported[2].inputs}
    strings = dict.fromkeys(("gaps", "flag", "day", "moment", "color", "price", "said", "due"), InputType.STRING)
    assert types == {"plain": InputType.FLOAT, "big": InputType.DOUBLE} | strings


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_graph_and_encoder_agree_on_hostile_cells(exported, data):
    """Whatever stands in a cell, the graph and the torch model say the same."""
    predictor, features, model = exported
    cell = st.sampled_from(HOSTILE) | st.text(max_size=12).filter(lambda text: "\0" not in text)
    rows = data.draw(st.integers(1, 5))
    frame = pl.DataFrame({f.name: data.draw(st.lists(cell, min_size=rows, max_size=rows)) for f in features})
    frame = frame.cast(pl.String)
    np.testing.assert_allclose(
        model.run(frame), predictor.predict(predictor.preprocess.matrix(encode(frame, features))), atol=1e-5
    )


def test_every_hostile_cell_in_every_column(exported):
    """Each of the listed cells is read alike in each column, all in one batch."""
    predictor, features, model = exported
    frame = pl.DataFrame({f.name: HOSTILE for f in features})
    np.testing.assert_allclose(
        model.run(frame), predictor.predict(predictor.preprocess.matrix(encode(frame, features))), atol=1e-5
    )


@pytest.mark.parametrize("rows", [0, 1, 7, 1000])
def test_any_number_of_rows_runs(exported, rows):
    """The first dimension is free, an empty batch included."""
    model = exported[2]
    frame = pl.concat([_frame()] * 5).head(rows)
    assert model.run(frame).shape == (rows, 3)
    assert all(isinstance(size, str) for size in model.declared_rows)
    assert len(model.labels_of(frame)) == rows


def test_none_and_nan_are_missing(exported):
    """What ONNX Runtime makes of None and nan is read like an empty cell."""
    model, frame = exported[2], _frame().head(1)
    strings = [one.column for one in model.inputs if one.type is InputType.STRING]
    filled = [frame.with_columns(pl.lit(cell).alias(c) for c in strings) for cell in ("", "None", "nan")]
    empty, none, nan = (model.run(one) for one in filled)
    np.testing.assert_array_equal(empty, none)
    np.testing.assert_array_equal(empty, nan)


def test_days_are_counted_as_the_calendar_does(exported):
    """A date's number is its distance from 1970-01-01, the time a fraction of a day."""
    feature = next(f for f in exported[1] if f.name == "day")
    frame = pl.DataFrame({"day": ["1970-01-01", "2024-02-29", "1969-12-31", "2000-01-01T12:00", "x"]})
    got = encode(frame, [feature]).numbers[0]
    np.testing.assert_array_equal(got, [0, 19782, -1, 10957.5, np.nan])


def client(model: Path, rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """A client written from the contract alone: reads the inputs' types, feeds the cells of a CSV file."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    feed = {}
    for one in session.get_inputs():
        cells = [row[columns[one.name]] for row in rows]
        if one.type == "tensor(string)":
            feed[one.name] = np.array(cells, dtype=object).reshape(-1, 1)
        else:
            kind = np.float32 if one.type == "tensor(float)" else np.float64
            feed[one.name] = np.array([float(c) if c else math.nan for c in cells], dtype=kind).reshape(-1, 1)
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize("model", [ModelName.LINEAR, ModelName.MLP])
@pytest.mark.parametrize("target", ["y", "amount"])
def test_a_bare_client_gets_the_reported_predictions(tmp_path, model, target):
    """Fed by the contract, the file says what `test_predictions.csv` says."""
    amount = [str(round(math.sin(i) * 1000 + i, 2)) for i in range(ROWS)]
    frame = _frame().with_columns(pl.Series("amount", amount), pl.col("flag").alias("label"))
    data = tmp_path / "data"
    frame.write_csv(data)
    spec = TrainSpec(dataset="data", target=target, model=model, epochs=5)
    report = train(data, spec, out=tmp_path / "out", report=lambda _: None, should_stop=lambda: False)
    rows = list(csv.DictReader(io.StringIO(data.read_text())))
    got = client(tmp_path / "out" / "model.onnx", rows)
    said = pl.read_csv(tmp_path / "out" / "test_predictions.csv", infer_schema=False)
    places = said["row"].cast(pl.Int64).to_numpy() - 1
    assert report["parity"]["max_difference"] <= 1e-4
    if report["task"] == "regression":
        assert got["prediction"].dtype == np.float32
        assert got["prediction"].shape == (ROWS, 1)
        np.testing.assert_allclose(got["prediction"][places, 0], said["prediction"].cast(pl.Float64), rtol=1e-5)
    else:
        assert got["label"][places].tolist() == said["prediction"].to_list()
        for k, name in enumerate(report["classes"]):
            expected = said[f"probability_{name}"].cast(pl.Float64).to_numpy()
            np.testing.assert_allclose(got["probabilities"][places, k], expected, atol=1e-6)


def test_an_input_never_has_the_name_of_an_output(tmp_path):
    """A column called label, or like an inner tensor, is renamed in the model; the metadata say which column it is."""
    lines = ["label,prediction,lml.1,probabilities,y"]
    lines += [f"{i % 5},{i},{i % 3},{'ab'[i % 2]},{i * 3 + i % 5}" for i in range(60)]
    data = tmp_path / "data"
    data.write_text("\n".join(lines))
    spec = TrainSpec(dataset="data", target="y", model=ModelName.LINEAR)
    train(data, spec, out=tmp_path / "out", report=lambda _: None, should_stop=lambda: False)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx", providers=["CPUExecutionProvider"])
    columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    assert columns == {
        "label_input": "label",
        "prediction_input": "prediction",
        "lml.1": "lml.1",
        "probabilities_input": "probabilities",
    }
    assert [one.name for one in session.get_outputs()] == ["prediction"]
