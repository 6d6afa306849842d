"""Downloads of files that Slack keeps, with the bot's token, which no other host ever sees."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from string import punctuation
from urllib.parse import quote

from bot.slack.file_facts import gone
from bot.slack.web import reason_of, straight_opener
from shared.blobs import CHUNK_BYTES
from shared.datasets.first_bytes import FileKind, kind_of, peeked
from shared.errors import RunFailed, failed

TIMEOUT_S = 30
BEAT_EVERY_S = 5.0


def downloaded(
    address: str,
    name: str,
    *,
    token: str | None,
    size_bytes: int | None = None,
    beat: Callable[[], object] | None = None,
) -> Iterator[bytes]:
    """The bytes at an address that was judged, as they come; raises `RunFailed`.

    `beat` is called now and then. Fewer or more bytes than `size_bytes` are refused.
    """
    came, last_beat = 0, time.monotonic()
    try:
        with _opened(address, token) as response:
            head, chunks = peeked(iter(lambda: response.read(CHUNK_BYTES), b""))
            _require_file(response, head, name)
            for chunk in chunks:
                came += len(chunk)
                if beat is not None and time.monotonic() - last_beat > BEAT_EVERY_S:
                    beat()
                    last_beat = time.monotonic()
                yield chunk
    except urllib.error.HTTPError as error:
        raise _refused(error.code, name) from error
    except (OSError, HTTPException) as error:
        raise unreachable(error) from error
    if size_bytes is not None and came != size_bytes:
        raise failed(
            "dataset_incomplete",
            f"Slack says that `{name}` has {size_bytes:,} bytes; {came:,} arrived.",
            "Type the command again; if that does not help, share the file again.",
        )


def beginning(address: str, name: str, *, token: str | None, most_bytes: int) -> bytes:
    """The first bytes of a file; raises `RunFailed`."""
    try:
        with _opened(address, token) as response:
            head = response.read(most_bytes)
            _require_file(response, head, name)
            return head
    except urllib.error.HTTPError as error:
        raise _refused(error.code, name) from error
    except (OSError, HTTPException) as error:
        raise unreachable(error) from error


def no_scope(what: str) -> RunFailed:
    """The answer where the app may not read files."""
    return failed(
        "slack_scope_missing",
        f"To read files that are shared in Slack, the app needs the scope files:read. {what}.",
        "Add the scope under OAuth & Permissions, install the app again, then type the command again.",
    )


def unreachable(error: Exception) -> RunFailed:
    """The answer to a Slack that gave none."""
    return failed(
        "slack_unavailable",
        f"Slack did not give the dataset's file: {reason_of(error)}.",
        "Type the command again in a minute.",
    )


def _opened(address: str, token: str | None) -> HTTPResponse:
    plain = quote(address, safe=punctuation)  # names with gaps and letters of other languages
    request = urllib.request.Request(plain, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - it was judged
    response: HTTPResponse = straight_opener().open(request, timeout=TIMEOUT_S)
    return response


def _require_file(response: HTTPResponse, head: bytes, name: str) -> None:
    """Without the right scope Slack answers 200 with its login page instead of the file."""
    if response.headers.get_content_type() == "text/html" or kind_of(head) is FileKind.PAGE:
        raise no_scope(f"Slack gave its login page instead of `{name}`")


def _refused(status: int, name: str) -> RunFailed:
    if 300 <= status < 400:
        return failed(
            "slack_redirect",
            f"A download that is redirected is refused, for the token would go along; `{name}` was ({status}).",
            "Share the file again; if that does not help, put it into the datasets folder.",
        )
    if status in (401, 403):
        return no_scope(f"Slack refused the download of `{name}` ({status})")
    if status in (404, 410):
        return gone(name, str(status))
    return failed(
        "slack_unavailable",
        f"Slack answered the download of `{name}` with {status}.",
        "Type the command again in a minute.",
    )
