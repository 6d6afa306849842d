"""Whatever a file holds, it is understood or refused in one sentence: soon, in little memory, and never wrong in
silence.

`LML_FUZZ_CASES` multiplies the cases; 100 are a run of some minutes.
"""

import csv
import gzip
import io
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mutations import MUTATIONS, joined_cells, moved_cells, mutated

from shared.errors import RunFailed
from shared.specs import TrainSpec
from workers.core.dataset import Dataset, understand_dataset
from workers.core.reading import read_table
from workers.core.train import train

TIMES = int(os.environ.get("LML_FUZZ_CASES", "1"))
LONGEST_S = 5.0
MOST_MEMORY = 500 * 2**20
TARGETS = {
    "adult": "class", "california": "median_house_value", "german": None, "insurance": "charges", "penguins": "species",
    "telco_churn": "Churn", "titanic": "survived", "wine_red": None,
}  # fmt: skip
HOSTILE = (
    "", " ", "NA", "None", "nan", "inf", "-inf", "1e999", "1e308", "-1e308", "9" * 400, "0." + "1" * 300, "1e-320",
    "=1+1", "@SUM(A1)", "$5", "$", "$ 1,234.50", "(5)", "50 %", "1,5", "1.234,5", "12:30", "2024-02-30", "31.12.2024",
    "12/31/24", "2024-01-01T00:00:00Z", "true", "yes", "non", "0", "-0", "007", "+49 171 123", "<b>x</b>", "&amp;",
    "<!channel>", "*bold* _it_ `c`", 'a"b', '"', '""', "'", "a,b", "a;b", "a\tb", "a|b", "a\nb", "a\r\nb", "a\rb",
    "a\\", '\\"', "é", "ﬀ", "İ", "日本", "🎉", "👩\u200d👧", "\u200b", "\ufeff", "\u202e", "e\u0301", "\0", "x\0y",
    "\x1f", "\x1a", "label", "prediction", "probabilities", "x" * 5000, '{"a": 1}', "[1, 2]", "NULL", "%s", "{}",
    "../../etc/passwd", "nil", "-", "--", ".", "1_000", "0x1F", "1e5", "１２", "٣",
)  # fmt: skip
NAMES = (
    "x", "x", "label", "prediction", "probabilities", "label_input", "note", "id", "target", "y", "date", "price",
    "column_1", "column_2", "time", *(cell for cell in HOSTILE if len(cell) < 100),
)  # fmt: skip

cells = st.sampled_from(HOSTILE) | st.text(max_size=6)
numbers = st.integers(-1000, 1000).map(str) | st.floats(allow_nan=False).map(repr)
dates = st.tuples(st.integers(1, 9999), st.integers(1, 13), st.integers(0, 32)).map(
    "{0[0]:04d}-{0[1]:02d}-{0[2]:02d}".format
)
columns = st.one_of(*(st.lists(kind, min_size=1, max_size=7) for kind in (cells, numbers, dates, numbers | cells)))


@st.composite
def tables(draw: Any) -> list[list[str]]:
    """Rows of cells below a header; the cells of a column repeat, so that drawing them is cheap."""
    height = draw(st.sampled_from((0, 1, 19, 20, 40, 70)))
    body = draw(st.lists(columns, min_size=1, max_size=5))
    if draw(st.booleans()):
        chance = Random(draw(st.integers(0, 99)))
        body += [[f"{chance.gauss(0, 1):.3f}" for _ in range(height)] or ["0"] for _ in range(2)]
    names = draw(st.lists(st.sampled_from(NAMES), min_size=len(body), max_size=len(body)))
    return [names, *map(list, zip(*(islice(cycle(column), height) for column in body), strict=True))]


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """The process does not grow much, whatever it reads."""
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before < MOST_MEMORY


@pytest.mark.parametrize("name", TARGETS)
def test_a_broken_file_is_understood_or_refused(shared_data, write, name):
    """Bits flip, runs of bytes are lost, lines run together, a part comes in another encoding."""
    for seed in range(16 * TIMES):
        chance = Random(f"{name} {seed}")
        data, changes = mutated(_some_rows(shared_data, name, chance), chance)
        with _named(f"{name}, seed {seed}: {changes}"):
            _understood(write(data))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "parquet"])
def test_a_broken_archive_is_understood_or_refused(shared_data, write, kind):
    """What is packed does not survive much, and says so."""
    codes = set()
    for seed in range(25 * TIMES):
        chance = Random(f"{kind} {seed}")
        data = _packed(_some_rows(shared_data, "penguins", chance), kind)
        changes = chance.choices(["flipped", "zeroed", "swapped", "shortened", "inserted"], k=chance.choice((1, 5)))
        for change in changes:
            data = data[:4] + MUTATIONS[change](data[4:-4], chance) + data[-4:]
        with _named(f"{kind}, seed {seed}: {', '.join(changes)}"):
            met = _understood(write(data))
        codes.add(met.code if isinstance(met, RunFailed) else "")
    assert "dataset_unreadable" in codes


