"""From cells to numbers and codes, with tables fitted on the training part only.

A `Feature` holds everything that is needed to read its column: the same tables and patterns drive this module and the
graph that is exported (`graph.py`), so both read any cell alike. What happens to the numbers afterwards is
`features.py`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl

from workers.core.columns import Column, Kind, trimmed
from workers.core.words import (
    DATE,
    FALSE_WORDS,
    INTEGER,
    MISSING_WORDS,
    NUMBER,
    SPACE,
    TRUE_WORDS,
    padded,
    spellings,
    whole,
    with_blanks,
)

MOST_WORDS = 50
MOST_ENCODED_BYTES = 2 * 1024**3
OUTPUT_NAMES = frozenset(("label", "probabilities", "prediction"))
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
    """The vocabulary of a category: codes count from 0; then one code for any other word, one for missing."""
    keys: tuple[tuple[str, int], ...] = ()
    """Spelling and code of each word of a category or boolean (1 true, 0 false); missing words are not among them."""

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
    """The features of some rows, before any statistics."""

    numbers: np.ndarray
    """[rows, numbers] float64, NaN where missing; dates as days since 1970-01-01, booleans as 1 and 0."""
    codes: np.ndarray
    """[rows, categories] int64."""


def missing_keys() -> tuple[str, ...]:
    """Every spelling of a missing cell, each once."""
    blanks = tuple(" " * count for count in range(9))
    return tuple(dict.fromkeys((*blanks, *(key for word in MISSING_WORDS for key in with_blanks(word)))))


def fit_features(frame: pl.DataFrame, columns: Sequence[Column], train: np.ndarray) -> tuple[Feature, ...]:
    """The features of the used columns; `train` [rows] bool marks the rows that vocabularies may be fitted on.

    The type of an input follows from the cells of the whole file: it is part of the model's interface, not of what it
    learnt.
    """
    used = [column for column in columns if column.used]
    inputs = _input_names(frame.columns)
    categories = sum(column.kind is Kind.CATEGORY for column in used)
    # Encoded rows stay in memory as float32; very long and wide tables keep fewer words for each column.
    room = MOST_ENCODED_BYTES / 4 / max(1, frame.height) - 4 * len(used)
    most = int(np.clip(room / max(1, categories), 5, MOST_WORDS))
    mask = pl.Series(train)
    features = []
    for column in used:
        words, keys, kind = tuple[str, ...](), tuple[tuple[str, int], ...](), InputType.STRING
        if column.kind is Kind.NUMBER:
            kind = _number_type(frame[column.name])
        elif column.kind is Kind.BOOLEAN:
            keys = tuple(
                (cell, value) for value, ws in ((1, TRUE_WORDS), (0, FALSE_WORDS)) for w in ws for cell in spellings(w)
            )
        elif column.kind is Kind.CATEGORY:
            words, keys = _vocabulary(frame[column.name].filter(mask), most)
        features.append(Feature(column.name, column.kind, inputs[column.name], kind, words, keys))
    return tuple(features)


def encode(frame: pl.DataFrame, features: Sequence[Feature]) -> Cells:
    """The numbers and codes of `frame` (strings only, one column for each feature)."""
    numbers = [_numbers(frame[feature.name], feature) for feature in number_features(features)]
    codes = [_codes(frame[feature.name], feature) for feature in category_features(features)]
    rows = frame.height
    return Cells(
        np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0)),
        np.stack(codes, axis=1) if codes else np.zeros((rows, 0), dtype=np.int64),
    )


def as_float32(values: np.ndarray) -> np.ndarray:
    """The values in float32; what lies beyond its range is infinite, without a warning."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def number_features(features: Sequence[Feature]) -> list[Feature]:
    """The columns of the number matrix, in its order: float inputs, double inputs, then what is parsed from strings."""
    members = [feature for feature in features if feature.kind is not Kind.CATEGORY]
    return sorted(members, key=lambda feature: _NUMBER_ORDER.index(feature.type))


def category_features(features: Sequence[Feature]) -> list[Feature]:
    """The columns of the code matrix, in its order."""
    return [feature for feature in features if feature.kind is Kind.CATEGORY]


def as_plain(feature: Feature) -> dict[str, Any]:
    """What the report says of a feature's input."""
    plain: dict[str, Any] = {"input": feature.input, "input_type": feature.type.value}
    return plain | ({"words": list(feature.words)} if feature.kind is Kind.CATEGORY else {})


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


