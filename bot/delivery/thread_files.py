"""The files of a run that succeeded, in the thread of its card: plots, the model, the report, predictions. Each once.

Three steps, each a note in the log before the next begins (`shared.log.card_files`): Slack gives the file an id and an
address; its bytes go there, seen by nobody; then all files of the run are shown in the thread at once. A file that was
about to be shown when nobody heard of it again is asked for by its id: it is in the channel, or comes anew.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from bot.delivery.card_view import CardView
from bot.delivery.lease import Lease
from bot.delivery.outcomes import WELL, Came, Outcome, attempt, refused_sentence
from bot.delivery.pace import Pace
from bot.delivery.refused_files import refused_text
from bot.delivery.uploads import send_bytes
from bot.slack.file_facts import places_of
from bot.slack.render import thread_files
from shared.blobs import BlobStore
from shared.errors import LmlError
from shared.log import card_files, cards, notices
from shared.log.card_files import CardFile
from shared.log.notices import NewNotice, NoticeKind
from shared.log.runs import Artifact, Run

logger = logging.getLogger(__name__)

MOST_BYTES = 1_000_000_000
"""Slack takes no larger file."""

_UPLOAD, _SHOW, _INFO = "files.getUploadURLExternal", "files.completeUploadExternal", "files.info"
_PATIENCE_S = 600.0
"""How long a file may take from Slack's having it to its being shown."""

_NEVER_ALONE = (Came.NOT_HERE, Came.TOKEN_REFUSED, Came.LATER)
"""What concerns every file: none is tried by itself after that."""


@dataclass(frozen=True)
class Thread:
    """Where files go, at what pace, and for how long Slack may still do what it did not answer."""

    channel: str
    ts: str
    pace: Pace
    unsure_s: float


