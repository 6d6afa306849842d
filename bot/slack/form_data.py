"""What forms offer to choose from: datasets by name, the columns of one, runs on the same data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from sqlalchemy import Connection

from bot.desk import Desk
from bot.slack.asked import SharedFile, files_of
from bot.slack.named_files import file_name
from bot.slack.views.train_modal import TrainForm
from bot.slack.web import LOST
from shared.datasets.address import is_address
from shared.datasets.columns import columns_of
from shared.datasets.dialect import HEAD_BYTES
from shared.datasets.resolve import locate
from shared.errors import LmlError, RunFailed
from shared.log import boards, datasets, runs, tables
from shared.log.choices import last_choice
from shared.log.runs import Run

MOST_NAMES = 500
_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".gz", ".zst")
_NEWEST_FILES = 50


class Heads(Protocol):
    """Reads the beginnings of files in Slack (`bot.slack.channel_files.ChannelFiles`)."""

    def head(self, file_id: str, *, user: str, channel: str | None) -> bytes:
        """The first bytes of a file that this person may read there; raises `RunFailed`."""


def dataset_names(desk: Desk, shared: list[SharedFile]) -> list[str]:
    """What a dataset can be called here: files of this channel, of the datasets folder, and what runs have read."""
    folder = desk.settings.datasets_folder
    files = sorted(file.name for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    with desk.log.read() as connection:
        read = datasets.names(connection, desk.principal)
    return list(dict.fromkeys([*map(file_name, shared), *files, *read]))[:MOST_NAMES]


def files_of_channel(client: WebClient, channel: str, *, but_of: str = "") -> list[SharedFile]:
    """The newest tables that people shared in a channel, not what `but_of` did; none where the bot may not look."""
    if not channel:
        return []
    try:
        answer = client.files_list(channel=channel, count=_NEWEST_FILES)
    except (SlackApiError, *LOST):
        return []
    theirs = [file for file in answer.get("files") or [] if not but_of or file.get("user") != but_of]
    listed = sorted(theirs, key=lambda file: float(file.get("created") or 0), reverse=True)
    return [file for file in files_of({"files": listed}) if file.name.lower().endswith(_TABLES)]


def columns_in(desk: Desk, heads: Heads, name: str, shared: list[SharedFile]) -> tuple[list[str] | None, str]:
    """The columns of a dataset by its name or file; None with the reason where they are not to be seen."""
    if not name or is_address(name):
        return None, ""
    try:
        head = next(_heads(desk, heads, name, shared), None)
        return (columns_of(head, name), "") if head is not None else (None, "")
    except LmlError as error:
        return None, error.problems[0].sentence()


def columns_read(path: Path, name: str) -> tuple[list[str] | None, str]:
    """The columns of what a run read; None with the reason where they are not to be seen."""
    try:
        return columns_of(_head_of(path), name), ""
    except LmlError as error:
        return None, error.problems[0].sentence()


def last_form(connection: Connection, desk: Desk) -> TrainForm:
    """What this person chose last in the form of `train`."""
    me = desk.principal
    return TrainForm.of_plain(last_choice(connection, team_id=me.team_id, user_id=me.user_id) or {})


def rivals(connection: Connection, desk: Desk, run: Run) -> list[Run]:
    """The other models of the same data, target and test rows that this person sees here, the best first."""
    data = boards.OfDataset(
        tables.runs.c.content_sha256 == run.content_sha256
        if run.content_sha256
        else tables.runs.c.dataset_sha256 == run.dataset_sha256
    )
    found: list[Run] = []
    for board in boards.boards(connection, desk.principal, data, target=run.target):
        found += boards.ranking(connection, desk.principal, board, limit=100)[1]
    return [other for other in found if other.id != run.id]


def _heads(desk: Desk, heads: Heads, name: str, shared: list[SharedFile]) -> Iterator[bytes]:
    """The beginnings of the files that may be meant, in the order in which a dataset's name is looked up."""
    meant = next((file for file in shared if file_name(file).casefold() == name.casefold()), None)
    if meant is not None:
        me = desk.principal
        yield heads.head(meant.id, user=me.user_id, channel=me.channel_id)
    path = _in_folder(desk, name)
    if path is not None:
        yield _head_of(path)
    with desk.log.read() as connection:
        mine = [tables.runs.c.dataset_name == name, tables.runs.c.dataset_sha256.is_not(None)]
        had = runs.listed(connection, desk.principal, conditions=mine, limit=1)
    if had:
        yield _head_of(desk.store.path_of(had[0].dataset_sha256 or ""))


def _in_folder(desk: Desk, name: str) -> Path | None:
    try:
        return locate(name, folder=desk.settings.datasets_folder, confined=True)
    except RunFailed:
        return None


def _head_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)
