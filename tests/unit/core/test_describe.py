"""Descriptions: what a table holds, as training would understand it, and the table written out clean."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shared.errors import RunFailed, RunStopped
from shared.events import AnyEvent, DatasetRead, Stage, StageStarted
from shared.specs import DescribeSpec
from workers.core.describe import describe
from workers.core.reading import read_table

Write = Callable[..., Path]
Describe = Callable[..., dict[str, Any]]
ROWS = 40
"""Of the tables here: enough to train on."""


@pytest.fixture
def events() -> list[AnyEvent]:
    """What was reported."""
    return []


@pytest.fixture
def described(tmp_path: Path, events: list[AnyEvent]) -> Describe:
    """Describes a file into `tmp_path/out`."""

    def run(data: Path, **words: Any) -> dict[str, Any]:
        spec = DescribeSpec(dataset="data", **words)
        return describe(data, spec, out=tmp_path / "out", report=events.append, should_stop=lambda: False)

    return run


def shop(rows: int = ROWS) -> str:
    """A table as an office program writes it: semicolons, decimal commas, days first, gaps, and a class."""
    lines = ["order_id;price;since;color;note;sold"]
    for k in range(rows):
        color = ("red", "green", "blue", "")[k % 4]
        lines.append(
            f"A{k:03d};{1000 + k * 7}.{'00' if k < 0 else ''}".rstrip(".") + f",50;{k % 28 + 1:02d}.03.2024;"
            f"{color};{'fine' if k % 2 else 'so, so'};{'yes' if (k * 7) % 5 < 2 else 'no'}"
        )
    return "\n".join(lines) + "\n"


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The columns of a description."""
    return {column["name"]: column for column in result["columns"]}


def test_a_table_is_described(described: Describe, write: Write) -> None:
    """Every column stands with its kind, the reason, what is missing, examples, and from where to where it goes."""
    result = described(write(shop()))
    assert result["dataset"] == {**result["dataset"], "rows": ROWS, "columns": 6}
    assert {key: result["dialect"][key] for key in ("delimiter", "encoding", "has_header", "preamble")} == {
        "delimiter": ";",
        "encoding": "utf-8",
        "has_header": True,
        "preamble": 0,
    }
    assert (result["target"], result["task"]) == ("sold", "binary")
    columns = by_name(result)
    assert {name: column["kind"] for name, column in columns.items()} == {
        "order_id": "id",
        "price": "number",
        "since": "date",
        "color": "category",
        "note": "category",
        "sold": "boolean",
    }
    assert [name for name, column in columns.items() if not column["used"]] == ["order_id", "sold"]
    assert [name for name, column in columns.items() if column["target"]] == ["sold"]
    assert columns["sold"]["reason"].startswith("the target; ")
    assert all(column["reason"] for column in columns.values())
    color = columns["color"]
    assert (color["missing"], color["missing_share"], color["distinct"]) == (10, 0.25, 3)
    assert color["examples"] == ["red", "green", "blue"]
    assert color["top"][0] == {"word": "red", "rows": 10}
    assert columns["price"]["examples"] == ["1000,50", "1007,50", "1014,50"]
    assert (columns["price"]["min"], columns["price"]["max"], columns["price"]["mean"]) == (1000.5, 1273.5, 1137.0)
    assert (columns["since"]["min"], columns["since"]["max"]) == ("2024-03-01", "2024-03-28")
    assert any("`sold`, the last column" in sentence for sentence in result["inferred"])


