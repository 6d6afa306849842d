"""A dataset that was shared in a channel: finds the newest file of that name and downloads it, safely."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler

from bot.slack.web import LOST, code_of, file_hosts, web_client
from shared.blobs import CHUNK_BYTES
from shared.datasets.resolve import locate
from shared.errors import RunFailed, failed
from shared.log.runs import Run
from shared.settings import Settings

_PAGES, _PAGE_FILES = 5, 100
_TIMEOUT_S = 30
_BEAT_EVERY_S = 5.0
_UNSEEN = frozenset({"channel_not_found", "not_in_channel", "no_permission", "access_denied"})


class ChannelFiles:
    """The files of channels that the bot is in. Made once; its calls may sleep for as long as Slack asks for."""

    def __init__(self, settings: Settings, client: WebClient | None = None) -> None:
        self._settings = settings
        self._client = client or web_client(settings, timeout_s=_TIMEOUT_S)
        if client is None:  # what is only read may be asked for again
            self._client.retry_handlers.append(ConnectionErrorRetryHandler(max_retry_count=2))
            self._client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=3))

    def fetch(self, run: Run, *, beat: Callable[[], object] | None = None) -> Iterator[bytes] | None:
        """The bytes of the run's dataset as they come; None when it is a file of the datasets folder instead.

        Raises `RunFailed` when it is neither, or cannot be had; `beat` is called now and then while bytes come.
        """
        name = str(getattr(run.spec, "dataset", None) or "")
        if not name or "/" in name or "\\" in name or run.channel_id is None:
            return None
        files, seen = self._files_of(run.channel_id)
        found = _newest(files, name)
        if found is not None:
            return self._download(found, name, beat)
        self._require_in_folder(name, files, seen=seen)
        return None

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
            if code_of(error) in _UNSEEN:
                return [], False
            raise _list_refused(error) from error
        except LOST as error:
            raise _unreachable(error) from error
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

    def _download(self, file: dict[str, Any], name: str, beat: Callable[[], object] | None) -> Iterator[bytes]:
        limit, size = self._settings.max_dataset_bytes, file.get("size")
        if isinstance(size, int) and size > limit:
            raise failed(
                "dataset_too_large",
                f"A dataset may have at most {limit:,} bytes; `{name}` has {size:,}.",
                "Train on a sample, or raise LML_MAX_DATASET_BYTES.",
            )
        address = str(file.get("url_private_download") or file.get("url_private") or "")
        parts = urlsplit(address)
        if (parts.scheme, parts.netloc) not in file_hosts(self._settings):
            raise failed(
                "dataset_elsewhere",
                f"A dataset is a file that Slack itself keeps; `{name}` lies at {parts.netloc or 'no address'}.",
                "Download it, and share the file itself in this channel.",
            )
        return self._chunks(address, name, size if isinstance(size, int) else None, beat)

    def _chunks(self, address: str, name: str, size: int | None, beat: Callable[[], object] | None) -> Iterator[bytes]:
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self._client.token}"})  # noqa: S310 - scheme and host were checked
        came, last_beat = 0, time.monotonic()
        try:
            with _opener().open(request, timeout=_TIMEOUT_S) as response:
                _require_file(response, name)
                while chunk := response.read(CHUNK_BYTES):
                    came += len(chunk)
                    if beat is not None and time.monotonic() - last_beat > _BEAT_EVERY_S:
                        beat()
                        last_beat = time.monotonic()
                    yield chunk
        except urllib.error.HTTPError as error:
            raise _download_refused(error.code, name) from error
        except (OSError, HTTPException) as error:
            raise _unreachable(error) from error
        if size is not None and came != size:
            raise failed(
                "dataset_incomplete",
                f"Slack says that `{name}` has {size:,} bytes; {came:,} arrived.",
                "Type the command again; if that does not help, share the file again.",
            )


def _opener() -> urllib.request.OpenerDirector:
    """What opens addresses and follows no redirect: that would carry the token to whatever host it names."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _newest(files: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The newest file of exactly this name, else of this name in other letters' case."""
    there = [file for file in files if file.get("mode") not in ("tombstone", "hidden_by_limit")]
    exact = [file for file in there if file.get("name") == name]
    loose = [file for file in there if str(file.get("name", "")).casefold() == name.casefold()]
    return next(iter((*exact, *loose)), None)


def _require_file(response: HTTPResponse, name: str) -> None:
    """Without the right scope Slack answers 200 with its login page instead of the file."""
    if response.headers.get_content_type() == "text/html":
        raise _no_scope(f"Slack gave its login page instead of `{name}`")


def _no_scope(what: str) -> RunFailed:
    return failed(
        "slack_scope_missing",
        f"To read files that are shared in Slack, the app needs the scope files:read. {what}.",
        "Add the scope under OAuth & Permissions, install the app again, then type the command again.",
    )


def _list_refused(error: SlackApiError) -> RunFailed:
    code = code_of(error)
    if code == "missing_scope":
        return _no_scope("Slack refused to list this channel's files (missing_scope)")
    return failed(
        "slack_unavailable",
        f"Slack refused to list this channel's files: {code}.",
        "Type the command again in a minute; `lml doctor` in a shell checks the token.",
    )


def _download_refused(status: int, name: str) -> RunFailed:
    if 300 <= status < 400:
        return failed(
            "slack_redirect",
            f"A download that is redirected is refused, for the token would go along; `{name}` was ({status}).",
            "Share the file again; if that does not help, put it into the datasets folder.",
        )
    if status in (401, 403):
        return _no_scope(f"Slack refused the download of `{name}` ({status})")
    if status in (404, 410):
        return failed(
            "dataset_gone",
            f"The file `{name}` was shared here and is gone ({status}).",
            "Share it again, then type the command again.",
        )
    return failed(
        "slack_unavailable",
        f"Slack answered the download of `{name}` with {status}.",
        "Type the command again in a minute.",
    )


def _unreachable(error: Exception) -> RunFailed:
    reason = str(getattr(error, "reason", "") or error) or type(error).__name__
    return failed(
        "slack_unavailable",
        f"Slack did not give the dataset's file: {reason.splitlines()[0]}.",
        "Type the command again in a minute.",
    )
