"""The layers of a body as nodes of the model file; each the counterpart of one in `layers.py`."""

import numpy as np
from onnx import TensorProto
from torch import Tensor, nn

from workers.core.graph_nodes import Graph
from workers.core.layers import BatchNorm, Dense, Expand, LayerNorm, Members, PiecewiseLinear
from workers.core.predictor import NetMember


def add_body(graph: Graph, member: NetMember, matrix: str, *, softmax: bool) -> str:
    """What a body says of `matrix` [rows, D]: probabilities or deviations, averaged over folds and members."""
    out, axes = _layer(graph, member.body, matrix), list(range(member.folded + member.membered))
    if softmax:
        out = graph.add("Softmax", out, axis=-1)
    return graph.add("ReduceMean", out, graph.constant(np.array(axes, dtype=np.int64)), keepdims=0) if axes else out


def _layer(graph: Graph, layer: nn.Module, x: str) -> str:  # noqa: PLR0911, PLR0912 - one case for each layer, side by side
    """A layer that is not known here cannot be exported, so no model may use it."""
    match layer:
        case nn.Sequential():
            for inner in layer:
                x = _layer(graph, inner, x)
            return x
        case Expand():
            return _expand(graph, layer, x)
        case PiecewiseLinear():
            return _piecewise(graph, layer, x)
        case Dense():
            if layer.weight.dim() == 2:
                return graph.add("Gemm", x, _values(graph, layer.weight), _values(graph, layer.bias))
            return graph.add("Add", graph.add("MatMul", x, _values(graph, layer.weight)), _values(graph, layer.bias))
        case BatchNorm():
            scale = layer.weight * (layer.running_var + layer.epsilon).rsqrt()
            shift = layer.bias - layer.running_mean * scale
            return graph.add("Add", graph.add("Mul", x, _values(graph, scale)), _values(graph, shift))
        case LayerNorm():
            width = layer.weight.shape[-1]
            flat = graph.constant(np.ones(width, dtype=np.float32)), graph.constant(np.zeros(width, dtype=np.float32))
            x = graph.add("LayerNormalization", x, *flat, axis=-1, epsilon=layer.epsilon)
            return graph.add("Add", graph.add("Mul", x, _values(graph, layer.weight)), _values(graph, layer.bias))
        case Members():
            return _members(graph, layer, x)
        case nn.ReLU():
            return graph.add("Relu", x)
        case nn.Sigmoid():
            return graph.add("Sigmoid", x)
        case nn.Tanh():
            return graph.add("Tanh", x)
        case nn.GELU():
            return graph.add("Gelu", x)
        case nn.SiLU():
            return graph.add("Mul", x, graph.add("Sigmoid", x))
        case nn.Dropout():
            return x  # only acts in training
    raise TypeError(f"no ONNX counterpart of {type(layer).__name__}")


def _expand(graph: Graph, layer: Expand, x: str) -> str:
    """[rows, width]; the counterpart of `Expand.forward`."""
    layout, blocks = layer.layout, list[str]()
    if layout.numbers:
        numbers = graph.columns(x, np.arange(layout.numbers))
        missing = graph.add("IsNaN", numbers)
        if len(layer.kept):
            filled = graph.add("Where", missing, graph.constant(layer.fill.numpy()[None]), numbers)
            filled = graph.columns(filled, layer.kept.numpy())
            if layer.cut is not None:
                filled = _cut(graph, filled, -layer.cut, layer.cut)
            blocks.append(filled)
        if len(layer.flagged):
            blocks.append(graph.cast(graph.columns(missing, layer.flagged.numpy()), TensorProto.FLOAT))
    if layout.phases:
        blocks.append(graph.columns(x, np.arange(layout.dense.start, layout.dense.stop)))
    if len(layer.slot_column):
        slots = graph.columns(x, layer.slot_column.numpy())
        met = graph.add("Equal", slots, graph.constant(layer.slot_code.numpy()[None]))
        blocks.append(graph.cast(met, TensorProto.FLOAT))
    if layout.counts:
        blocks.append(graph.columns(x, np.arange(layout.counted.start, layout.counted.stop)))
    return graph.concat(blocks)


def _piecewise(graph: Graph, layer: PiecewiseLinear, x: str) -> str:
    """[rows, width]; the counterpart of `PiecewiseLinear.forward`."""
    expanded = _expand(graph, layer.expand, x)
    if not len(layer.column):
        return expanded
    numbers = graph.columns(x, layer.column.numpy())
    through = graph.add("Sub", numbers, graph.constant(layer.lower.numpy()[None]))
    through = graph.add("Mul", through, graph.constant(layer.scale.numpy()[None]))
    # Min and Max pass a NaN on.
    through = graph.add("Max", through, graph.constant(layer.least.numpy()[None]))
    through = graph.add("Min", through, graph.constant(layer.most.numpy()[None]))
    zero = graph.constant(np.array(0.0, dtype=np.float32))
    through = graph.add("Where", graph.add("IsNaN", numbers), zero, through)
    return graph.concat([graph.add("Sub", through, graph.constant(layer.centre.numpy()[None])), expanded])


def _members(graph: Graph, layer: Members, x: str) -> str:
    """[(K,) members, rows, out]: the members come before the rows, unlike in `Members.forward`, as averages allow."""
    adapter = layer.adapter.squeeze(-3) if layer.folds > 1 else layer.adapter
    adapter = adapter.unsqueeze(-2)  # [(K,) members, 1, in]
    scaled = graph.add("Mul", x, _values(graph, adapter))  # [(K,) members, rows, in]
    inner = scaled
    for shared in layer.shared:
        if isinstance(shared, Dense) and layer.folds > 1:
            weight, bias = shared.weight.detach()[:, None], shared.bias.detach()[:, None]
            inner = graph.add("Add", graph.add("MatMul", inner, _values(graph, weight)), _values(graph, bias))
        elif isinstance(shared, Dense):
            product = graph.add("MatMul", inner, _values(graph, shared.weight))
            inner = graph.add("Add", product, _values(graph, shared.bias))
        else:
            inner = _layer(graph, shared, inner)
    return graph.add("Add", graph.add("MatMul", inner, _values(graph, layer.weight)), _values(graph, layer.bias))


def _cut(graph: Graph, x: str, low: float, high: float) -> str:
    bounds = (graph.constant(np.array(value, dtype=np.float32)) for value in (low, high))
    return graph.add("Clip", x, *bounds)


def _values(graph: Graph, tensor: Tensor) -> str:
    return graph.constant(tensor.detach().cpu().contiguous().numpy())
