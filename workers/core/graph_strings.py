"""What the parsing of cells is made of: cutting, joining and guarding strings with the operators that there are.

ONNX can cut a string at a delimiter and join two strings, but replaces nothing. The number of pieces of a cut follows
from the fullest cell of a batch; so a cell with everything in it is appended to each batch and taken off at the end
(`guarded`, `without_last`), and graphs know how many pieces there are.
"""

import numpy as np
from onnx import TensorProto

from workers.core.graph_nodes import Graph


def guarded(graph: Graph, cells: str, *, pattern: str, fullest: str) -> tuple[str, str]:
    """Which cells are of the pattern, [rows, 1] bool; and the cells, `fullest` for those that are not and once more
    at the end, [rows + 1, 1].
    """
    matches = graph.add("RegexFullMatch", cells, pattern=pattern)
    last = word(graph, fullest)
    return matches, graph.add("Concat", graph.add("Where", matches, cells, last), last, axis=0)


def without_last(graph: Graph, rows: str) -> str:
    """[rows + 1, ...] to [rows, ...]."""
    minus_one, first = graph.constant(np.array([-1])), graph.constant(np.array([0]))
    return graph.add("Slice", rows, first, minus_one, first)


def removed(graph: Graph, cells: str, literal: str, pieces: int) -> str:
    """The cells without the literal, '' for blanks, that cuts the fullest one into so many pieces."""
    parts = graph.split(cells, literal, pieces - 1)
    joined = piece(graph, parts, 0)
    for k in range(1, pieces):
        joined = graph.add("StringConcat", joined, piece(graph, parts, k))
    return joined


def before(graph: Graph, cells: str, delimiter: str) -> str:
    """What stands in front of the first delimiter; all of a cell without one."""
    return piece(graph, graph.split(ended(graph, cells, delimiter), delimiter, 1), 0)


def ended(graph: Graph, cells: str, delimiter: str) -> str:
    """The cells with the delimiter appended, so that splitting always gives one piece more."""
    return graph.add("StringConcat", cells, word(graph, delimiter))


def piece(graph: Graph, pieces: str, k: int) -> str:
    """[..., pieces] to [...]."""
    return graph.add("Gather", pieces, graph.constant(np.array(k)), axis=-1)


def word(graph: Graph, text: str) -> str:
    """A string, [1, 1]."""
    return graph.constant(np.array([[text]], dtype=object))


def number_of(graph: Graph, cells: str) -> str:
    """The numbers that stand in the cells, float64. One that is no number fails the whole batch."""
    return graph.cast(cells, TensorProto.DOUBLE)
