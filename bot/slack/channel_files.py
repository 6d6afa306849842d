"""Datasets that were shared in Slack: found by name in a channel or by their id, looked at, and downloaded safely."""

import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler

from bot.slack.download import TIMEOUT_S, beginning, downloaded, no_scope, unreachable
from bot.slack.file_facts import File, gone, is_for, is_whole, name_of, newest_of, require_data
from bot.slack.web import LOST, code_of, file_hosts, web_client
from shared.datasets.dialect import HEAD_BYTES
from shared.datasets.resolve import locate
from shared.errors import RunFailed, failed
from shared.log.runs import Run
from shared.settings import Settings

_PAGES, _PAGE_FILES = 5, 100
_UNSEEN = frozenset({"channel_not_found", "not_in_channel", "no_permission", "access_denied"})
_NO_FILE = frozenset({"file_not_found", "file_deleted", "access_denied", "not_visible", "no_permission"})
_LOOKED_OVER_WITHIN_S, _HEAD_WITHIN_S = 30.0, 3.0
"""How long Slack may take to look a new file over; what asks for the beginning of one has a person waiting."""
_FIRST_LOOK_S, _LOOK_AT_MOST_S = 0.25, 3.0


class ChannelFiles:
    """The files of channels that the bot is in. Made once; without a client of its caller's, its calls may sleep for as
    long as Slack asks for.
    """

    def __init__(
        self, settings: Settings, client: WebClient | None = None, *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._settings, self._sleep = settings, sleep
        self._client = client or web_client(settings, timeout_s=TIMEOUT_S)
        if client is None:  # what is only read may be asked for again
            self._client.retry_handlers.append(ConnectionErrorRetryHandler(max_retry_count=2))
            self._client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=3))

    def fetch(self, run: Run, *, beat: Callable[[], object] | None = None) -> Iterator[bytes] | None:
        """The bytes of the run's dataset as they come; None when it is a file of the datasets folder instead.

        Raises `RunFailed` when it is neither, or cannot be had; `beat` is called now and then while bytes come.
        """
        given = (run.dataset_source or {}).get("slack_file")
        if given is not None:
            return self._download(self._given(str(given), run), run.dataset_name or "", beat)
        name = str(getattr(run.spec, "dataset", None) or "")
        if not name or "/" in name or "\\" in name or run.channel_id is None:
            return None
        files, seen = self._files_of(run.channel_id)
        found = newest_of(files, name)
        if found is not None:
            return self._download(found, name, beat)
        self._require_in_folder(name, files, seen=seen)
        return None

    def head(self, file_id: str, *, user: str, channel: str | None) -> bytes:
        """The first bytes of a file, for this person's form that asks for its columns; raises `RunFailed`."""
        file = self._looked_over(self._for(file_id, file_id, user=user, channel=channel), within_s=_HEAD_WITHIN_S)
        name = name_of(file, file_id)
        return beginning(self._address(file, name), name, token=self._client.token, most_bytes=HEAD_BYTES)

    def _given(self, file_id: str, run: Run) -> File:
        """The file that a run was asked for with."""
        return self._for(file_id, run.dataset_name or file_id, user=run.requested_by, channel=run.channel_id)

    def _for(self, file_id: str, otherwise: str, *, user: str, channel: str | None) -> File:
        """A file by its id, for whoever asked: their own, or one that was shared where they asked."""
        file = self._info(file_id)
        name = name_of(file, otherwise)
        if not is_for(file, user=user, channel=channel):
            raise failed(
                "file_not_shared",
                f"A run reads a file that its requester shared, or that was shared where they asked; `{name}` is"
                " neither.",
                "Share the file in this channel, then ask again.",
            )
        return file

    def _info(self, file_id: str) -> dict[str, Any]:
        try:
            file = self._client.files_info(file=file_id).get("file")
        except SlackApiError as error:
            code = code_of(error)
            if code in _NO_FILE:
                raise gone(file_id, f"{code}; or I am not in the channel where it is") from error
            if code == "missing_scope":
                raise no_scope("Slack refused to tell of this file (missing_scope)") from error
            raise _refused(f"to tell of the file {file_id}", code) from error
        except LOST as error:
            raise unreachable(error) from error
        return dict(file or {})

    def _looked_over(self, file: File, *, within_s: float, beat: Callable[[], object] | None = None) -> File:
        """The file once Slack has looked it over: until then a download may fail. What takes too long is tried."""
        wait_s, left_s = _FIRST_LOOK_S, within_s
        while not is_whole(file) and left_s > 0:
            self._sleep(wait_s)
            if beat is not None:
                beat()
            left_s -= wait_s
            wait_s = min(2 * wait_s, _LOOK_AT_MOST_S)
            file = self._info(str(file.get("id", "")))
        return file

    def _files_of(self, channel: str) -> tuple[list[dict[str, Any]], bool]:
        """The channel's files, newest first, and whether the bot sees that channel at all."""
        files: list[dict[str, Any]] = []
        try:
            for page in range(1, _PAGES + 1):
                answer = self._client.files_list(channel=channel, count=_PAGE_FILES, page=page)
                files += answer.get("files") or []
                if page >= int((answer.get("paging") or {}).get("pages", 1)):
                    break
        except SlackApiError as error:
            code = code_of(error)
            if code in _UNSEEN:
                return [], False
            if code == "missing_scope":
                raise no_scope("Slack refused to list this channel's files (missing_scope)") from error
            raise _refused("to list this channel's files", code) from error
        except LOST as error:
            raise unreachable(error) from error
        return sorted(files, key=lambda file: float(file.get("created") or 0), reverse=True), True

    def _require_in_folder(self, name: str, files: list[dict[str, Any]], *, seen: bool) -> None:
        folder = self._settings.datasets_folder
        try:
            locate(name, folder=folder, confined=True)
        except RunFailed as error:
            if error.code != "dataset_missing":
                raise
            if not seen:
                raise failed(
                    "channel_unseen",
                    f"There is no dataset `{name}` in the datasets folder, and I do not see the files of this channel.",
                    "Type `/invite @lml` in the channel, then type the command again.",
                ) from error
            here = [str(file.get("name")) for file in files if file.get("name")]
            there = [file.name for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
            near = get_close_matches(name, sorted({*here, *there}), n=1)
            meant = f"Did you mean `{near[0]}`? Else share" if near else "Share"
            raise failed(
                "dataset_missing",
                f"There is no dataset `{name}`, neither shared in this channel nor in the datasets folder.",
                f"{meant} the file in this channel, then type the command again.",
            ) from error

    def _download(self, file: File, name: str, beat: Callable[[], object] | None) -> Iterator[bytes]:
        file = self._looked_over(file, within_s=_LOOKED_OVER_WITHIN_S, beat=beat)
        address, size = self._address(file, name), file.get("size")
        size_bytes = size if isinstance(size, int) else None
        return downloaded(address, name, token=self._client.token, size_bytes=size_bytes, beat=beat)

    def _address(self, file: File, name: str) -> str:
        hosts = file_hosts(self._settings)
        return require_data(file, name, most_bytes=self._settings.max_dataset_bytes, hosts=hosts)


def _refused(what: str, code: str) -> RunFailed:
    return failed(
        "slack_unavailable",
        f"Slack refused {what}: {code}.",
        "Type the command again in a minute; `lml doctor` in a shell checks the token.",
    )
