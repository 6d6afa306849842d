"""The same data saved again is the same data, and the parts of a split are told by their rows."""

import hashlib
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shared.specs import DescribeSpec, TrainSpec
from workers.core import table as tables
from workers.core.content import content_sha256, parts_sha256
from workers.core.dataset import understand_dataset
from workers.core.describe import describe
from workers.core.evaluate import evaluate
from workers.core.predict import predict
from workers.core.reading import read_table

Write = Callable[..., Path]
Fit = Callable[..., dict[str, Any]]

CSV = (
    "key,size,price,paid,day,seen,word,zip\n"
    'k1,1,0.5,true,2024-01-02,2024-01-02 10:00:00,"red, dark",01234\n'
    "k2,,1e-3,false,2024-01-03,2024-01-03 00:00:00,größer,99999\n"
    "k3,-3,2,true,,2024-01-04 23:59:59,NA,12345\n"
    "k4,100000,7.25,,2024-02-01,2024-01-05 08:30:00,plain,00001\n"
)
ITS_HASH = "6a93d2d869ad740404847a04f3673915ef3b0d8b48c77c6e6b803a92927bd71f"


def hash_of(write: Write, content: str | bytes) -> str:
    """The content hash of a file."""
    return content_sha256(read_table(write(content)))


def test_the_definition_stands(write: Write) -> None:
    """The hash of a table of every kind of column is what it always was: another one would split leaderboards."""
    assert hash_of(write, CSV) == ITS_HASH


@pytest.mark.parametrize(
    "saved",
    [
        CSV.replace('"red, dark"', "red# dark").replace(",", ";").replace("red#", "red,"),
        CSV.replace('"red, dark"', "red# dark").replace(",", "\t").replace("red#", "red,"),
        CSV.replace("\n", "\r\n"),
        CSV.removesuffix("\n"),
        CSV.encode("utf-8-sig"),
        CSV.encode("cp1252"),
        CSV.encode("utf-16"),
        CSV.replace("k1", '"k1"').replace("word", '"word"').replace("plain", '"plain"'),
        CSV.replace("k1,1,0.5", "k1,1.0,0.50").replace("-3,2,", "-3.00,2.,").replace("100000", "1e5"),
        CSV.replace("k2,,1e-3", "k2,NaN,0.001").replace("true", "True").replace("false", "False"),
        CSV.replace("2024-01-02 10:00:00", "2024-01-02T10:00").replace("2024-01-03 00:00:00", "2024-01-03"),
        CSV.replace("23:59:59", "23:59:59.000000"),
    ],
)
def test_saved_again_it_is_the_same(write: Write, saved: str | bytes) -> None:
    """Delimiter, line ends, encoding, quotes, and the way of writing a number, a moment or a boolean change nothing."""
    assert hash_of(write, saved) == hash_of(write, CSV)


def test_columns_in_another_order_are_the_same(write: Write) -> None:
    """A table is known by its columns' names, wherever they stand."""
    rows = [line.split(",") for line in "a,b,c\n1,x,2.5\n3,y,4.5\n5,z,7\n".splitlines()]
    turned = "".join(",".join(reversed(row)) + "\n" for row in rows)
    assert hash_of(write, turned) == hash_of(write, "".join(",".join(row) + "\n" for row in rows))


def test_parquet_is_the_same(write: Write, tmp_path: Path) -> None:
    """With its own types for numbers, booleans and moments, Parquet says what the CSV says."""
    frame = pl.read_csv(CSV.encode(), schema_overrides={"zip": pl.String, "size": pl.Float64})
    frame = frame.with_columns(pl.col("day").str.to_date(), pl.col("seen").str.to_datetime())
    frame.write_parquet(tmp_path / "saved")
    assert content_sha256(read_table(tmp_path / "saved")) == hash_of(write, CSV)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("k1,1,", "k1,2,"),
        ("plain", "Plain"),
        ("01234", "1234"),
        ("0.5", "0.50000001"),
        ("price", "cost"),
        ("k2,,", "k2,0,"),
        ("k3,-3", "k3,3"),
        ("NA", "N.A."),
        ("2024-02-01", "2024-02-02"),
        ("k4,100000,7.25,,2024-02-01,2024-01-05 08:30:00,plain,00001\n", ""),
    ],
)
def test_another_cell_name_or_row_is_another_table(write: Write, old: str, new: str) -> None:
    """Whatever someone would call a change changes the hash; leading zeros tell keys apart."""
    assert old in CSV
    assert hash_of(write, CSV.replace(old, new)) != hash_of(write, CSV)


def test_the_order_of_rows_counts(write: Write) -> None:
    """Rows in another order are another table, for a split by order would be another one."""
    head, first, second, *rest = CSV.splitlines()
    assert hash_of(write, "\n".join([head, second, first, *rest])) != hash_of(write, CSV)


def test_cells_do_not_run_into_each_other(write: Write) -> None:
    """Where one cell ends and the next begins is a part of what is hashed, in a column and from one to the next."""
    tables_ = [f"a,b\n{cells}\nx,y\n" for cells in ("ab,c\nd,e", "a,bc\nd,e", "ab,c\nde,f", "abd,c\nx,e")]
    assert len({hash_of(write, text) for text in tables_}) == len(tables_)