@pytest.mark.parametrize("share", [0.02, 0.08, 0.3, 0.7])
@pytest.mark.parametrize("change", [moved_cells, joined_cells])
def test_shifted_columns_are_never_silent(shared_data, write, change: Callable[..., tuple[bytes, int]], share):
    """Where cells stand under the wrong column in a share of the rows there is a warning, or an error."""
    for name, target in TARGETS.items():
        for seed in range(TIMES if name != "wine_red" else 0):  # it has semicolons
            chance = Random(f"{name} {share} {seed}")
            data, count = change(_some_rows(shared_data, name, chance), chance, share=share)
            with _named(f"{name}, seed {seed}, {count} rows"):
                met = _understood(write(data), target=target)
                said = ("wrong column", "right column", "fewer cells", "count as missing", "set aside")
                assert isinstance(met, RunFailed) or any(word in text for text in met.warnings for word in said)


@settings(max_examples=150 * TIMES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(), sep=st.sampled_from(",;\t|"), quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
def test_a_hostile_table_is_understood_or_refused(write, table, sep, quoting):
    """Cells that mean something to spreadsheets, browsers, terminals, chats and parsers are cells."""
    _understood(write(_csv(table, sep, quoting)))


@settings(max_examples=100 * TIMES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(), sep=st.sampled_from(",;\t|"))
def test_a_hostile_table_is_read_as_it_was_written(write, table, sep):
    """What a proper writer wrote is read cell by cell, or something is said of it; only what no text holds is lost."""
    try:
        read = read_table(write(_csv(table, sep, csv.QUOTE_ALL)), sep=sep, header=True, encoding="utf-8")
    except RunFailed:
        return
    expected = [[cell.replace("\r\n", "\n") for cell in row] for row in table[1:]]
    met = [[cell.replace("\r\n", "\n") for cell in row] for row in read.frame.rows()]
    assert met == expected or read.warnings


@pytest.mark.parametrize("seed", range(6 * TIMES))
def test_a_hostile_table_is_learnt_or_refused(write, tmp_path, seed):
    """From the words to the checked model: the model file agrees with what was trained, or the run says why not."""
    chance = Random(seed)
    body = [[chance.choice(HOSTILE) for _ in range(60)] for _ in range(2)]
    body += [
        [f"{chance.gauss(0, 10 ** chance.randint(-3, 30)):g}" if chance.random() < 0.97 else "?" for _ in range(60)]
    ]
    body += [[chance.choice(("a,b", "<b>", "$1")) if seed % 2 else f"{chance.gauss(0, 1):.3f}" for _ in range(60)]]
    names = chance.sample(NAMES, len(body))
    path = write(_csv([names, *map(list, zip(*body, strict=True))], ",", csv.QUOTE_MINIMAL))
    with _soon(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            spec = TrainSpec(dataset="data", model="linear", epochs=3, time_s=1)
            report = train(path, spec, out=tmp_path / "out", report=lambda _: None, should_stop=lambda: False)
        except RunFailed as refusal:
            _is_a_sentence(refusal)
        else:
            assert report["parity"]["max_difference"] < 1e-3


def _understood(path: Path, **words: Any) -> Dataset | RunFailed:
    """The file as it was understood, or its refusal, which must be a good one."""
    with _soon(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return understand_dataset(path, TrainSpec(dataset="data", **words))
        except RunFailed as refusal:
            _is_a_sentence(refusal)
            return refusal


def _is_a_sentence(refusal: RunFailed) -> None:
    for problem in refusal.problems:
        assert problem.code.replace("_", "").isalpha()
        assert problem.message.endswith(".")
        assert problem.hint
        assert len(problem.message) < 1_500


@contextmanager
def _soon() -> Iterator[None]:
    started = time.perf_counter()
    yield
    assert time.perf_counter() - started < LONGEST_S


@contextmanager
def _named(case: str) -> Iterator[None]:
    """Says which case it was that failed."""
    try:
        yield
    except BaseException as error:
        error.add_note(case)
        raise


def _some_rows(folder: Path, name: str, chance: Random) -> bytes:
    """The file, or its header and 400 rows of it."""
    header, *rows = (folder / f"{name}.csv").read_bytes().splitlines(keepends=True)
    start = chance.randrange(max(1, len(rows) - 400))
    return header + b"".join(rows[start : start + 400])


def _packed(data: bytes, kind: str) -> bytes:
    if kind == "gzip":
        return gzip.compress(data, mtime=0)
    if kind == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    out = io.BytesIO()
    pl.read_csv(data).write_parquet(out)
    return out.getvalue()


def _csv(table: list[list[str]], sep: str, quoting: Any) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=sep, quoting=quoting, lineterminator="\n").writerows(table)
    return out.getvalue().encode("utf-8", "replace")
