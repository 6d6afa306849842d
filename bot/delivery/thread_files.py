"""The files of a run that succeeded, in the thread of its card: plots, the model, the report, predictions."""

import logging
from collections.abc import Sequence

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.delivery.messages import Came, Outcome, outcome_of
from bot.slack.blocks import escape
from bot.slack.render import thread_files
from bot.slack.web import LOST, code_of, outcome_unknown
from shared.blobs import BlobStore
from shared.errors import LmlError
from shared.log.runs import Artifact, Run

logger = logging.getLogger(__name__)

MOST_BYTES = 200 * 1024**2
"""slack_sdk holds a file in memory while it sends it."""


def shown_files(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """The artifacts that go into a thread."""
    by_name = {artifact.name: artifact for artifact in artifacts}
    return [by_name[name] for name in thread_files(sorted(by_name))]


class ThreadFiles:
    """Uploads a run's files into a thread: those that are not there yet, so that a second try doubles none."""

    def __init__(self, client: WebClient, store: BlobStore) -> None:
        self._client, self._store = client, store

    def send(self, run: Run, artifacts: Sequence[Artifact], *, channel: str, thread_ts: str) -> tuple[Outcome, str]:
        """Upload the files; returns what came of it and, when some cannot be had there, what to say in the thread."""
        wanted = shown_files(artifacts)
        if not wanted:
            return Outcome(Came.WELL), ""
        try:
            there = self._there(run, channel, since=thread_ts)
            wanted = [artifact for artifact in wanted if _title(run, artifact) not in there]
            refused = self._upload(run, wanted, channel, thread_ts)
        except SlackApiError as error:
            return outcome_of(error), ""
        except LOST as error:
            return Outcome(Came.UNKNOWN, code=str(error)), ""
        return Outcome(Came.WELL), _refused_text(run, refused)

    def _there(self, run: Run, channel: str, *, since: str) -> set[str]:
        """The titles of this run's files that the channel has already; none when the bot may not look."""
        try:
            answer = self._client.files_list(channel=channel, ts_from=since.split(".", 1)[0], count=200)
        except SlackApiError as error:
            if code_of(error) == "ratelimited" or outcome_unknown(error):
                raise
            return set()
        titles = {str(file.get("title")) for file in answer.get("files") or []}
        return {title for title in titles if title.startswith(f"Run {run.id} · ")}

    def _upload(self, run: Run, wanted: Sequence[Artifact], channel: str, thread_ts: str) -> dict[str, str]:
        """Upload all at once or, when Slack does not take them together, one by one; returns why some were refused."""
        items, refused = [], {}
        for artifact in wanted:
            item = self._item(run, artifact)
            if isinstance(item, str):
                refused[artifact.name] = item
            else:
                items.append(item)
        if not items:
            return refused
        try:
            self._send(items, channel, thread_ts)
        except SlackApiError as error:
            if not _is_refusal(error):
                raise
            refused |= self._one_by_one(items, channel, thread_ts)
        return refused

    def _one_by_one(self, items: Sequence[dict[str, str]], channel: str, thread_ts: str) -> dict[str, str]:
        refused = {}
        for item in items:
            try:
                self._send([item], channel, thread_ts)
            except SlackApiError as error:
                if not _is_refusal(error):
                    raise
                refused[item["filename"]] = code_of(error)
        return refused

    def _send(self, items: Sequence[dict[str, str]], channel: str, thread_ts: str) -> None:
        self._client.files_upload_v2(file_uploads=[dict(item) for item in items], channel=channel, thread_ts=thread_ts)

    def _item(self, run: Run, artifact: Artifact) -> dict[str, str] | str:
        if artifact.size_bytes > MOST_BYTES:
            return f"it has {artifact.size_bytes:,} bytes"
        if artifact.size_bytes == 0:
            return "it is empty"  # Slack takes no empty file
        try:
            path = self._store.path_of(artifact.sha256)
        except LmlError as error:
            logger.warning("A file of run %s is not sent: %s", run.id, error)
            return "the store does not hold it"
        item = {"file": str(path), "filename": artifact.name, "title": _title(run, artifact)}
        return {**item, "alt_txt": f"Plot of run {run.id}: {artifact.name}"} if artifact.name.endswith(".png") else item


def _title(run: Run, artifact: Artifact) -> str:
    """A title that no other file has: by it a file is known that is there already."""
    return f"Run {run.id} · {artifact.name}"


def _is_refusal(error: SlackApiError) -> bool:
    """Whether Slack does not take the file, now or ever, so that it makes no sense to try again."""
    outcome = outcome_of(error)
    return outcome.came in (Came.REFUSED, Came.NOT_HERE) or outcome.code == "missing_scope"


def _refused_text(run: Run, refused: dict[str, str]) -> str:
    if not refused:
        return ""
    which = ", ".join(f"{escape(name)} ({escape(why)})" for name, why in refused.items())
    fix = (
        " The app needs the scope files:write; add it and install the app again."
        if "missing_scope" in refused.values()
        else ""
    )
    return f"Not put into this thread: {which}.{fix} `lml show {run.id}` in a shell lays every file out."