def test_long_keys_are_no_numbers(write: Write) -> None:
    """Keys that no double tells apart differ all the same."""
    keys = [f"key,y\n{key},1\n{key},0\n" for key in ("9007199254740992", "9007199254740993")]
    assert hash_of(write, keys[0]) != hash_of(write, keys[1])


def test_a_table_on_disk_has_the_same_hash(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the table is and however it is kept: one column at a time gives the same bytes."""
    chance = random.Random(3)
    words = ("red", "", "größer", "NA")
    text = "a,b,c\n" + "".join(f"{k},{chance.random():.6f},{chance.choice(words)}\n" for k in range(70_000))
    expected = hash_of(write, text)
    monkeypatch.setattr(tables, "MEMORY_BYTES", 0)
    monkeypatch.setattr(tables, "FILE_CELLS", 20_000)
    stored = read_table(write(text))
    assert stored.is_on_disk
    assert content_sha256(stored) == expected


def test_every_run_on_a_table_says_the_same(
    write: Write, fit: Fit, mixed_table: Callable[..., str], tmp_path: Path
) -> None:
    """Train, describe, evaluate and predict name the same content, and it is in the report."""
    data = write(mixed_table())
    hashes = [fit(data, model="linear")["dataset"]["content_sha256"]]
    quiet: dict[str, Any] = {"report": lambda _: None, "should_stop": lambda: False}
    hashes += [
        use(tmp_path / "out", data, out=tmp_path / "used", **quiet)["dataset"]["content_sha256"]
        for use in (evaluate, predict)
    ]
    hashes.append(
        describe(data, DescribeSpec(dataset="data"), out=tmp_path / "said", **quiet)["dataset"]["content_sha256"]
    )
    assert set(hashes) == {content_sha256(read_table(data))}


def test_the_bytes_are_those_that_are_documented(write: Write) -> None:
    """A plain reading of the definition, without the libraries that the product uses, gives the same hash."""
    digest = hashlib.sha256(b"lml-content-1" + struct.pack("<Q", 2))
    texts = ["é", "bc"]
    lengths = b"".join(struct.pack("<I", len(text.encode())) for text in texts)
    words = hashlib.sha256(lengths).digest() + hashlib.sha256("".join(texts).encode()).digest()
    numbers = hashlib.sha256(struct.pack("<d", 1.5) + struct.pack("<Q", 0x7FF8000000000000)).digest()
    for name, column in (("n", b"n" + numbers), ("w", b"w" + words)):
        digest.update(struct.pack("<I", len(name)) + name.encode() + column)
    assert hash_of(write, "w,n\né,1.50\nbc,\n") == digest.hexdigest()


# The split -------------------------------------------------------------------------------------------


def parts_of(write: Write, text: str, **words: Any) -> dict[str, str]:
    """The hashes of the parts of a table's split."""
    return parts_sha256(understand_dataset(write(text), TrainSpec(dataset="data", target="kind", **words)))


def test_the_same_rows_test_in_the_same_split(write: Write, mixed_table: Callable[..., str]) -> None:
    """Neither the model, the seed, `drop=`, another delimiter nor the order of the rows changes who tests."""
    text = mixed_table()
    head, *rows = text.splitlines()
    random.Random(0).shuffle(rows)
    expected = parts_of(write, text)
    assert set(expected) == {"train", "validation", "test"}
    assert len(set(expected.values())) == 3
    for saved, words in (
        (text, {"model": "mlp", "seed": 5}),
        (text, {"drop": ("size", "color")}),
        (text.replace(",", ";"), {}),
        ("\n".join([head, *rows]), {}),
    ):
        assert parts_of(write, saved, **words) == expected


def test_another_split_has_another_hash(write: Write, mixed_table: Callable[..., str]) -> None:
    """Another seed of the split, a split by time, another target's value or a row more: not the same test rows."""
    text = mixed_table()
    met = [parts_of(write, text), parts_of(write, text, split_seed=1), parts_of(write, text, time="since")]
    met.append(
        parts_of(write, text + text.splitlines()[7] + "\n" + text.splitlines()[9] + "\n" + text.splitlines()[11] + "\n")
    )
    assert len({tuple(parts.values()) for parts in met}) == len(met)
    flipped = text.replace("good", "swap").replace("bad", "good").replace("swap", "bad")
    assert parts_of(write, flipped)["test"] != met[0]["test"]


def test_the_report_names_split_and_parts(write: Write, fit: Fit, mixed_table: Callable[..., str]) -> None:
    """The hash of the split is that of its test part, for classes and for numbers."""
    for target in ("kind", "size"):
        report = fit(write(mixed_table()), model="linear", target=target)
        assert report["split_sha256"] == report["dataset"]["parts_sha256"]["test"]
        assert all(len(digest) == 64 for digest in report["dataset"]["parts_sha256"].values())
