"""From cells to numbers and codes, with tables fitted on the training part only.

A `Feature` holds everything that is needed to read its column: the same tables and patterns drive this module and the
graph that is exported (`graph.py`), so both read any cell alike. What happens to the numbers afterwards is
`features.py`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, cast

import numpy as np
import polars as pl
from scipy.sparse import csr_array, hstack

from workers.core.columns import Column, as_table
from workers.core.dates import DateFormat, read_dates
from workers.core.kinds import Kind
from workers.core.numbers import CHUNK_ROWS, PLAIN, NumberStyle, read_numbers
from workers.core.table import Table
from workers.core.texts import count_tokens, fit_tokens, token_keys
from workers.core.words import (
    FALSE_WORDS,
    INTEGER,
    MISSING_WORDS,
    NUMBER,
    SPACE,
    TRUE_WORDS,
    spellings,
    whole,
    with_blanks,
)

MOST_WORDS = 1_000
OUTPUT_NAMES = frozenset(("label", "probabilities", "prediction"))
REPORTED_WORDS = 50
TOGETHER_CELLS = 1_000_000  # so many cells of several columns are read at once
FLOAT_INTEGERS = 2**24  # a float32 holds every integer up to here


class InputType(StrEnum):
    """The type of a feature's input of the exported model, as ONNX Runtime names it."""

    FLOAT = "tensor(float)"
    DOUBLE = "tensor(double)"
    STRING = "tensor(string)"


# The order of the number matrix: what comes as numbers first, then what the graph parses.
_NUMBER_ORDER = (InputType.FLOAT, InputType.DOUBLE, InputType.STRING)


@dataclass(frozen=True)
class Feature:
    """One column that the model uses."""

    name: str
    kind: Kind
    input: str
    """Its name in the exported model."""
    type: InputType
    words: tuple[str, ...] = ()
    """The vocabulary of a category: codes count from 0; then one code for any other word, one for missing. The words
    of a text that are counted."""
    keys: tuple[tuple[str, int], ...] = ()
    """Spelling and code of each word of a category, text or boolean (1 true, 0 false); missing words are not among
    those of a category."""
    style: NumberStyle = PLAIN
    """How a number is written."""
    date: DateFormat | None = None
    """How a date or a time of day is written."""
    rounded: bool = False
    """Whether a number that comes as a string is rounded to float32, as one that comes as a number is."""

    @property
    def other(self) -> int:
        """The code of a word that is not in the vocabulary."""
        return len(self.words)

    @property
    def missing(self) -> int:
        """The code of a missing cell of a category."""
        return len(self.words) + 1


