"""The nodes of an ONNX graph under construction."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
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
