"""The card of a description: its headline, its columns, and the command that trains on the table as described."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from bot.cards import Card, run_card
from bot.describe_card import columns_tables, headline, next_words
from bot.grammar import parse
from bot.slack.blocks import MESSAGE_CHARACTERS, size
from bot.slack.render import message
from bot.terminal.render import TerminalCard
from bot.words import split_words
from shared.access import Source, Visibility
from shared.events import DatasetRead, Started
from shared.log.runs import Artifact, Run, RunState
from shared.specs import DescribeSpec, TrainSpec

DIALECT = {"encoding": "utf-8-sig", "delimiter": ";", "quote": '"', "has_header": True, "preamble": 0, "header_rows": 1}


def column(name: str, **more: Any) -> dict[str, Any]:
    """A column as a description tells it."""
    plain = {"name": name, "kind": "number", "reason": "all 3 cells are numbers", "used": True}
    return {**plain, "missing": 0, "missing_share": 0.0, **more}


def result(**more: Any) -> dict[str, Any]:
    """What a description found."""
    found = {
        "dataset": {"rows": 1_599, "columns": 2},
        "dialect": DIALECT,
        "target": "quality",
        "task": "regression",
        "columns": [],
    }
    return {**found, "columns": [column("acidity"), column("quality")], **more}


def card(found: dict[str, Any], spec: DescribeSpec | None = None) -> Card:
    """The card of a description that succeeded."""
    run = Run(
        id=42,
        team_id="T1",
        visibility=Visibility.TEAM,
        requested_by="ada",
        source=Source.SHELL,
        words="describe wine.csv",
        kind="describe",
        spec=spec or DescribeSpec(dataset="wine.csv"),
        state=RunState.SUCCEEDED,
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        result=found,
    )
    read = DatasetRead(rows=3, columns=2, target="quality", task="", warnings=("2 rows were cut.",))
    files = [Artifact(name=name, sha256="0" * 64, size_bytes=9) for name in ("clean.csv", "report.json")]
    return run_card(run, [Started(attempt=1, worker="w1"), read], files)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (result(), "1,599 rows, 2 columns; semicolon, UTF-8, header in row 1"),
        (result(dialect={**DIALECT, "preamble": 3}), "1,599 rows, 2 columns; semicolon, UTF-8, header in row 4"),
        (
            result(dialect={**DIALECT, "preamble": 1, "header_rows": 2}),
            "1,599 rows, 2 columns; semicolon, UTF-8, header in rows 2 and 3",
        ),
        (
            result(dialect={**DIALECT, "has_header": False, "encoding": "cp1252", "delimiter": "^"}),
            "1,599 rows, 2 columns; ^, cp1252, no header",
        ),
        (result(dialect=None, dataset={"rows": 1, "columns": 1}), "1 row, 1 column; Parquet"),
    ],
)
def test_the_headline_says_how_the_table_is_written(found: dict[str, Any], shown: str) -> None:
    """One line: the size of the table, its delimiter and encoding, and where its header stands."""
    assert headline(found) == shown


def test_the_columns_are_a_table() -> None:
    """Each column stands with its kind, how much of it is missing, and the reason for its kind."""
    columns = [
        column("id", kind="id", used=False, reason="it counts the rows"),
        column("price", missing=3, missing_share=0.001, reason="x" * 200),
        column("y", kind="category", used=False, target=True, missing=12, missing_share=0.25),
    ]
    (table,) = columns_tables(result(columns=columns, dataset={"rows": 48, "columns": 3}))
    assert table.header == ("column", "kind", "missing", "why")
    assert table.rows == (
        ("id", "id, not used", "0", "it counts the rows"),
        ("price", "number", "3 (<1 %)", "x" * 119 + "…"),
        ("y", "category, target", "12 (25 %)", "all 3 cells are numbers"),
    )
    assert columns_tables({}) == ()


def test_many_columns_are_cut_and_counted() -> None:
    """A wide table shows its first columns and says how many more there are, also those that the result left out."""
    found = result(columns=[column(f"c{k}") for k in range(40)], dataset={"rows": 9, "columns": 5_000})
    (table,) = columns_tables(found)
    assert (len(table.rows), table.caption) == (30, "Columns: the first 30, and 4,970 more")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (DescribeSpec(dataset="wine.csv"), "lml train wine.csv target=quality"),
        (
            DescribeSpec(
                dataset="my wine.csv",
                target="quality",
                task="regression",
                drop=("id", "a, b"),
                date=('on "day"',),
                header=False,
                sep="\t",
                encoding="cp1252",
            ),
            None,
        ),
    ],
)
def test_what_to_type_next_trains_on_the_same_table(spec: DescribeSpec, words: str | None) -> None:
    """The next command names the target that was found and repeats every word that the table was described with."""
    shown = next_words(spec, result(), "lml")
    assert words in (None, shown)
    request = parse(split_words(shown.removeprefix("lml "))).request
    said = spec.model_dump(exclude={"kind", "write", "target"})
    assert request == TrainSpec(**{**said, "target": "quality"})


def test_a_table_without_a_target_asks_for_one() -> None:
    """Where no column can be the target as it stands, the next command has a place for its name."""
    spec = DescribeSpec(dataset="a.csv")
    for found in ({}, {"target": "y", "task": None}):
        assert next_words(spec, found, "/lml") == "/lml train a.csv target=COLUMN"


def test_the_card_says_all_of_it() -> None:
    """Headline, columns, what was said while reading, and what to type next; a task that is not known is no fact."""
    shown = card(result())
    assert shown.title == "Run 42 · describe wine.csv"
    assert shown.headline.startswith("1,599 rows")
    assert [table.caption for table in shown.tables] == ["Columns"]
    assert shown.notes == ("2 rows were cut.",)
    assert shown.more == ("lml train wine.csv target=quality",)
    assert dict(shown.facts) == {"target": "quality", "asked by": "ada"}


def test_the_card_fits_where_it_is_shown() -> None:
    """A wide table with long names and reasons stays within a message of Slack, and draws in a narrow terminal."""
    columns = [column(f"a rather long name of column {k}", reason="because " * 40) for k in range(500)]
    shown = card(result(columns=columns, dataset={"rows": 9, "columns": 500}))
    text, blocks = message(shown)
    assert size(blocks) <= MESSAGE_CHARACTERS
    assert [block["type"] for block in blocks].count("table") == 1
    assert "In the thread: report.json, clean.csv" in str(blocks)
    assert text.startswith("Run 42")
    console = Console(width=70)
    with console.capture() as drawn:
        console.print(TerminalCard(shown))
    assert "a rather long" in drawn.get()