@dataclass(frozen=True)
class Cells:
    """The features of some rows, before any statistics; kept column by column, as narrow as they are exact."""

    rows: int
    numbers: tuple[np.ndarray, ...]
    """For each number [rows] float32 or float64, NaN where missing; dates as days since 1970-01-01, booleans as 1 and
    0."""
    codes: tuple[np.ndarray, ...]
    """For each category [rows] int32."""
    counts: csr_array | None = None
    """[rows, words] float32 of all texts, side by side; None where no feature is a text."""

    def matrices(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers [n, P] float64, codes [n, Q] int64 and counts [n, T] float32 of some rows."""
        count = len(range(self.rows)[rows]) if isinstance(rows, slice) else len(rows)
        numbers, codes = np.empty((count, len(self.numbers))), np.empty((count, len(self.codes)), dtype=np.int64)
        for k, column in enumerate(self.numbers):
            numbers[:, k] = column[rows]
        for k, column in enumerate(self.codes):
            codes[:, k] = column[rows]
        counts = np.zeros((count, 0), dtype=np.float32) if self.counts is None else self.counts[rows].toarray()
        return numbers, codes, counts


def missing_keys() -> tuple[str, ...]:
    """Every spelling of a missing cell, each once."""
    blanks = tuple(" " * count for count in range(9))
    return tuple(dict.fromkeys((*blanks, *(key for word in MISSING_WORDS for key in with_blanks(word)))))


def fit_features(table: Table | pl.DataFrame, columns: Sequence[Column], learnt: np.ndarray) -> tuple[Feature, ...]:
    """The features of the used columns; `learnt` [rows] bool marks the rows that vocabularies may be fitted on.

    The type of an input follows from the cells of the whole file: it is part of the model's interface, not of what it
    learnt.
    """
    table = as_table(table)
    inputs, mask, used = _input_names(table.names), pl.Series(learnt), [column for column in columns if column.used]
    types = dict[str, tuple[InputType, bool]]()
    for names, style, cells in _side_by_side(table, used):
        types |= zip(names, _number_types(cells, style, len(names)), strict=True)
    features = list[Feature]()
    for column in used:
        if column.name in types:
            kind, rounded = types[column.name]
            name = inputs[column.name]
            features.append(Feature(column.name, column.kind, name, kind, style=column.style, rounded=rounded))
        else:
            features.append(_fit(column, table.column(column.name), mask, inputs[column.name]))
    return tuple(features)


def encode(table: Table | pl.DataFrame, features: Sequence[Feature]) -> Cells:
    """The cells of a table of strings, with a column for each feature."""
    table = as_table(table)
    wanted, known = number_features(features), dict[str, np.ndarray]()
    for names, style, cells in _side_by_side(table, wanted):
        known |= zip(names, read_numbers(cells, style).reshape(len(names), table.height), strict=True)
    numbers = tuple(
        _narrow(known.pop(one.name), one) if one.name in known else _numbers(table.column(one.name), one)
        for one in wanted
    )
    codes = tuple(_codes(table.column(feature.name), feature) for feature in category_features(features))
    texts = [count_tokens(table.column(f.name), f.keys, len(f.words)) for f in text_features(features)]
    return Cells(table.height, numbers, codes, csr_array(hstack(texts)) if texts else None)


def as_float32(values: np.ndarray) -> np.ndarray:
    """The values in float32; what lies beyond its range is infinite, without a warning."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def number_features(features: Sequence[Feature]) -> list[Feature]:
    """The columns of the number matrix, in its order: float inputs, double inputs, then what is parsed from strings."""
    members = [feature for feature in features if feature.kind not in {Kind.CATEGORY, Kind.TEXT}]
    return sorted(members, key=lambda feature: _NUMBER_ORDER.index(feature.type))


def category_features(features: Sequence[Feature]) -> list[Feature]:
    """The columns of the code matrix, in its order."""
    return [feature for feature in features if feature.kind is Kind.CATEGORY]


def text_features(features: Sequence[Feature]) -> list[Feature]:
    """The texts, in the order in which their words stand in the count matrix."""
    return [feature for feature in features if feature.kind is Kind.TEXT]


def as_plain(feature: Feature) -> dict[str, Any]:
    """What the report says of a feature's input, with the first of its words; `pattern` is what a cell of a number or
    date looks like.
    """
    plain: dict[str, Any] = {"input": feature.input, "input_type": feature.type.value}
    if feature.words:
        plain |= {"words": list(feature.words[:REPORTED_WORDS]), "words_known": len(feature.words)}
    if feature.date:
        plain |= {"date": asdict(feature.date), "pattern": feature.date.pattern}
    elif feature.kind is Kind.NUMBER:
        plain |= {"style": asdict(feature.style), "pattern": feature.style.pattern}
    return plain


def _input_names(names: Sequence[str]) -> dict[str, str]:
    """Each column's name in the model; one that is also the name of an output gets `_input`."""
    taken, inputs = set(names) | OUTPUT_NAMES, {}
    for name in names:
        candidate = name
        while candidate in OUTPUT_NAMES or (candidate != name and candidate in taken):
            candidate += "_input"
        taken.add(candidate)
        inputs[name] = candidate
    return inputs


def parse_numbers(cells: pl.Series) -> pl.Series:
    """[rows] Float64 of the cells that are numbers as programs write them, NaN elsewhere."""
    return pl.Series(cells.name, read_numbers(cells, PLAIN))


def _fit(column: Column, cells: pl.Series, mask: pl.Series, name: str) -> Feature:
    feature = Feature(column.name, column.kind, name, InputType.STRING, style=column.style, date=column.date)
    match column.kind:
        case Kind.BOOLEAN:
            flags = ((1, TRUE_WORDS), (0, FALSE_WORDS))
            return replace(feature, keys=tuple((s, value) for value, ws in flags for w in ws for s in spellings(w)))
        case Kind.CATEGORY:
            words, keys = _vocabulary(cells.filter(mask))
            return replace(feature, words=words, keys=keys)
        case Kind.TEXT:
            tokens = fit_tokens(cells.filter(mask))
            return replace(feature, words=tokens, keys=token_keys(tokens))
    return feature


def _side_by_side(
    table: Table, columns: Sequence[Column] | Sequence[Feature]
) -> Iterator[tuple[list[str], NumberStyle, pl.Series]]:
    """The numbers among the columns, those of one style together as long as they are short: their names, their style,
    and their cells, one column after the other. A wide table has thousands of columns, and each query has its price.
    """
    alike = dict[NumberStyle, list[str]]()
    for column in columns:
        if column.kind is Kind.NUMBER and column.date is None:
            alike.setdefault(column.style, []).append(column.name)
    most = max(1, TOGETHER_CELLS // max(1, table.height))
    for style, names in alike.items():
        for start in range(0, len(names), most):
            part = names[start : start + most]
            yield part, style, pl.concat([table.column(name).alias("cell") for name in part])


def _number_types(cells: pl.Series, style: NumberStyle, columns: int) -> list[tuple[InputType, bool]]:
    """What `_number_type` says of each of the columns whose cells are these."""
    values = read_numbers(cells, style)
    if style.is_plain:
        is_plain = ((cells == "") | cells.str.contains(whole(NUMBER))).to_numpy()
        is_integer = cells.str.strip_chars(SPACE).str.contains(whole(INTEGER)).to_numpy()
    else:
        is_plain, is_integer = np.zeros(len(values), dtype=bool), values % 1.0 == 0
    parts = (one.reshape(columns, -1) for one in (values, is_plain, is_integer))
    return [
        _number_type(known[~np.isnan(known)], known[integer], is_plain=style.is_plain and bool(plain.all()))
        for known, plain, integer in zip(*parts, strict=True)
    ]


def _number_type(values: np.ndarray, integers: np.ndarray, *, is_plain: bool) -> tuple[InputType, bool]:
    """FLOAT where each cell that is not empty is a plain number, DOUBLE where float32 would lose too much, else
    STRING; and whether strings are rounded to float32.
    """
    with np.errstate(over="ignore", under="ignore"):
        lost = np.abs(values - values.astype(np.float32)).max(initial=0.0)
        spread = values.std() if len(values) else 0.0
    exact = np.abs(integers).max(initial=0.0) <= FLOAT_INTEGERS
    exact = bool(exact and (lost <= 1e-5 * spread or values.min(initial=np.inf) == values.max(initial=-np.inf)))
    if not is_plain:
        return InputType.STRING, exact
    return (InputType.FLOAT if exact else InputType.DOUBLE), False


def _vocabulary(cells: pl.Series) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """The most frequent words of a category, and the code of every spelling of them."""
    raw = Counter(dict(cells.value_counts().rows()))
    counts: Counter[str] = Counter()
    for cell, count in raw.items():
        counts[cell.strip(SPACE)] += count
    for word in MISSING_WORDS:
        counts.pop(word, None)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    if len(ranked) > 10:  # a word met once teaches nothing by itself, but teaches what rare words have in common
        ranked = [word for word in ranked if counts[word] > 1] or ranked
    words = tuple(sorted(ranked[:MOST_WORDS]))
    code = {word: k for k, word in enumerate(words)}
    keys = {spelling: k for word, k in code.items() for spelling in with_blanks(word)}
    keys |= {cell: code[cell.strip(SPACE)] for cell in raw if cell.strip(SPACE) in code}
    return words, tuple(sorted(keys.items()))


def _numbers(cells: pl.Series, feature: Feature) -> np.ndarray:
    """[rows] of one boolean or date, NaN where missing or not of that kind; float32 where that loses nothing."""
    if feature.kind is Kind.BOOLEAN:
        table = {spelling: float(value) for spelling, value in feature.keys}
        flags = cells.replace_strict(table, default=float("nan"), return_dtype=pl.Float32)
        return flags.to_numpy()
    days = read_dates(cells, cast(DateFormat, feature.date))
    narrow = as_float32(days)
    return narrow if np.array_equal(narrow, days, equal_nan=True) else days


def _narrow(values: np.ndarray, feature: Feature) -> np.ndarray:
    """[rows] of one number, float32 where that loses nothing that the model is given."""
    return as_float32(values) if feature.type is InputType.FLOAT or feature.rounded else values


def _codes(cells: pl.Series, feature: Feature) -> np.ndarray:
    """[rows] int32 of one category."""
    table = dict(feature.keys) | dict.fromkeys(missing_keys(), feature.missing)
    codes = np.empty(len(cells), dtype=np.int32)
    for start in range(0, len(cells), CHUNK_ROWS):
        part = cells.slice(start, CHUNK_ROWS)
        codes[start : start + CHUNK_ROWS] = part.replace_strict(table, default=feature.other, return_dtype=pl.Int32)
    return codes
