"""The model as an ONNX graph with all preprocessing inside: raw cells in, labels and probabilities or predictions out.

Built by hand from the operators of the standard (a few milliseconds, where tracing takes seconds and may bake in a
batch size). Four parts: the parsing of cells (`graph_cells.py`), the arithmetic of `features.Preprocess`, the members
of the model (`graph_layers.py`, `graph_trees.py`), and how they are blended.
"""

import json
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from shared.specs import Task
from workers.core.encode import Feature, InputType
from workers.core.features import FARTHEST, WEEK_DAYS, YEAR_DAYS
from workers.core.graph_cells import code_matrix, count_matrix, number_matrix
from workers.core.graph_layers import add_body
from workers.core.graph_nodes import Graph
from workers.core.graph_trees import add_trees
from workers.core.predictor import NetMember, Predictor, TreeMember

OPSET, ML_OPSET, IR_VERSION = 20, 4, 10
ROWS = "rows"  # the name of the first dimension of every input and output

_ONNX_TYPES = {
    InputType.FLOAT: TensorProto.FLOAT,
    InputType.DOUBLE: TensorProto.DOUBLE,
    InputType.STRING: TensorProto.STRING,
}


def build_graph(
    predictor: Predictor, features: Sequence[Feature], classes: Sequence[str], *, target: str
) -> onnx.ModelProto:
    """The model file of a trained predictor.

    Inputs: one [rows, 1] tensor for each feature, named as the header cell. Outputs: `label` [rows] string and
    `probabilities` [rows, classes] float32, or `prediction` [rows, 1] float32. The metadata hold `columns` (input to
    column), `classes`, `task` and `target`, as JSON.
    """
    graph = Graph(prefix=_free_prefix(features))
    out = _blend(graph, predictor, _preprocess(graph, predictor, features))
    if predictor.task is Task.REGRESSION:
        scaled = graph.add("Mul", graph.cast(out, TensorProto.DOUBLE), graph.constant(predictor.target_sd.numpy()))
        moved = graph.add("Add", scaled, graph.constant(predictor.target_mean.numpy()))
        graph.add("Cast", moved, to=TensorProto.FLOAT, out="prediction")
        outputs = [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [ROWS, 1])]
    else:
        graph.add("Identity", out, out="probabilities")
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
        "task": json.dumps(predictor.task.value),
        "target": json.dumps(target, ensure_ascii=False),
    }
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    return model


def _free_prefix(features: Sequence[Feature]) -> str:
    """A start for the names of inner tensors that no column has."""
    prefix = "lml."
    while any(feature.input.startswith(prefix) for feature in features):
        prefix = f"_{prefix}"
    return prefix


def _preprocess(graph: Graph, predictor: Predictor, features: Sequence[Feature]) -> str:
    """[rows, D] float32; the counterpart of `Preprocess.forward`."""
    fitted, blocks = predictor.preprocess, list[str]()
    numbers = number_matrix(graph, features)
    if numbers:
        centred = graph.add("Sub", numbers, graph.constant(fitted.mean.numpy()[None]))
        scaled = graph.add("Div", centred, graph.constant(fitted.sd.numpy()[None]))
        # Min and Max pass a NaN on, Clip need not.
        scaled = graph.add("Max", graph.add("Min", scaled, graph.number(FARTHEST)), graph.number(-FARTHEST))
        blocks.append(graph.cast(scaled, TensorProto.FLOAT))
        if len(fitted.dates):
            missing = graph.add("IsNaN", numbers)
            filled = graph.add("Where", missing, graph.constant(fitted.median.numpy()[None]), numbers)
            days = graph.columns(filled, fitted.dates.numpy())
            blocks += _phase(graph, graph.add("Div", days, graph.number(YEAR_DAYS)))
            blocks += _phase(graph, graph.add("Div", graph.add("Floor", days), graph.number(WEEK_DAYS)))
            if len(fitted.timed):
                blocks += _phase(graph, graph.columns(filled, fitted.timed.numpy()))
    codes, counts = code_matrix(graph, features), count_matrix(graph, features)
    if codes:
        blocks.append(graph.cast(codes, TensorProto.FLOAT))
    if counts:
        one = graph.constant(np.array(1.0, dtype=np.float32))
        blocks.append(graph.add("Log", graph.add("Add", counts, one)))
    return graph.concat(blocks)


def _phase(graph: Graph, turns: str) -> list[str]:
    """Two blocks [rows, D] float32; the counterpart of `features._phase`."""
    rest = graph.add("Sub", turns, graph.add("Floor", turns))
    angle = graph.add("Mul", rest, graph.number(2.0 * np.pi))
    return [graph.cast(graph.add(op, angle), TensorProto.FLOAT) for op in ("Sin", "Cos")]


def _blend(graph: Graph, predictor: Predictor, matrix: str) -> str:
    """[rows, classes] probabilities or [rows, 1] deviations; the counterpart of `Predictor.blended`."""
    regression = predictor.task is Task.REGRESSION
    outs = []
    for member, weight in zip(predictor.members, predictor.weights, strict=True):
        match member:
            case NetMember():
                out = add_body(graph, member, matrix, softmax=not regression)
            case TreeMember():
                out = add_trees(graph, member, matrix, task=predictor.task)
            case _:
                raise TypeError(f"no ONNX counterpart of {type(member).__name__}")
        outs.append(out if len(predictor.members) == 1 else graph.add("Mul", out, _single(graph, weight)))
    blended = outs[0] if len(outs) == 1 else graph.add("Sum", *outs)
    if regression or predictor.temperature == 1.0:
        return blended
    safe = graph.add("Clip", blended, _single(graph, 1e-7), _single(graph, 1.0))
    cooled = graph.add("Div", graph.add("Log", safe), _single(graph, predictor.temperature))
    return graph.add("Softmax", cooled, axis=1)


def _single(graph: Graph, value: float) -> str:
    return graph.constant(np.array(value, dtype=np.float32))
