"""The bytes of a file on their way to the address that Slack gave for them: streamed from disk, followed nowhere."""

import http.client
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request

from bot.delivery.outcomes import WELL, Came, Outcome
from bot.slack.web import reason_of, straight_opener

METHOD = "upload"
BEAT_EVERY_S = 5.0
TIMEOUT_S = 30.0
_PART_BYTES = 256 * 1024


def send_bytes(address: str, file: Path, *, beat: Callable[[], None], proxy: str | None = None) -> Outcome:
    """POST a file's bytes; `beat` is called every few seconds while they go, and may raise to stop."""
    size_bytes = file.stat().st_size
    with file.open("rb") as stream:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        request = Request(address, data=_Beating(stream, beat), headers=headers, method="POST")  # noqa: S310
        try:
            with straight_opener(proxy).open(request, timeout=TIMEOUT_S) as answer:
                if "html" in (answer.headers.get("Content-Type") or ""):  # a proxy's page: Slack answers `OK`
                    return Outcome(Came.UNKNOWN, code="html", method=METHOD)
                answer.read(_PART_BYTES)
        except HTTPError as error:
            with error:
                return _refused(error)
        except (OSError, http.client.HTTPException) as error:
            return Outcome(Came.UNKNOWN, code=reason_of(error), method=METHOD)
    return WELL


def _refused(error: HTTPError) -> Outcome:
    """Nobody sees the bytes before they are shown, so whatever was wrong, they are sent again to a new address."""
    if error.code == 429:
        waits = error.headers.get("Retry-After") or ""
        wait_s = float(waits) if waits.isascii() and waits.isdecimal() and len(waits) < 5 else 5.0
        return Outcome(Came.LATER, code="ratelimited", wait_s=wait_s, method=METHOD)
    return Outcome(Came.UNKNOWN, code=f"http_{error.code}", method=METHOD)


class _Beating:
    """A file that says from time to time that it is still being read."""

    def __init__(self, stream: IO[bytes], beat: Callable[[], None]) -> None:
        self._stream, self._beat = stream, beat
        self._beat_at = time.monotonic()

    def read(self, _size: int = -1) -> bytes:
        """The next part of it, whatever size is asked for: http.client asks for 8 KB."""
        if time.monotonic() - self._beat_at > BEAT_EVERY_S:
            self._beat()
            self._beat_at = time.monotonic()
        return self._stream.read(_PART_BYTES)
