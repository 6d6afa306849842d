"""The parsing of raw cells inside the model file; it follows the features' own tables and patterns (`encode.py`)."""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from workers.core.encode import Feature, InputType, category_features, missing_keys, number_features, text_features
from workers.core.graph_dates import date_column
from workers.core.graph_nodes import Graph
from workers.core.graph_strings import guarded, number_of, piece, removed, without_last, word
from workers.core.kinds import Kind
from workers.core.numbers import NumberStyle


def number_matrix(graph: Graph, features: Sequence[Feature]) -> str:
    """[rows, numbers] float64; '' where no feature is a number."""
    numbers = number_features(features)
    return graph.concat(_number_blocks(graph, numbers)) if numbers else ""


def code_matrix(graph: Graph, features: Sequence[Feature]) -> str:
    """[rows, categories] int64; '' where no feature is a category."""
    categories = category_features(features)
    return graph.concat([_code(graph, feature) for feature in categories]) if categories else ""


def count_matrix(graph: Graph, features: Sequence[Feature]) -> str:
    """[rows, words] float32 of the texts; '' where no feature is a text."""
    texts = text_features(features)
    return graph.concat([_counts(graph, feature) for feature in texts]) if texts else ""


def _number_blocks(graph: Graph, numbers: Sequence[Feature]) -> list[str]:
    """Blocks [rows, k] float64 in the order of `numbers`."""
    floats = [f.input for f in numbers if f.type is InputType.FLOAT]
    blocks = [graph.cast(graph.concat(floats), TensorProto.DOUBLE)] if floats else []
    blocks += [f.input for f in numbers if f.type is InputType.DOUBLE]
    for feature in numbers:
        if feature.type is InputType.STRING:
            blocks.append(_parsed(graph, feature))
    return blocks


def _parsed(graph: Graph, feature: Feature) -> str:
    """[rows, 1] float64."""
    if feature.kind is Kind.BOOLEAN:
        return _parse_boolean(graph, feature)
    if feature.date:
        return date_column(graph, feature.input, feature.date)
    value = _parse_number(graph, feature.input, feature.style)
    if feature.rounded:
        value = graph.cast(graph.cast(value, TensorProto.FLOAT), TensorProto.DOUBLE)
    return value


def _parse_number(graph: Graph, cells: str, style: NumberStyle) -> str:
    """[rows, 1] float64; the counterpart of `numbers.read_numbers`.

    The cast throws on what is no number, so it only ever sees numbers and "nan".
    """
    if style.is_plain:
        is_number = graph.add("RegexFullMatch", cells, pattern=style.pattern)
        return number_of(graph, graph.add("Where", is_number, cells, word(graph, "nan")))
    is_number, text = guarded(graph, cells, pattern=style.pattern, fullest=style.fullest)
    for literal, most in style.removed:
        text = removed(graph, text, literal, most + 1)
    text = removed(graph, text, "", style.most_words)
    if style.decimal != ".":
        # With one more at its end, every number has two pieces at least, and the fullest cell has three.
        pieces = graph.split(graph.add("StringConcat", text, word(graph, style.decimal)), style.decimal, 2)
        whole_part = graph.add("StringConcat", piece(graph, pieces, 0), word(graph, "."))
        text = graph.add("StringConcat", whole_part, piece(graph, pieces, 1))
    value = without_last(graph, number_of(graph, text))
    for pattern, factor in style.multiplied:
        is_scaled = graph.add("RegexFullMatch", cells, pattern=pattern)
        value = graph.add("Where", is_scaled, graph.add("Mul", value, graph.number(factor)), value)
    if style.negated:
        minus = graph.add("RegexFullMatch", cells, pattern=style.negated)
        value = graph.add("Where", minus, graph.add("Neg", value), value)
    return graph.add("Where", is_number, value, graph.number(np.nan))


def _parse_boolean(graph: Graph, feature: Feature) -> str:
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


def _code(graph: Graph, feature: Feature) -> str:
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


def _counts(graph: Graph, feature: Feature) -> str:
    """[rows, words] float32; the counterpart of `texts.count_tokens`."""
    # A last row of one word, taken off again below: neither a batch without rows nor one without words is special.
    flat = graph.add("Reshape", feature.input, graph.constant(np.array([-1])))
    cells = graph.add("Concat", flat, graph.constant(np.array([feature.keys[0][0]], dtype=object)), axis=0)
    pieces = graph.split(cells, " ", -1)  # [rows + 1, pieces], '' where a cell has fewer
    numbers = graph.add(
        "LabelEncoder",
        pieces,
        domain="ai.onnx.ml",
        keys_strings=[spelling for spelling, _ in feature.keys],
        values_int64s=[number for _, number in feature.keys],
        default_int64=-1,
    )
    count = len(feature.words)
    counts = graph.add(
        "TfIdfVectorizer",
        numbers,
        mode="TF",
        min_gram_length=1,
        max_gram_length=1,
        max_skip_count=0,
        ngram_counts=[0],
        ngram_indexes=list(range(count)),
        pool_int64s=list(range(count)),
    )
    return without_last(graph, counts)
