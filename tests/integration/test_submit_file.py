"""`lml submit`: a file of runs through the real command, a real Redis and a real log."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.place import Place, Shell

from bot.terminal.commands import open_desk
from shared.log import runs
from shared.log.runs import Run
from shared.settings import Settings


@pytest.fixture
def place(make_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """A place without a worker; the shell stands in a folder with one table."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("a,b\n1,2\n3,4\n")
    return make_place()


def file_of(*lines: Any) -> str:
    """A file of runs in the folder; a text is a line as it is."""
    plain = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    Path("jobs.ndjson").write_text("\n".join(plain) + "\n", encoding="utf-8")
    return "jobs.ndjson"


def written(place: Place) -> list[Run]:
    """Every run of the log, oldest first."""
    desk = open_desk(place.settings)
    with desk.log.read() as connection:
        return runs.listed(connection, desk.principal, limit=2000)[::-1]


TRAIN = {"kind": "train", "dataset": "table.csv", "model": "linear"}


def test_every_line_becomes_a_run_that_waits(place: Place) -> None:
    """Bare specs and whole requests are queued in their order, with their treatment; the answer names line and run."""
    file = file_of(
        TRAIN,
        "",
        {"spec": {**TRAIN, "seed": 2}, "priority": "low", "tags": ["sweep"], "batch": "b1", "key": "k1"},
        {"kind": "probe"},
    )
    code, answer = place.shell.run("submit", file)
    assert code == 0
    assert [(item["line"], item["run"], item["state"]) for item in answer["items"]] == [
        (1, 1, "queued"),
        (3, 2, "queued"),
        (4, 3, "queued"),
    ]
    first, second, third = written(place)
    assert (first.words, first.priority.word) == ("train table.csv model=linear", "normal")
    assert (second.priority.word, second.tags, second.batch) == ("low", ("sweep",), "b1")
    assert first.dataset_sha256 == second.dataset_sha256 is not None
    assert (third.kind, third.dataset_sha256) == ("probe", None)


def test_a_key_makes_a_file_safe_to_submit_again(place: Place) -> None:
    """Lines with a key that was used are the run that they were."""
    file = file_of({"spec": TRAIN, "key": "k1"}, {"spec": {**TRAIN, "seed": 2}, "key": "k2"})
    first = place.shell.run("submit", file)[1]
    again = place.shell.run("submit", file)[1]
    assert [item["run"] for item in again["items"]] == [item["run"] for item in first["items"]]
    assert len(written(place)) == 2


def test_all_lines_are_read_before_anything_is_written(place: Place) -> None:
    """Every wrong line is named with its number and problems, in one answer; the good ones are not queued either."""
    code, answer = place.shell.run(
        "submit",
        file_of(
            TRAIN,
            {"kind": "train", "dataset": "table.csv", "epochs": "many", "colour": 1},
            "not json",
            {"spec": TRAIN, "prio": "low"},
            {**TRAIN, "optimizer": "gd", "batch": 7},
        ),
    )
    assert (code, answer["state"]) == (2, "refused")
    lines = answer["error"]["message"].splitlines()
    assert [line.split(": ", 1)[0] for line in lines] == ["`line 2`", "`line 2`", "`line 3`", "`line 4`", "`line 5`"]
    assert "Input should be a valid integer" in lines[0]
    assert "`spec.train.colour`: there is no such key" in lines[1]
    assert "Invalid JSON" in lines[2]
    assert written(place) == []


def test_what_lines_name_has_to_be_there(place: Place) -> None:
    """Missing datasets and unknown runs are told together, and nothing is written."""
    code, answer = place.shell.run(
        "submit",
        file_of({**TRAIN, "dataset": "tabel.csv"}, TRAIN, {"kind": "evaluate", "run": 77, "dataset": "table.csv"}),
    )
    assert code == 2
    assert answer["error"]["code"] == "dataset_missing"
    assert answer["error"]["message"].splitlines() == [
        "`line 1`: There is no dataset `tabel.csv`.",
        "`line 3`: There is no run 77.",
    ]
    assert "Did you mean `table.csv`?" in answer["error"]["hint"]
    assert written(place) == []


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        (None, "jobs_unreadable", "cannot be read: No such file or directory"),
        (b"\xff\xfe\x00", "jobs_unreadable", "is not UTF-8"),
        (b"\n\n", "jobs_too_many", "met 0 lines"),
        (b'{"kind": "probe"}\n' * 1001, "jobs_too_many", "met 1,001 lines"),
    ],
)
def test_a_file_that_is_none_is_refused(place: Place, content: bytes | None, code: str, sentence: str) -> None:
    """A file that is missing, no text, empty or too long, each with its reason."""
    if content is not None:
        Path("jobs.ndjson").write_bytes(content)
    exit_code, answer = place.shell.run("submit", "jobs.ndjson")
    assert (exit_code, answer["error"]["code"]) == (2, code)
    assert sentence in answer["error"]["message"]


def test_a_dataset_of_many_lines_is_brought_once_and_its_failure_told_of_each(
    make_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A table beyond the limit ends each of its runs with the reason; the others wait, and the exit code says 1."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("a,b\n" + "1,2\n" * 1000)
    place = make_place(max_dataset_bytes=1000)
    code, answer = place.shell.run("submit", file_of(TRAIN, {"kind": "probe"}, {**TRAIN, "seed": 1}))
    assert code == 1
    assert [item["state"] for item in answer["items"]] == ["failed", "queued", "failed"]
    assert {item["error"]["code"] for item in answer["items"] if item["error"]} == {"dataset_too_large"}


def test_runs_that_stay_need_a_stack_that_stays(tmp_path: Path) -> None:
    """Without a Redis and without `lml up` the file is refused before anything is written."""
    (tmp_path / "jobs.ndjson").write_text('{"kind": "probe"}\n')
    shell = Shell(Settings(home=tmp_path / "home"), {"PATH": os.environ["PATH"]})
    code, answer = shell.run("submit", str(tmp_path / "jobs.ndjson"))
    assert (code, answer["error"]["code"]) == (2, "no_stack")
    assert "`lml submit` needs a stack" in answer["error"]["message"]