class _Stopped(Exception):
    """Nothing more can be done now."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


def shown_files(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """The artifacts that go into a thread."""
    by_name = {artifact.name: artifact for artifact in artifacts}
    return [by_name[name] for name in thread_files(sorted(by_name))]


class ThreadFiles:
    """Brings a run's files into the thread of its card. Used by one thread."""

    def __init__(self, client: WebClient, store: BlobStore) -> None:
        self._client, self._store = client, store
        self._alone: set[int] = set()
        """The runs whose files Slack did not take together."""
        self._anew: set[tuple[int, str]] = set()
        """Files whose first upload was gone: a second one is made, and no third."""

    def send(self, lease: Lease, view: CardView, thread: Thread) -> Outcome:
        """Bring the files on as far as is possible now; `WELL` once each is there or was refused, and that is noted.

        Raises `LeaseLost`.
        """
        try:
            known = self._known(lease)
            ready = {
                artifact.name: file_id
                for artifact in shown_files(view.artifacts)
                if (file_id := self._ready(lease, view.run, artifact, known.get(artifact.name), thread)) is not None
            }
            self._show(lease, view.run, ready, thread)
            self._end(lease, view, thread)
        except _Stopped as stopped:
            return stopped.outcome
        self._forget(view.run.id)
        return WELL

    def _forget(self, run: int) -> None:
        self._alone.discard(run)
        self._anew -= {one for one in self._anew if one[0] == run}

    def _known(self, lease: Lease) -> dict[str, CardFile]:
        with lease.log.read() as connection:
            return card_files.of_run(connection, lease.run)

    def _ready(self, lease: Lease, run: Run, artifact: Artifact, met: CardFile | None, thread: Thread) -> str | None:
        """Slack's id of a file that can be shown; None where nothing is left to do for it."""
        if met is not None and met.settled:
            return None
        if met is not None and met.showing and met.file_id is not None:
            if self._is_settled(lease, met, met.file_id, thread):
                return None
        elif met is not None and met.uploaded:
            return met.file_id
        return self._upload(lease, run, artifact, thread)

    def _is_settled(self, lease: Lease, met: CardFile, file_id: str, thread: Thread) -> bool:
        """Whether a file that was to be shown needs nothing more; False when it is gone, and has to come anew.

        A file that Slack has was shown, for it has none before; where it is shown is told a little later.
        """
        outcome, answer = self._call(lease, thread, _INFO, self._client.files_info, file=file_id)
        if answer is not None and thread.channel in places_of(answer.get("file") or {}):
            self._note_sent(lease, [met.name])
            return True
        if outcome.came is Came.METHOD_REFUSED:
            logger.error("%s", refused_sentence(outcome))
        if outcome.came is Came.METHOD_REFUSED or (answer is not None and met.begun_s > _PATIENCE_S):
            self._refuse(lease, met.name, "Slack does not say whether it arrived")  # it is not shown twice by guess
            return True
        if answer is not None or (outcome.came is Came.GONE and met.begun_s < thread.unsure_s):
            raise _Stopped(Outcome(Came.LATER, code="shown_soon", wait_s=max(thread.unsure_s / 6, 0.01)))
        if outcome.came is not Came.GONE:
            raise _Stopped(outcome)
        return False

    def _upload(self, lease: Lease, run: Run, artifact: Artifact, thread: Thread) -> str | None:
        """Send a file's bytes; None where it cannot be had in the thread."""
        why = _unfit(artifact)
        try:
            path = self._store.path_of(artifact.sha256)
        except LmlError as error:
            logger.warning("A file of run %s is not sent: %s", run.id, error)
            why, path = why or "the store does not hold it", Path()
        if why:
            self._refuse(lease, artifact.name, why)
            return None
        more = {"alt_txt": f"Plot of run {run.id}: {artifact.name}"} if artifact.name.endswith(".png") else {}
        call = self._client.files_getUploadURLExternal
        outcome, answer = self._call(
            lease, thread, _UPLOAD, call, filename=artifact.name, length=artifact.size_bytes, **more
        )
        if answer is None:
            if outcome.came not in (Came.REFUSED, Came.METHOD_REFUSED):
                raise _Stopped(outcome)
            self._refuse_by(lease, artifact.name, outcome)
            return None
        file_id = str(answer["file_id"])
        lease.note(lambda at: card_files.note_file(at, run.id, artifact.name, owner=lease.owner, file_id=file_id))
        sent = send_bytes(str(answer["upload_url"]), path, beat=lease.keep, proxy=self._client.proxy)
        if sent.came is not Came.WELL:
            raise _Stopped(sent)
        lease.note(lambda at: card_files.note_uploaded(at, run.id, artifact.name, owner=lease.owner, file_id=file_id))
        return file_id

    def _show(self, lease: Lease, run: Run, files: Mapping[str, str], thread: Thread) -> None:
        """Show files in the thread, all at once; one by one where Slack does not take them together."""
        if not files:
            return
        if len(files) > 1 and run.id not in self._alone:
            outcome = self._show_at_once(lease, run, files, thread)
            if outcome.came is Came.WELL:
                return
            self._alone.add(run.id)
            if outcome.came is Came.GONE:  # one of them is, and Slack does not say which
                raise _Stopped(replace(outcome, came=Came.UNKNOWN))
        for name, file_id in files.items():
            outcome = self._show_at_once(lease, run, {name: file_id}, thread)
            if outcome.came is Came.WELL:
                continue
            if outcome.came is Came.GONE and (run.id, name) not in self._anew:
                self._anew.add((run.id, name))
                self._note_unshown(lease, {name: file_id}, gone=True)
                raise _Stopped(replace(outcome, came=Came.UNKNOWN))
            self._refuse_by(lease, name, outcome)

    def _show_at_once(self, lease: Lease, run: Run, files: Mapping[str, str], thread: Thread) -> Outcome:
        """Show these files, or none of them; returns what came of it where that concerns these files alone."""
        self._turn(thread, _SHOW, channel=thread.channel)
        lease.note(lambda at: card_files.note_showing(at, run.id, files, owner=lease.owner))
        titled = [{"id": file_id, "title": f"Run {run.id} · {name}"} for name, file_id in files.items()]
        call = self._client.files_completeUploadExternal
        outcome, _ = attempt(_SHOW, call, files=titled, channel_id=thread.channel, thread_ts=thread.ts)
        if outcome.came is Came.WELL:
            self._note_sent(lease, list(files))
        elif outcome.came is not Came.UNKNOWN:
            self._note_unshown(lease, files, gone=outcome.came is Came.GONE)
        if outcome.came in (Came.UNKNOWN, *_NEVER_ALONE):
            raise _Stopped(outcome)
        return outcome

    def _end(self, lease: Lease, view: CardView, thread: Thread) -> None:
        """Say once in the thread what cannot be had there, with the note that nothing is left to do."""
        known = self._known(lease)
        if not all(one.name in known and known[one.name].settled for one in shown_files(view.artifacts)):
            raise _Stopped(Outcome(Came.UNKNOWN, code="files_left"))
        refused = {file.name: file.problem for file in known.values() if file.problem is not None}
        text = refused_text(view.run, refused, page=view.card.page)
        with lease.log.write() as connection:
            if cards.files_sent(connection, lease.run, owner=lease.owner) and text:
                new = NewNotice(
                    key=f"files:{lease.run}",
                    kind=NoticeKind.THREAD,
                    team_id=view.run.team_id,
                    channel_id=thread.channel,
                    thread_ts=thread.ts,
                    run=lease.run,
                    body={"text": text},
                )
                notices.write(connection, new)

    def _call(
        self, lease: Lease, thread: Thread, method: str, call: Any, **arguments: Any
    ) -> tuple[Outcome, SlackResponse | None]:
        self._turn(thread, method)
        lease.keep()
        return attempt(method, call, **arguments)

    def _turn(self, thread: Thread, method: str, *, channel: str = "") -> None:
        wait_s = thread.pace.take(method, channel=channel)
        if wait_s > 0:
            raise _Stopped(Outcome(Came.LATER, code="no_turn", wait_s=wait_s, method=method))

    def _note_sent(self, lease: Lease, names: Sequence[str]) -> None:
        lease.note(lambda at: card_files.note_sent(at, lease.run, names, owner=lease.owner))

    def _note_unshown(self, lease: Lease, files: Mapping[str, str], *, gone: bool) -> None:
        run, owner = lease.run, lease.owner
        for name, file_id in files.items():
            if gone:
                lease.note(partial(card_files.note_file, run=run, name=name, owner=owner, file_id=None))
            else:
                lease.note(partial(card_files.note_uploaded, run=run, name=name, owner=owner, file_id=file_id))

    def _refuse_by(self, lease: Lease, name: str, outcome: Outcome) -> None:
        if outcome.came is Came.METHOD_REFUSED:
            logger.error("%s", refused_sentence(outcome))
        self._refuse(lease, name, outcome.code)

    def _refuse(self, lease: Lease, name: str, why: str) -> None:
        lease.note(lambda at: card_files.note_problem(at, lease.run, name, owner=lease.owner, problem=why))


def _unfit(artifact: Artifact) -> str:
    if artifact.size_bytes > MOST_BYTES:
        return f"it has {artifact.size_bytes:,} bytes"
    return "" if artifact.size_bytes else "it is empty"  # Slack takes no empty file
