"""`data` lists what can be named, to whoever may see it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update
from support.empty_logs import empty_log

from bot.desk import Answer, Desk
from bot.grammar import parse
from bot.words import split_words
from shared.access import Principal, Role, Source, Visibility
from shared.blobs import BlobStore
from shared.events import DatasetRead
from shared.log import runs, tables
from shared.log.runs import NewRun, append_event
from shared.settings import Settings
from shared.specs import TrainSpec

Had = Callable[..., int]
ADA = Principal("T0TEAM", "U0ADA", Source.SLACK, "C0ALL", Role.VIEWER)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    settings = Settings(home=tmp_path)
    settings.datasets_folder.mkdir()
    return Desk(settings, empty_log(settings.log_url), BlobStore(settings.store_folder), ADA, prefix="/lml")


@pytest.fixture
def had(desk: Desk) -> Had:
    """A train run that has read a dataset and reached a score; returns its number."""

    def had(name: str, *, score: float | None = 0.8, size: int = 8, sha: str = "ab" * 32, **hidden: str) -> int:
        visibility = Visibility(hidden.get("visibility", "team"))
        principal = replace(ADA, channel_id=hidden.get("channel", "C0ALL"))
        new = NewRun(TrainSpec(dataset=name), "", principal, visibility, dataset_name=name)
        with desk.log.write() as connection:
            number, _ = runs.create(connection, new)
            runs.queue(connection, number, dataset_sha256=sha, dataset_size_bytes=size)
            append_event(connection, number, DatasetRead(rows=1200, columns=3, target="y", task="binary"))
            reached = {
                "score": score,
                "headline": "roc_auc",
                "target": "y",
                "content_sha256": sha,
                "state": "succeeded",
            }
            connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(**reached))
        return number

    return had


def answered(desk: Desk, words: str = "data") -> Answer:
    command = parse(split_words(words))
    assert command.verb.answer is not None
    return command.verb.answer(desk, command.request)


def in_folder(desk: Desk, name: str, size: int = 8, seconds: int = 1) -> None:
    file = desk.settings.datasets_folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x" * size)
    os.utime(file, (seconds, seconds))


def test_files_and_what_runs_had(desk: Desk, had: Had) -> None:
    """The dataset with the newest run first, with rows, columns, size and its best model; then files without a run."""
    best = had("churn.csv", score=0.9)
    newest = had("churn.csv", score=0.7)
    in_folder(desk, "churn.csv")
    in_folder(desk, "2026/march.csv", size=2_000)
    had("gone.csv", score=None)
    (table,) = answered(desk).card.tables
    assert table.header == ("dataset", "rows", "columns", "size", "newest run", "best", "where")
    assert table.rows == (
        ("gone.csv", "1,200", "3", "8 B", "3", "–", "earlier runs"),
        ("churn.csv", "1,200", "3", "8 B", str(newest), f"run {best}, roc_auc 0.9000", "folder"),
        ("2026/march.csv", "–", "–", "2 kB", "–", "–", "folder"),
    )
    assert answered(desk).envelope["items"][1] == {
        "dataset": "churn.csv",
        "in_folder": True,
        "size_bytes": 8,
        "rows": 1200,
        "columns": 3,
        "newest_run": newest,
        "best": {"run": best, "metric": "roc_auc", "score": 0.9},
    }


def test_a_file_that_changed_is_not_told_by_what_it_was(desk: Desk, had: Had) -> None:
    """A file of another size than a run read has rows that nobody has counted."""
    had("churn.csv", size=8)
    in_folder(desk, "churn.csv", size=9)
    (row,) = answered(desk).card.tables[0].rows
    assert row[:4] == ("churn.csv", "–", "–", "9 B")


def test_hidden_datasets_are_not_told(desk: Desk, had: Had) -> None:
    """A dataset of a private channel's or another person's runs is not listed, and neither is its best model."""
    had("secret.csv", visibility="channel", channel="G0SECRET")
    had("mine.csv", visibility="private", channel="D0BOB")
    open_one = had("churn.csv", score=0.5)
    had("churn.csv", score=0.99, visibility="channel", channel="G0SECRET")
    answer = answered(desk)
    assert [row[0] for row in answer.card.tables[0].rows] == ["churn.csv"]
    assert answer.card.tables[0].rows[0][4:6] == (str(open_one), f"run {open_one}, roc_auc 0.5000")
    assert answer.envelope["total"] == 1
    inside = answered(replace(desk, principal=replace(ADA, channel_id="G0SECRET")))
    assert [item["dataset"] for item in inside.envelope["items"]] == ["churn.csv", "secret.csv"]


def test_pages_and_words(desk: Desk) -> None:
    """A long list comes in pages, each with what to type for the next one; a word narrows it, in any case."""
    for number in range(5):
        in_folder(desk, f"part-{number}.csv", seconds=number + 1)
    in_folder(desk, "Other.csv")
    first = answered(desk, "data PART limit=2")
    assert [row[0] for row in first.card.tables[0].rows] == ["part-4.csv", "part-3.csv"]
    assert first.card.tables[0].caption.endswith(": 1 to 2 of 5")
    assert first.card.more[-1] == "/lml data PART page=2 limit=2"
    last = answered(desk, "data PART page=3 limit=2")
    assert [item["dataset"] for item in last.envelope["items"]] == ["part-0.csv"]
    assert last.card.more == ("/lml describe part-0.csv",)
    assert answered(desk, "data PART page=9").card.notes[0] == "There are 5, on earlier pages."


def test_nothing_to_name_yet(desk: Desk) -> None:
    """An empty list says what can be named anyway."""
    allowed = Settings(home=desk.settings.home, dataset_hosts="data.example.com", dataset_buckets="ml-data")
    card = answered(replace(desk, settings=allowed)).card
    assert card.notes == (
        "None yet.",
        "A file that is shared in this channel can be named too; it comes before others of its name.",
        "So can addresses: https://data.example.com/..., s3://ml-data/....",
    )