def test_what_is_returned_is_what_is_reported(
    described: Describe, write: Write, tmp_path: Path, events: list[AnyEvent]
) -> None:
    """The result, the report and the event say the same."""
    result = described(write(shop()))
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == result
    stage, read = events
    assert stage == StageStarted(stage=Stage.READ)
    assert isinstance(read, DatasetRead)
    assert (read.rows, read.columns, read.target, read.task) == (ROWS, 6, "sold", "binary")
    assert (list(read.inferred), list(read.warnings)) == (result["inferred"], result["warnings"])
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    ("rows", "words", "target", "sentence"),
    [
        (ROWS, {"target": "sild"}, None, "`sild` is none of them. Did you mean `sold`?"),
        (ROWS, {"drop": ("colour",)}, None, "`colour` is none of them. Did you mean `color`?"),
        (ROWS, {"drop": ("sold",)}, None, "drop= names `sold`, which is the target."),
        (ROWS, {"target": "note", "task": "regression"}, "note", "`note`"),
        (ROWS, {"date": ("color",)}, "sold", "`color`"),
        (5, {}, "sold", "needs at least 20 rows"),
    ],
)
def test_what_only_training_refuses_is_a_warning(
    described: Describe, write: Write, rows: int, words: dict[str, Any], target: str | None, sentence: str
) -> None:
    """A table that cannot be trained on as asked is described nevertheless, and the refusal stands in a warning."""
    result = described(write(shop(rows)), **words)
    assert [column["name"] for column in result["columns"]] == ["order_id", "price", "since", "color", "note", "sold"]
    assert result["target"] == target
    assert result["warnings"][0].startswith("Training would be refused: ")
    assert sentence in result["warnings"][0]


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "dataset_empty"), (b"a,b\n", "dataset_header_only"), (b"%PDF-1.7\n\x00", None)]
)
def test_a_file_that_cannot_be_read_is_an_error(
    described: Describe, write: Write, content: bytes, code: str | None
) -> None:
    """What is no table ends with the reader's own error."""
    data = write(content)
    with pytest.raises(RunFailed) as by_reader:
        read_table(data)
    with pytest.raises(RunFailed) as met:
        described(data)
    assert met.value.problems == by_reader.value.problems
    assert code in (None, met.value.code)


HOSTILE = (
    "name;size;note\n"
    'Zoë;01;"two\nlines"\n'
    '" padded ";;"a ""quoted"" word, with commas"\n'
    "#no comment;007;\n"
    ";;\n"
    "last;1.234,5;=1+1\n"
)


@pytest.mark.parametrize(
    "content",
    [
        HOSTILE,
        HOSTILE.encode("cp1252"),
        b"\xef\xbb\xbf" + HOSTILE.encode(),
        HOSTILE.encode("utf-16"),
        "Exported on Monday\n\n" + HOSTILE,
        HOSTILE.replace("\n", "\r\n"),
        shop(),
        "a,b\n" + "x,\n" * 3 + ",\n",
    ],
    ids=["utf-8", "cp1252", "bom", "utf-16", "preamble", "crlf", "office", "gaps"],
)
def test_a_clean_table_reads_as_the_same_table(
    described: Describe, write: Write, tmp_path: Path, content: str | bytes
) -> None:
    """The file that is written holds all columns in order, as text, and reads as the table that it was made from."""
    data = write(content)
    result = described(data, write="folder/clean.csv")
    path = tmp_path / "out" / "clean.csv"
    first, again = read_table(data), read_table(path)
    assert again.frame.equals(first.frame)
    assert (again.dialect and (again.dialect.delimiter, again.dialect.encoding)) == (",", "utf-8")
    assert path.read_text(encoding="utf-8").startswith(",".join(first.names) + "\n")
    assert not any("is read again" in sentence for sentence in result["warnings"])


def test_a_clean_table_that_needs_words_says_which(described: Describe, write: Write, tmp_path: Path) -> None:
    """Where the names look like cells, the description says how the file is read again, and so it reads the same."""
    data = write("1,2\n" + "3,4\n" * 30)
    result = described(data, header=True, write="clean.csv")
    assert "Say sep=comma header=yes encoding=utf-8 where `clean.csv` is read again." in result["warnings"]
    again = read_table(tmp_path / "out" / "clean.csv", sep=",", header=True, encoding="utf-8")
    assert again.frame.equals(read_table(data, header=True).frame)


