"""The file of write=: never over another one, and where the words say."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.empty_logs import empty_log

from bot import submit
from bot.answers import envelope
from bot.cards import Card
from bot.desk import Answer, Desk
from bot.grammar import parse
from bot.terminal.writing import hand_over, require_free_place
from shared.access import Principal, Role, Source, Visibility
from shared.blobs import BlobStore
from shared.errors import RefusedWords, RunFailed
from shared.log.runs import Run, RunState
from shared.settings import Settings
from shared.specs import DescribeSpec, TrainSpec


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the shell."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def asked(write: str | None) -> DescribeSpec:
    """A description that writes a file."""
    return DescribeSpec(dataset="a.csv", write=write)


def ended(tmp_path: Path, write: str, state: RunState = RunState.SUCCEEDED) -> tuple[Run, Answer]:
    """A description that has ended, and its answer with the artifact that lies in the home."""
    stored = tmp_path / "home" / Path(write).name
    stored.parent.mkdir()
    stored.write_text("a,b\n1,2\n")
    run = Run(
        id=7,
        team_id="local",
        visibility=Visibility.TEAM,
        requested_by="ada",
        source=Source.SHELL,
        words="describe a.csv",
        kind="describe",
        spec=asked(write),
        state=state,
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    files: list[dict[str, Any]] = [{"name": "report.json", "path": "x"}, {"name": stored.name, "path": str(stored)}]
    body = envelope("describe", state.value, run=7)
    return run, Answer(card=Card(title=""), envelope={**body, "artifacts": files if state.ended else []})


@pytest.mark.parametrize("write", ["clean.csv", "sub/clean.csv", "../clean.csv"])
def test_the_table_comes_to_where_it_was_asked_for(here: Path, tmp_path: Path, write: str) -> None:
    """The file lies at its path from the working directory, and the answer names it."""
    (here / "sub").mkdir()
    require_free_place(asked(write))
    run, answer = ended(tmp_path, write)
    assert hand_over(run, answer) == [str(here / write)]
    assert (here / write).read_text() == "a,b\n1,2\n"
    assert answer.envelope["written"] == str(here / write)


def test_an_absolute_path_is_taken_as_it_is(here: Path, tmp_path: Path) -> None:
    """A path from the root is the file's path."""
    run, answer = ended(tmp_path, str(tmp_path / "clean.csv"))
    assert hand_over(run, answer) == [str(tmp_path / "clean.csv")]
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("link", [False, True])
def test_what_is_there_is_not_overwritten(here: Path, link: bool) -> None:
    """A path that is taken, by a broken link too, is refused before anything is done, with what to do."""
    place = here / "clean.csv"
    if link:
        place.symlink_to("nowhere")
    else:
        place.write_text("mine")
    with pytest.raises(RefusedWords) as met:
        require_free_place(asked("clean.csv"))
    assert met.value.code == "write_exists"
    assert str(met.value) == (
        f"write= makes a new file; `{place}` is there already. Name another file, or move that one away."
    )


def test_a_folder_that_is_none_is_refused(here: Path) -> None:
    """A path in a folder that does not exist is refused before anything is done, with what to do."""
    with pytest.raises(RefusedWords) as met:
        require_free_place(asked("out/clean.csv"))
    assert met.value.code == "write_folder_unusable"
    assert str(met.value) == (
        f"The file of write= goes into a folder that is there and may be written; `{here / 'out'}` is none. "
        "Make the folder, or name another one."
    )


def test_a_file_that_came_meanwhile_is_kept(here: Path, tmp_path: Path) -> None:
    """A file that someone made while the run went on stays as it is, and the error says where the table lies."""
    (here / "clean.csv").write_text("mine")
    run, answer = ended(tmp_path, "clean.csv")
    with pytest.raises(RunFailed) as met:
        hand_over(run, answer)
    assert met.value.code == "write_failed"
    assert str(met.value) == (
        f"Run 7 succeeded, but its table could not be copied to `{here / 'clean.csv'}`: File exists. "
        "`lml show 7` names the file that holds it."
    )
    assert (here / "clean.csv").read_text() == "mine"


@pytest.mark.parametrize("request_", [asked(None), TrainSpec(dataset="a.csv"), object()])
def test_words_without_a_file_ask_for_nothing(here: Path, request_: Any) -> None:
    """Where no file is asked for there is nothing to refuse."""
    require_free_place(request_)
    assert list(here.iterdir()) == []


def test_a_run_that_did_not_succeed_writes_nothing(here: Path, tmp_path: Path) -> None:
    """A run that failed has no table to copy."""
    run, answer = ended(tmp_path, "clean.csv", RunState.FAILED)
    assert hand_over(run, answer) == []
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("write", ["out/clean.csv", "/etc/clean.csv", "..\\clean.csv"])
def test_a_chat_names_no_path(tmp_path: Path, write: str) -> None:
    """From a chat, the file is one of the run's own: a path is refused and no run is written."""
    settings = Settings(home=tmp_path)
    ada = Principal(team_id="local", user_id="U0ADA", source=Source.SLACK, channel_id="C1", role=Role.TRAINER)
    desk = Desk(settings, empty_log(settings.log_url), BlobStore(settings.store_folder), ada)
    with pytest.raises(RefusedWords) as met:
        submit.write(desk, parse(["describe", "a.csv", f"write={write}"]))
    assert met.value.code == "write_is_path"
    assert str(met.value) == (
        f"From a chat, write= is a plain file name, and the file comes into the thread; met `{write}`. "
        "Name it without a folder, such as clean.csv."
    )
    assert submit.write(desk, parse(["describe", "a.csv", "write=clean.csv"])) == (1, True)
