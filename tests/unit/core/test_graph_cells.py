"""The graph's own reading of raw cells against the encoder's, kind by kind, to the last digit."""

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from workers.core.columns import understand
from workers.core.encode import InputType, category_features, encode, fit_features, number_features, text_features
from workers.core.graph_cells import code_matrix, count_matrix, number_matrix
from workers.core.graph_nodes import Graph

ROWS = 60
# fmt: off
CELLS = {
    "comma": ["1.234,5", "12,5", "3", ""],
    "english": ["1,234.5", "12", "-1,000", "+3"],
    "blank": ["1 234", "12", "-5", "1 234 567,5"],
    "currency": ["$1,234.50", "$5", "-$3", "$-4", "- $ 5", "($7)", " $8 "],
    "unit": ["12 kg", "13.5 kg", "9"],
    "percent": ["5%", "6.5 %"],
    "code": ["EUR 5,50", "EUR 1.200,00", "-EUR 3"],
    "narrow": ["1\u00a0234,50 €", "5 €"],
    "minus": ["\u22125", "3.2", "-1"],
    "swiss": ["1'234.50", "5.00"],
    "scaled": ["$1.2K", "$950", "-$3M", "$ 4 M"],
    "views": ["1,2 Mio.", "3 bn", "40 k", "7 b"],
    "behind": ["1.234,50-", "5,00", "7- "],
    "gaps": ["0.1", "0.25", "NA", "3"],
    "iso": ["2024-01-05", "2024-02-29 10:30", "2024-02-29T10:30:05.5Z"],
    "dmy": ["05.01.2024", "13.1.2024 10:30"],
    "mdy": ["1/5/2024 3:30 PM", "1/15/2024 12:05:09am"],
    "short": ["15/1/24", "1/2/99"],
    "slashed": ["2024/01/05", "2024/1/5 10:00"],
    "compact": ["20240105", "20231231"],
    "named": ["05-Jan-2024", "7-FEB-2023"],
    "american": ["Jan 5, 2024", "September 15, 2023 10:30"],
    "english_date": ["5 Jan 24", "6 May 99"],
    "clock": ["13:45", "06:00:30"],
    "half": ["12:30 AM", "12:30 pm", "3:05:10PM"],
    "zone": ["2024-01-05 10:00:00+02:00", "2024-01-06 10:00:00+02:00"],
    "winter": ["2024-01-05 10:00:00+01", "2024-07-06T10:00:00.5-0230", "2024-07-06 10:00Z"],
    "form": ["2024/01/05 9:33:21 AM GMT+1", "2024/07/06 12:05:09 PM GMT"],
    "log": ["05.01.2024 10:00:00,123", "06.01.2024 10:00:01 ", "06.01.2024"],
    "ticket": ["05/Jan/24 9:33 AM", "06/Feb/24 12:05 PM"],
    "offset_clock": ["10:00:01,5 UTC", "13:45 GMT+2"],
    "utc": ["2024-01-05 10:00:00 UTC", "2024-01-05 11:00:00 UTC"],
    "created_at": ["1704067200", "1704153600"],
    "timestamp": ["1704067200000", "1704153600123"],
    "text": ["Braund, Mr. Owen", "Heikkinen, Miss. Laina", "(Mr. Smith)", "the MISS of \"miss\" miss"],
    "more": ["red wine", "white wine, dry", "red"],
    "flag": ["ja", "Nein"],
    "word": ["a", "b", "c d"],
}
HOSTILE = [
    "", " ", "\t", "\n", " 12 ", "\t12\n", "-1e5", "1e400", "1E+003", ".5", "5.", ".", "inf", "nan", "None", "<NA>",
    "?", "$", "--5", "- -5", "($)", "()", "(5", "5)", "$ $5", "1,234,567,890,123,456,789,012", "1.234.567,", "5,",
    "  $  5", "1,234,567,890,123,456,789,012,345", "(-5)", "\u2212-5", "13:60", "24:00", "0:00", "00:00 AM", "13:00 PM",
    "Feb 30, 2024", "feb 5, 2024", "FEB 5 2024", "\u017feptember 5, 2024", "mr", "Mr.,", "MR.", "a\tb", "5 kg kg",
    "\u2167", "2024-02-30", "2023-01-01T25:00", "0000-01-01", "1" * 120, "\u0661", "miss  miss", "((miss))",
    "red\nwine", "'", '"',
]
# fmt: on