def test_a_large_table_is_written_in_pieces(described: Describe, write: Write, tmp_path: Path) -> None:
    """A table of more rows than one piece holds is written whole, below one header."""
    data = write("x,y\n" + "".join(f"{k},{k % 3}\n" for k in range(140_000)))
    described(data, write="clean.csv")
    assert (tmp_path / "out" / "clean.csv").read_bytes() == data.read_bytes()


def test_words_about_columns_are_heeded(described: Describe, write: Write) -> None:
    """What a person says of a column stands in its description."""
    columns = by_name(described(write(shop()), target="color", category=("price",), drop=("since",)))
    assert (columns["price"]["kind"], columns["since"]["used"]) == ("category", False)
    assert columns["since"]["reason"] == "left out with drop="
    assert columns["color"]["target"]


def test_parquet_has_no_dialect(described: Describe, tmp_path: Path) -> None:
    """A Parquet file is described too; there is nothing to say of how its text is written."""
    pl.DataFrame({"x": range(ROWS), "y": ["a", "b"] * (ROWS // 2)}).write_parquet(tmp_path / "data")
    result = described(tmp_path / "data", write="clean.csv")
    assert result["dialect"] is None
    assert (result["dataset"]["rows"], result["dataset"]["columns"], result["task"]) == (ROWS, 2, "binary")
    assert (tmp_path / "out" / "clean.csv").read_text().splitlines()[:2] == ["x,y", "0,a"]


def test_a_wide_table_is_whole_in_the_report(described: Describe, write: Write, tmp_path: Path) -> None:
    """The log gets the first 1,000 columns, the report all of them; long cells are cut."""
    names = [f"c{k}" for k in range(1_200)]
    rows = [",".join([letter * 500, *["1"] * 1_199]) for letter in "xyz"]
    data = write("\n".join([",".join(names), *rows]) + "\n")
    result = described(data)
    assert (len(result["columns"]), result["dataset"]["columns"]) == (1_000, 1_200)
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["columns"]) == 1_200
    assert result["columns"][0]["examples"] == [letter * 80 + "…" for letter in "xyz"]


def test_a_description_stops_when_asked(write: Write, tmp_path: Path, events: list[AnyEvent]) -> None:
    """A run that was asked to stop ends before it begins."""
    with pytest.raises(RunStopped):
        describe(
            write(shop()),
            DescribeSpec(dataset="data"),
            out=tmp_path / "out",
            report=events.append,
            should_stop=lambda: True,
        )
    assert events == []


@pytest.mark.parametrize("name", ["wine_red", "titanic", "telco_churn"])
def test_real_tables_are_described(described: Describe, shared_data: Path, name: str) -> None:
    """Tables as they are found: every column has a kind and a reason, and the counts fit the table."""
    path = shared_data / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"no {name}")
    result = described(path, write="clean.csv")
    assert len(result["columns"]) == result["dataset"]["columns"]
    for column in result["columns"]:
        assert column["reason"]
        assert column["missing"] + column["distinct"] <= result["dataset"]["rows"]


def test_what_only_the_delimiter_told_is_kept_by_the_clean_table(
    described: Describe, write: Write, tmp_path: Path
) -> None:
    """Where nothing but semicolons says that the day comes first, the clean table has them too."""
    lines = [f"{k % 12 + 1:02d}/{k % 11 + 1:02d}/2024;{k % 7},{k % 9}{k % 8}{k % 6};{'ab'[k % 2]}" for k in range(60)]
    first = described(write("\n".join(["day;units;y", *lines])), write="clean.csv")
    clean = tmp_path / "clean"
    clean.write_bytes((tmp_path / "out" / "clean.csv").read_bytes())
    assert described(clean)["columns"] == first["columns"]
    assert (
        "nothing says whether '01/01/2024' starts with the day; day, month, year is assumed"
        in (by_name(first)["day"]["reason"])
    )