def _number_type(cells: pl.Series) -> InputType:
    """FLOAT where each cell that is not empty is a plain number, DOUBLE where float32 would lose too much, else
    STRING.
    """
    present = cells.filter(cells != "")
    if not present.str.contains(whole(NUMBER)).all():
        return InputType.STRING
    values = present.cast(pl.Float64).to_numpy()
    integers = values[present.str.contains(whole(INTEGER)).to_numpy()]
    with np.errstate(over="ignore", under="ignore"):
        lost = np.abs(values - values.astype(np.float32)).max(initial=0.0)
        spread = values.std() if len(values) else 0.0
    if np.abs(integers).max(initial=0.0) > FLOAT_INTEGERS:
        return InputType.DOUBLE
    return InputType.DOUBLE if lost > 1e-5 * spread and len(np.unique(values)) > 1 else InputType.FLOAT


def _vocabulary(cells: pl.Series, most: int) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
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
    words = tuple(sorted(ranked[:most]))
    code = {word: k for k, word in enumerate(words)}
    keys = {spelling: k for word, k in code.items() for spelling in with_blanks(word)}
    keys |= {cell: code[cell.strip(SPACE)] for cell in raw if cell.strip(SPACE) in code}
    return words, tuple(sorted(keys.items()))


def _numbers(cells: pl.Series, feature: Feature) -> np.ndarray:
    """[rows] float64 of one number, boolean or date, NaN where missing or not of that kind."""
    if feature.kind is Kind.BOOLEAN:
        table = {spelling: float(value) for spelling, value in feature.keys}
        values = cells.replace_strict(table, default=float("nan"), return_dtype=pl.Float64)
    elif feature.kind is Kind.DATE:
        return _days(cells)
    else:
        values = parse_numbers(cells)
        if feature.type is InputType.FLOAT:
            # The model is given float32 there: train on the numbers that it will see.
            return as_float32(values.to_numpy()).astype(np.float64)
    return values.to_numpy().astype(np.float64)


def parse_numbers(cells: pl.Series) -> pl.Series:
    """[rows] Float64 of the cells that are numbers, NaN elsewhere."""
    frame = pl.DataFrame({"cell": cells})
    number = pl.col("cell").str.contains(whole(padded(NUMBER)))
    value = pl.when(number).then(trimmed("cell")).otherwise(None).cast(pl.Float64)
    return frame.select(value.fill_null(float("nan"))).to_series()


def _days(cells: pl.Series) -> np.ndarray:
    """[rows] float64 days since 1970-01-01, with the time as a fraction; NaN where the cell is no date.

    The calendar is counted by arithmetic (Hinnant, "chrono-compatible low-level date algorithms"), which the graph
    repeats operation by operation; so 31 February is 3 March in both.
    """
    frame = pl.DataFrame({"cell": cells})
    is_date = pl.col("cell").str.contains(whole(padded(DATE)))
    cell = pl.when(is_date).then(trimmed("cell")).otherwise(None)

    def part(pattern: str) -> pl.Expr:
        return cell.str.extract(pattern).cast(pl.Float64)

    parts = frame.select(
        year=cell.str.slice(0, 4).cast(pl.Float64),
        month=cell.str.slice(5, 2).cast(pl.Float64),
        day=cell.str.slice(8, 2).cast(pl.Float64),
        hour=part(r"[ T]([0-9]{2}):").fill_null(0.0),
        minute=part(r"[ T][0-9]{2}:([0-9]{2})").fill_null(0.0),
        second=part(r"[ T][0-9]{2}:[0-9]{2}:([0-9.]+)").fill_null(0.0),
    )
    year, month, day, hour, minute, second = (column.fill_null(np.nan).to_numpy() for column in parts)
    fraction: np.ndarray = ((hour * 60.0 + minute) * 60.0 + second) / 86_400.0
    days: np.ndarray = civil_days(year, month, day) + fraction
    return days


def civil_days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 in the Gregorian calendar, [rows] float64 in and out."""
    shifted = np.floor((14.0 - month) / 12.0)  # 1 in January and February, which end the year before
    y = year - shifted
    m = month + 12.0 * shifted - 3.0
    leap: np.ndarray = np.floor(y / 4.0) - np.floor(y / 100.0) + np.floor(y / 400.0)
    days: np.ndarray = day + np.floor((153.0 * m + 2.0) / 5.0) + 365.0 * y + leap - 719_469.0
    return days


def _codes(cells: pl.Series, feature: Feature) -> np.ndarray:
    """[rows] int64 of one category."""
    table = dict(feature.keys) | dict.fromkeys(missing_keys(), feature.missing)
    return cells.replace_strict(table, default=feature.other, return_dtype=pl.Int64).to_numpy().astype(np.int64)
