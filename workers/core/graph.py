"""The model as an ONNX graph with all preprocessing inside: raw cells in, labels and probabilities or predictions out.

Built by hand from the operators of the standard (a few milliseconds, where tracing takes seconds and may bake in a
batch size). Three parts: the parsing of cells, which follows the features' own tables; the arithmetic of
`features.Preprocess`; the layers.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from shared.specs import Task
from workers.core.columns import Kind
from workers.core.encode import Feature, InputType, category_features, missing_keys, number_features
from workers.core.features import WEEK_DAYS, YEAR_DAYS, Network
from workers.core.words import DATE, NUMBER, padded

OPSET, ML_OPSET, IR_VERSION = 20, 4, 10
ROWS = "rows"  # the name of the first dimension of every input and output

_ONNX_TYPES = {
    InputType.FLOAT: TensorProto.FLOAT,
    InputType.DOUBLE: TensorProto.DOUBLE,
    InputType.STRING: TensorProto.STRING,
}
# A date with every part, so that splitting gives the same number of pieces for any batch; its value is never used.
_FULL_DATE = "1970-01-01T00:00:00Z"


def build_graph(
    network: Network, features: Sequence[Feature], classes: Sequence[str], *, target: str
) -> onnx.ModelProto:
    """The model file of a trained network.

    Inputs: one [rows, 1] tensor for each feature, named as the header cell. Outputs: `label` [rows] string and
    `probabilities` [rows, classes] float32, or `prediction` [rows, 1] float32. The metadata hold `columns` (input to
    column), `classes`, `task` and `target`, as JSON.
    """
    graph = _Graph(prefix=_free_prefix(features))
    matrix = _preprocess(graph, network, features)
    out = _layers(graph, network.body, matrix)
    if network.task is Task.REGRESSION:
        scaled = graph.add("Mul", graph.cast(out, TensorProto.DOUBLE), graph.constant(network.target_sd.numpy()))
        moved = graph.add("Add", scaled, graph.constant(network.target_mean.numpy()))
        graph.add("Cast", moved, to=TensorProto.FLOAT, out="prediction")
        outputs = [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [ROWS, 1])]
    else:
        graph.add("Softmax", out, axis=1, out="probabilities")
        best = graph.add("ArgMax", "probabilities", axis=1, keepdims=0)
        graph.add("Gather", graph.constant(np.array(list(classes), dtype=object)), best, axis=0, out="label")
        outputs = [
            helper.make_tensor_value_info("label", TensorProto.STRING, [ROWS]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [ROWS, len(classes)]),
        ]
    inputs = [helper.make_tensor_value_info(f.input, _ONNX_TYPES[f.type], [ROWS, 1]) for f in features]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "lml", inputs, outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="lml",
    )
    facts = {
        "columns": json.dumps({f.input: f.name for f in features}, ensure_ascii=False),
        "classes": json.dumps(list(classes), ensure_ascii=False),
        "task": json.dumps(network.task.value),
        "target": json.dumps(target, ensure_ascii=False),
    }
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and initializers under construction; every method that adds a node returns the name of its output."""

    def __init__(self, prefix: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._prefix, self._names = prefix, 0
        self._constants: dict[tuple[Any, ...], str] = {}

    def add(self, op: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        name = out or self._name()
        self.nodes.append(helper.make_node(op, list(inputs), [name], domain=domain, **attributes))
        return name

    def split(self, cells: str, delimiter: str, most: int) -> str:
        """[..., pieces] string."""
        pieces = self._name()
        self.nodes.append(
            helper.make_node("StringSplit", [cells], [pieces, self._name()], delimiter=delimiter, maxsplit=most)
        )
        return pieces

    def cast(self, tensor: str, to: int) -> str:
        return self.add("Cast", tensor, to=to)

    def constant(self, value: np.ndarray) -> str:
        key = (value.dtype.str, value.shape, value.tobytes() if value.dtype != object else tuple(value.ravel()))
        if key not in self._constants:
            self._constants[key] = name = self._name()
            self.initializers.append(numpy_helper.from_array(value, name))
        return self._constants[key]

    def number(self, value: float) -> str:
        return self.constant(np.array(value, dtype=np.float64))

    def columns(self, matrix: str, indices: np.ndarray) -> str:
        return self.add("Gather", matrix, self.constant(indices), axis=1)

    def concat(self, blocks: list[str]) -> str:
        return blocks[0] if len(blocks) == 1 else self.add("Concat", *blocks, axis=1)

    def _name(self) -> str:
        self._names += 1
        return f"{self._prefix}{self._names}"


def _free_prefix(features: Sequence[Feature]) -> str:
    """A start for the names of inner tensors that no column has."""
    prefix = "lml."
    while any(feature.input.startswith(prefix) for feature in features):
        prefix = f"_{prefix}"
    return prefix


def _preprocess(graph: _Graph, network: Network, features: Sequence[Feature]) -> str:
    """[rows, width] float32; the counterpart of `Preprocess.forward`."""
    fitted, blocks = network.preprocess, list[str]()
    numbers, categories = number_features(features), category_features(features)
    if numbers:
        matrix = graph.concat(_number_blocks(graph, numbers))
        missing = graph.add("IsNaN", matrix)
        filled = graph.add("Where", missing, graph.constant(fitted.median.numpy()[None]), matrix)
        centred = graph.add("Sub", filled, graph.constant(fitted.mean.numpy()[None]))
        scaled = graph.add("Div", centred, graph.constant(fitted.sd.numpy()[None]))
        blocks.append(graph.cast(scaled, TensorProto.FLOAT))
        if len(fitted.flagged):
            blocks.append(graph.cast(graph.columns(missing, fitted.flagged.numpy()), TensorProto.FLOAT))
        if len(fitted.dates):
            days = graph.columns(filled, fitted.dates.numpy())
            blocks += _phase(graph, graph.add("Div", days, graph.number(YEAR_DAYS)))
            blocks += _phase(graph, graph.add("Div", graph.add("Floor", days), graph.number(WEEK_DAYS)))
        if len(fitted.timed):
            blocks += _phase(graph, graph.columns(filled, fitted.timed.numpy()))
    if len(fitted.slot_column):
        codes = graph.concat([_code(graph, feature) for feature in categories])
        slots = graph.add(
            "Equal", graph.columns(codes, fitted.slot_column.numpy()), graph.constant(fitted.slot_code.numpy()[None])
        )
        blocks.append(graph.cast(slots, TensorProto.FLOAT))
    return graph.concat(blocks)


def _number_blocks(graph: _Graph, numbers: Sequence[Feature]) -> list[str]:
    """Blocks [rows, k] float64 in the order of `numbers`."""
    floats = [f.input for f in numbers if f.type is InputType.FLOAT]
    blocks = [graph.cast(graph.concat(floats), TensorProto.DOUBLE)] if floats else []
    blocks += [f.input for f in numbers if f.type is InputType.DOUBLE]
    for feature in numbers:
        if feature.type is InputType.STRING:
            blocks.append(_PARSERS[feature.kind](graph, feature))
    return blocks


def _parse_number(graph: _Graph, feature: Feature) -> str:
    """[rows, 1] float64. The cast throws on what is no number, so it only ever sees numbers and "nan"."""
    is_number = graph.add("RegexFullMatch", feature.input, pattern=padded(NUMBER))
    guarded = graph.add("Where", is_number, feature.input, _word(graph, "nan"))
    return graph.cast(guarded, TensorProto.DOUBLE)


def _parse_boolean(graph: _Graph, feature: Feature) -> str:
    """[rows, 1] float64."""
    value = graph.add(
        "LabelEncoder",
        feature.input,
        domain="ai.onnx.ml",
        keys_strings=[spelling for spelling, _ in feature.keys],
        values_floats=[float(code) for _, code in feature.keys],
        default_float=float("nan"),
    )
    return graph.cast(value, TensorProto.DOUBLE)


def _parse_date(graph: _Graph, feature: Feature) -> str:
    """[rows, 1] float64 days since 1970-01-01; the counterpart of `encode._days`, where its arithmetic is explained."""
    is_date = graph.add("RegexFullMatch", feature.input, pattern=padded(DATE))
    guarded = graph.add("Where", is_date, feature.input, _word(graph, _FULL_DATE))
    # A whole date as last row, taken off again below: the number of pieces no longer depends on the batch.
    cells = graph.add("Concat", guarded, _word(graph, _FULL_DATE), axis=0)
    dashed = graph.split(cells, "-", 2)  # [rows + 1, 1, 3]: year, month, the rest
    year = _double(graph, _piece(graph, dashed, 0))
    month = _double(graph, _piece(graph, dashed, 1))
    rest = _piece(graph, dashed, 2)
    with_t = graph.split(rest, "T", 1)
    # "05T12:30" falls apart at the T; "05 12:30", and "05 " with a blank behind it, at the blank.
    before, after = _piece(graph, with_t, 0), _piece(graph, with_t, 1)
    spaced = graph.split(_ended(graph, before, " "), " ", 1)
    day = _double(graph, _piece(graph, spaced, 0))
    time = graph.add("Where", graph.add("Equal", after, _word(graph, "")), _piece(graph, spaced, 1), after)
    # "Z" and blanks behind the time go; missing parts of it become zeros.
    has_time = graph.add("RegexFullMatch", time, pattern=r".*[0-9]:[0-9](?s:.*)")
    clock = graph.add("Where", has_time, time, _word(graph, "00:00:00"))
    plain = _piece(graph, graph.split(_ended(graph, clock, "Z"), "Z", 1), 0)
    parts = graph.split(_ended(graph, plain, ":"), ":", 3)
    hour, minute, second = (_part(graph, _piece(graph, parts, k)) for k in range(3))
    seconds = graph.add("Mul", graph.add("Add", graph.add("Mul", hour, graph.number(60)), minute), graph.number(60))
    fraction = graph.add("Div", graph.add("Add", seconds, second), graph.number(86_400))
    days = graph.add("Add", _civil_days(graph, year, month, day), fraction)
    minus_one, first = graph.constant(np.array([-1])), graph.constant(np.array([0]))
    days = graph.add("Slice", days, first, minus_one, first)
    return graph.add("Where", is_date, days, graph.number(np.nan))


_PARSERS = {Kind.NUMBER: _parse_number, Kind.BOOLEAN: _parse_boolean, Kind.DATE: _parse_date}


def _civil_days(graph: _Graph, year: str, month: str, day: str) -> str:
    """The counterpart of `encode.civil_days`, operation by operation."""

    def quotient(value: str, divisor: float) -> str:
        return graph.add("Floor", graph.add("Div", value, graph.number(divisor)))

    shifted = quotient(graph.add("Sub", graph.number(14), month), 12)
    y = graph.add("Sub", year, shifted)
    m = graph.add("Sub", graph.add("Add", month, graph.add("Mul", shifted, graph.number(12))), graph.number(3))
    leap = graph.add("Add", graph.add("Sub", quotient(y, 4), quotient(y, 100)), quotient(y, 400))
    months = quotient(graph.add("Add", graph.add("Mul", m, graph.number(153)), graph.number(2)), 5)
    years = graph.add("Add", graph.add("Mul", y, graph.number(365)), leap)
    return graph.add("Sub", graph.add("Add", graph.add("Add", day, months), years), graph.number(719_469))


def _code(graph: _Graph, feature: Feature) -> str:
    """[rows, 1] int64."""
    missing = missing_keys()
    return graph.add(
        "LabelEncoder",
        feature.input,
        domain="ai.onnx.ml",
        keys_strings=[*missing, *(spelling for spelling, _ in feature.keys)],
        values_int64s=[*[feature.missing] * len(missing), *(code for _, code in feature.keys)],
        default_int64=feature.other,
    )


def _phase(graph: _Graph, turns: str) -> list[str]:
    """Two blocks [rows, D] float32; the counterpart of `features._phase`."""
    rest = graph.add("Sub", turns, graph.add("Floor", turns))
    angle = graph.add("Mul", rest, graph.number(2.0 * np.pi))
    return [graph.cast(graph.add(op, angle), TensorProto.FLOAT) for op in ("Sin", "Cos")]


def _layers(graph: _Graph, body: nn.Sequential, matrix: str) -> str:
    """The body's output for `matrix`. A layer that is not known here cannot be exported, so no model may use it."""
    for layer in body:
        match layer:
            case nn.Linear():
                weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
                matrix = graph.add("Gemm", matrix, graph.constant(weight), graph.constant(bias), transB=1)
            case nn.ReLU():
                matrix = graph.add("Relu", matrix)
            case nn.Hardtanh():
                low, high = (graph.constant(np.array(v, dtype=np.float32)) for v in (layer.min_val, layer.max_val))
                matrix = graph.add("Clip", matrix, low, high)
            case nn.Dropout():
                pass  # only acts in training
            case _:
                raise TypeError(f"no ONNX counterpart of {type(layer).__name__}")
    return matrix


def _word(graph: _Graph, word: str) -> str:
    return graph.constant(np.array([[word]], dtype=object))


def _piece(graph: _Graph, pieces: str, k: int) -> str:
    """[..., pieces] to [...]."""
    return graph.add("Gather", pieces, graph.constant(np.array(k)), axis=-1)


def _double(graph: _Graph, cells: str) -> str:
    return graph.cast(cells, TensorProto.DOUBLE)


def _part(graph: _Graph, cells: str) -> str:
    """A part of a time as a number; 0 where it is not there."""
    known = graph.add("RegexFullMatch", cells, pattern=padded(NUMBER))
    return _double(graph, graph.add("Where", known, cells, _word(graph, "0")))


def _ended(graph: _Graph, cells: str, delimiter: str) -> str:
    """The cells with the delimiter appended, so that splitting always gives one piece more."""
    return graph.add("StringConcat", cells, _word(graph, delimiter))
