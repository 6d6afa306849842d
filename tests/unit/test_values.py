"""Values of the grammar: each is read, or refused with its rule."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import values

small = values.whole(least=1, most=1_000)
rate = values.number(above=0, most=10)
weight = values.number(least=0, most=1_000)
share = values.number(least=0, below=1)
between = values.number(above=0, below=1)
loss = values.one_of(("mse", "cross_entropy"))
model = values.one_of(("auto", "linear", "mlp"))


@pytest.mark.parametrize(
    ("read", "value", "met"),
    [
        (small, "1", 1),
        (small, "+5", 5),
        (small, "1000", 1_000),
        (rate, "0.001", 0.001),
        (rate, "1e-3", 0.001),
        (rate, "10", 10.0),
        (weight, "0", 0.0),
        (weight, ".5", 0.5),
        (model, "MLP", "mlp"),
        (values.yes_or_no, "Yes", True),
        (values.yes_or_no, "1", True),
        (values.yes_or_no, "off", False),
        (values.yes_or_no, "N", False),
        (values.duration_s, "90", 90.0),
        (values.duration_s, "0.5", 0.5),
        (values.duration_s, "60s", 60.0),
        (values.duration_s, "5M", 300.0),
        (values.duration_s, "1h30m", 5_400.0),
        (values.duration_s, "1.5h", 5_400.0),
        (values.duration_s, "7d", 604_800.0),
        (share, "0", 0.0),
        (share, "0.999", 0.999),
        (between, "0.5", 0.5),
        (loss, "Cross-Entropy", "cross_entropy"),
        (loss, "cross_entropy", "cross_entropy"),
        (values.duration_s_or_column, "1h30m", 5_400.0),
        (values.duration_s_or_column, "90", 90.0),
        (values.duration_s_or_column, " day ", "day"),
        (values.duration_s_or_column, "2nd", "2nd"),
        (values.csv_path, "clean.csv", "clean.csv"),
        (values.csv_path, " out/Clean.CSV ", "out/Clean.CSV"),
        (values.columns, "id", ("id",)),
        (values.columns, "id, name ,", ("id", "name")),
        (values.columns, '"a, b",c', ("a, b", "c")),
        (values.separator, ";", ";"),
        (values.separator, "Semicolon", ";"),
        (values.separator, "tab", "\t"),
        (values.separator, "\\t", "\t"),
        (values.separator, "space", " "),
        (values.separator, "pipe", "|"),
        (values.encoding, "UTF8", "utf-8"),
        (values.encoding, "latin-1", "iso8859-1"),
        (values.encoding, "CP1252", "cp1252"),
        (values.text, " churned ", "churned"),
        (values.title, " March ", "March"),
        (values.title, "x" * 80, "x" * 80),
        (values.run_number, "42", 42),
        (values.run_number, "#42", 42),
    ],
)
def test_values_are_read(read: Callable[[str], Any], value: str, met: Any) -> None:
    """A value that fits is read, in each of the ways that people write it."""
    assert read(value) == met
    assert type(read(value)) is type(met)


WHOLE = "needs a whole number from 1 to 1,000."
RATE = "needs a number above 0 to 10, such as 0.001 or 1e-3."
WEIGHT = "needs a number from 0 to 1,000, such as 0.001 or 1e-3."
SHARE = "needs a number from 0 to less than 1, such as 0.1."
BETWEEN = "needs a number above 0 to less than 1, such as 0.1."
FILE = "needs the name of a CSV file to write, such as clean.csv."
DURATION = "needs a duration above 0 and up to 7d, such as 60s, 5m or 1h30m."
SEPARATOR = "needs one character, or one of comma, semicolon, tab, pipe, space, colon."
ENCODING = "needs the name of a text encoding, such as utf-8, cp1252 or utf-16."


@pytest.mark.parametrize(
    ("read", "value", "rule"),
    [
        (small, "0", WHOLE),
        (small, "1001", WHOLE),
        (small, "1.5", WHOLE),
        (small, "1e3", WHOLE),
        (small, "ten", WHOLE),
        (small, "", WHOLE),
        (small, "9" * 5_000, WHOLE),
        (rate, "0", RATE),
        (rate, "-1", RATE),
        (rate, "11", RATE),
        (rate, "nan", RATE),
        (rate, "inf", RATE),
        (rate, "fast", RATE),
        (rate, "", RATE),
        (weight, "-0.1", WEIGHT),
        (weight, "nan", WEIGHT),
        (weight, "1001", WEIGHT),
        (model, "tree", "needs one of auto, linear, mlp."),
        (model, "linaer", "needs one of auto, linear, mlp. Did you mean `linear`?"),
        (values.yes_or_no, "maybe", "needs yes or no."),
        (values.duration_s, "0", DURATION),
        (values.duration_s, "8d", DURATION),
        (values.duration_s, "-5s", DURATION),
        (values.duration_s, "5 parsecs", DURATION),
        (values.duration_s, "", DURATION),
        (values.duration_s, "nan", DURATION),
        (share, "1", SHARE),
        (share, "-0.1", SHARE),
        (share, "nan", SHARE),
        (between, "0", BETWEEN),
        (between, "1", BETWEEN),
        (loss, "cross_entropi", "needs one of mse, cross_entropy. Did you mean `cross_entropy`?"),
        (values.duration_s_or_column, "8d", DURATION),
        (values.duration_s_or_column, "-5s", DURATION),
        (values.duration_s_or_column, "0", DURATION),
        (values.duration_s_or_column, " ", "needs 1 to 200 characters."),
        (values.csv_path, "clean", FILE),
        (values.csv_path, "report.json", FILE),
        (values.csv_path, ".csv", FILE),
        (values.csv_path, "out/.csv", FILE),
        (values.csv_path, "out/", FILE),
        (values.csv_path, "a\u202ecsv.csv", FILE),
        (values.csv_path, "x" * 200 + ".csv", FILE),
        (values.columns, " , ,", "needs column names between commas, such as id,name."),
        (values.separator, "", SEPARATOR),
        (values.separator, "::", SEPARATOR),
        (values.separator, '"', SEPARATOR),
        (values.separator, "\n", SEPARATOR),
        (values.encoding, "klingon", ENCODING),
        (values.encoding, "", ENCODING),
        (values.text, "  ", "needs 1 to 200 characters."),
        (values.text, "x" * 201, "needs 1 to 200 characters."),
        (values.title, "x" * 81, "needs 1 to 80 characters."),
        (values.run_number, "latest", "`latest` is no run: a run is named by its number, such as 42."),
        (values.run_number, "0", "`0` is no run: a run is named by its number, such as 42."),
        (values.run_number, "-1", "`-1` is no run: a run is named by its number, such as 42."),
        (values.run_number, "##1", "`##1` is no run: a run is named by its number, such as 42."),
    ],
)
def test_values_that_do_not_fit_are_refused_with_the_rule(read: Callable[[str], Any], value: str, rule: str) -> None:
    """A value that does not fit is refused with the rule that it breaks, and with nothing else."""
    with pytest.raises(ValueError, match=rf"^{re.escape(rule)}$"):
        read(value)


@pytest.mark.parametrize("name", ["hex", "base64", "rot13", "zlib", "bz2"])
def test_an_encoding_of_something_else_is_refused(name: str) -> None:
    """Codecs of Python that do not turn bytes into text are no encodings of a file."""
    with pytest.raises(ValueError, match="needs the name of a text encoding"):
        values.encoding(name)


@pytest.mark.parametrize("value", ["a\rb", "a\nb,c"])
def test_columns_with_line_breaks_are_read_or_refused(value: str) -> None:
    """A line break in a list of columns is part of a name or refused, never a crash."""
    with suppress(ValueError):
        assert values.columns(value)


READERS: dict[str, Callable[[str], Any]] = {
    "whole": small,
    "number": rate,
    "weight": weight,
    "one_of": model,
    "yes_or_no": values.yes_or_no,
    "duration_s": values.duration_s,
    "duration_s_or_column": values.duration_s_or_column,
    "csv_path": values.csv_path,
    "separator": values.separator,
    "encoding": values.encoding,
    "text": values.text,
    "title": values.title,
    "run_number": values.run_number,
    "columns": lambda value: values.columns(value.replace("\r", " ").replace("\n", " ")),  # see the bug above
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=100, deadline=None)
@given(value=st.text(max_size=250))
def test_readers_raise_nothing_but_their_rule(name: str, value: str) -> None:
    """Whatever stands behind a key, its reader reads it or raises ValueError."""
    with suppress(ValueError):
        READERS[name](value)


@pytest.mark.parametrize("character", [",", ";", "\t", "|", " ", ":", "^"])
def test_a_separator_can_be_typed_again(character: str) -> None:
    """A separator's word reads as the separator."""
    assert values.separator(values.separator_word(character)) == character