def _frame(rows: int = ROWS) -> pl.DataFrame:
    texts = ("text", "more")
    cells = {
        name: [v[k % len(v)] + (f" n{k}" if name in texts else "") for k in range(rows)] for name, v in CELLS.items()
    }
    return pl.DataFrame({**cells, "t": [("a", "b")[k % 2] for k in range(rows)]}).cast(pl.String)


@pytest.fixture(scope="module")
def parser():
    """The features of every kind, and a session with nothing but the parsing of their cells."""
    frame = _frame()
    features = fit_features(frame, understand(frame, target="t"), np.ones(ROWS, dtype=bool))
    assert [feature.name for feature in features] == list(CELLS)
    graph = Graph("lml.")
    made = (
        (number_matrix, TensorProto.DOUBLE), (code_matrix, TensorProto.INT64), (count_matrix, TensorProto.FLOAT),
    )  # fmt: skip
    outputs = [helper.make_tensor_value_info(make(graph, features), kind, ["rows", f"{kind}"]) for make, kind in made]
    types = {InputType.FLOAT: TensorProto.FLOAT, InputType.STRING: TensorProto.STRING}
    inputs = [helper.make_tensor_value_info(f.input, types[f.type], ["rows", 1]) for f in features]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "cells", inputs, outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 4)],
        ir_version=10,
    )
    onnx.checker.check_model(model, full_check=True)
    return features, onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _agree(parser, frame: pl.DataFrame) -> tuple[np.ndarray, ...]:
    features, session = parser
    assert {feature.type for feature in features} == {InputType.STRING}
    feed = {f.input: np.array(frame[f.name].to_list(), dtype=object).reshape(-1, 1) for f in features}
    expected = encode(frame, features).matrices(slice(None))
    for got, wanted in zip(session.run(None, feed), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-9)
    return expected


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 1000])
def test_every_kind_in_batches_of_any_size(parser, rows):
    """All kinds agree on cells of their own, whatever the number of rows; and none of them is missing but the gaps."""
    numbers, codes, counts = _agree(parser, _frame(rows))
    assert numbers.shape == (rows, len(number_features(parser[0])))
    assert codes.shape == (rows, len(category_features(parser[0])))
    assert counts.shape == (rows, sum(len(f.words) for f in text_features(parser[0])))
    known = [f.name not in {"comma", "gaps"} for f in number_features(parser[0])]
    assert not np.isnan(numbers[:, known]).any()


def test_every_cell_in_every_column(parser):
    """Each hostile cell, and each cell of every other kind, is read alike: all in one batch, and one by one."""
    cells = [*HOSTILE, *(cell for cells in CELLS.values() for cell in cells)]
    _agree(parser, pl.DataFrame(dict.fromkeys(CELLS, cells)))
    for cell in HOSTILE:
        _agree(parser, pl.DataFrame({name: [cell] for name in CELLS}))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_cells(parser, data):
    """A cell with a few characters put in, taken out or changed is read alike, or missing in both."""
    marks = st.text("0123456789.,'-+()$€ %kgEURapmPMTZ:/JanFeb\u00a0\u2212\t\n", max_size=2)

    def damaged(cell: str) -> str:
        start = data.draw(st.integers(0, len(cell)))
        return cell[:start] + data.draw(marks) + cell[start + data.draw(st.integers(0, 1)) :]

    rows = data.draw(st.integers(1, 3))
    _agree(
        parser,
        pl.DataFrame(
            {n: [damaged(data.draw(st.sampled_from(cells))) for _ in range(rows)] for n, cells in CELLS.items()}
        ),
    )


def test_words_count_in_any_case_and_with_punctuation_around(parser):
    """Of a text, each piece between blanks counts for the word that it spells."""
    feature = next(f for f in parser[0] if f.name == "text")
    cells = ["(miss, MISS. Miss! owen", "", "unmissable NA", "None"]
    counts = encode(pl.DataFrame({"text": cells}), [feature]).matrices(slice(None))[2]
    assert counts[0, feature.words.index("miss")] == 3
    assert counts[0].sum() == 4
    assert not counts[1:].any()
