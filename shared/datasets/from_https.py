"""A dataset from an https address: to the host that was judged, without credentials, within limits of size and time.

1. The host is on the list, and every address that its name has now is public (or one of a closed network, where
   `LML_DATASET_PRIVATE` says so). One private address among public ones is enough to refuse.
2. The connection goes to an address that was judged; the certificate has to be the name's.
3. A redirect is an address like any other: judged from the beginning, three of them at most.
4. What comes is counted, and may be no page.
"""

import http.client
import time
from collections.abc import Iterator
from threading import Timer
from urllib.parse import urljoin

from shared.blobs import CHUNK_BYTES
from shared.datasets.address import Address, is_address, require_address
from shared.datasets.first_bytes import FileKind, kind_of, peeked
from shared.datasets.limits import require_size, too_slow
from shared.errors import LmlError, RunFailed, failed, refused
from shared.outgoing import Pinned, is_closed, is_public, resolved
from shared.settings import Settings

MOST_REDIRECTS = 3
QUIET_S = 30.0
"""For how long a host may say nothing."""
_REDIRECTS = (301, 302, 303, 307, 308)
_NO_TABLES = ("image/", "audio/", "video/", "font/", "multipart/", "message/")
_NO_TABLE = frozenset(
    {
        *("application/json", "application/pdf", "application/javascript", "text/javascript", "text/css"),
        *("application/xml", "text/xml", "application/rss+xml", "application/atom+xml"),
    }
)
_CLOSED = " LML_DATASET_PRIVATE=yes allows hosts of a closed network."
_PAGES = ("text/html", "application/xhtml+xml")


def from_https(settings: Settings, address: Address) -> Iterator[bytes]:
    """The file's bytes as they come; raises `RunFailed` with the reason when they cannot be had."""
    deadline = time.monotonic() + settings.dataset_fetch_s
    for _ in range(MOST_REDIRECTS + 1):
        connection = _connected(settings, address, deadline)
        cut = Timer(max(deadline - time.monotonic(), 0.0), connection.cut)
        cut.daemon = True
        cut.start()  # a host that sends a byte now and then would never meet the socket's own limit
        try:
            response = _asked(connection, address, deadline)
            if response.status not in _REDIRECTS:
                _require_table(settings, response, address)
                head, chunks = peeked(_chunks(response, address, deadline))
                _require_no_page(address, kind_of(head) is FileKind.PAGE)
                yield from chunks
                return
            address = _redirected(settings, address, response)
        finally:
            cut.cancel()
            connection.close()
    raise failed(
        "address_redirect",
        f"An address may redirect {MOST_REDIRECTS} times; this one did so again, to `{address}`.",
        "Name the address at which the file is.",
    )


def _connected(settings: Settings, address: Address, deadline: float) -> Pinned:
    """A connection to the first of the host's addresses that answers."""
    problem: Exception | None = None
    try:
        for found in _judged(settings, address):
            left_s = max(min(QUIET_S, deadline - time.monotonic()), 0.1)
            connection = Pinned(address.host, found, address.port, secure=True, timeout_s=left_s)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                problem = error
            else:
                return connection
    except (OSError, UnicodeError) as error:  # a name that does not resolve, or is too long to be one
        problem = error
    raise _unreachable(address, problem or OSError("its name has no address"), deadline) from problem


def _judged(settings: Settings, address: Address) -> list[str]:
    """The addresses of the host's name; raises `RunFailed` when one of them is not for datasets."""
    found = resolved(address.host, address.port)
    inside = [one for one in found if not is_public(one) and not (settings.dataset_private and is_closed(one))]
    if inside:
        raise failed(
            "address_private",
            f"A dataset comes from the public internet; {address.host} is at {inside[0]}.",
            "Share the file itself." + (_CLOSED if all(is_closed(one) for one in inside) else ""),
        )
    return found


def _asked(connection: Pinned, address: Address, deadline: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": "LML", "Accept": "*/*", "Accept-Encoding": "identity"}
    try:
        connection.request("GET", address.path, headers=headers)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(address, error, deadline) from error


def _redirected(settings: Settings, address: Address, response: http.client.HTTPResponse) -> Address:
    """Where a redirect leads; as if somebody had named it."""
    port = f":{address.port}" if address.port != 443 else ""
    host = f"[{address.host}]" if ":" in address.host else address.host
    target = urljoin(f"https://{host}{port}{address.path}", response.getheader("Location", ""))
    try:
        if is_address(target) and not target.lower().startswith("https:"):  # a bucket's name is no host's
            scheme = target.partition(":")[0].lower()
            raise refused(
                "address_refused", f"A redirect leads to https://; its scheme is `{scheme}`.", "Name the file."
            )
        return require_address(settings, target)
    except LmlError as error:
        why = error.problems[0].message
        raise failed(
            "address_redirect", f"`{address}` redirects to where no dataset comes from. {why}", error.problems[0].hint
        ) from error


def _require_table(settings: Settings, response: http.client.HTTPResponse, address: Address) -> None:
    """The answer is a file, of a size that is taken, and may be a table."""
    if response.status != http.client.OK:
        raise _not_given(address, response.status)
    if response.length is not None:
        require_size(settings, address, response.length)
    kind = response.headers.get_content_type() if "Content-Type" in response.headers else ""
    _require_no_page(address, kind in _PAGES)
    packed = response.getheader("Content-Encoding", "identity").lower()
    if kind in _NO_TABLE or kind.startswith(_NO_TABLES) or packed not in ("identity", "gzip", "x-gzip", ""):
        met = kind if packed in ("identity", "") else f"{kind}, packed as {packed}"
        raise failed(
            "dataset_not_table",
            f"A dataset is a CSV or Parquet file, plain, gzip or Zstandard; `{address}` is {met[:100]}.",
            "Name the address of the file itself.",
        )


def _require_no_page(address: Address, is_page: bool) -> None:
    if is_page:
        raise failed(
            "dataset_not_table",
            f"A dataset is a CSV or Parquet file; `{address}` gave a web page, such as a place to sign in.",
            "Name an address that gives the file to everyone, or share the file itself.",
        )


def _chunks(response: http.client.HTTPResponse, address: Address, deadline: float) -> Iterator[bytes]:
    announced, came = response.length, 0
    try:
        while chunk := response.read1(CHUNK_BYTES):
            came += len(chunk)
            if time.monotonic() > deadline:
                raise too_slow(address)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(address, error, deadline) from error
    if time.monotonic() > deadline:
        raise too_slow(address)
    if announced is not None and came != announced:
        raise failed(
            "dataset_incomplete",
            f"`{address.host}` says that `{address.name}` has {announced:,} bytes; {came:,} arrived.",
            "Ask again; if that does not help, share the file itself.",
        )


def _not_given(address: Address, status: int) -> RunFailed:
    if status in (401, 403, 407):
        hint = (
            "LML shows no password to an address: name one that gives the file to everyone, or share the file itself."
        )
    elif status in (404, 410):
        hint = "Check the address."
    else:
        hint = "Ask again in a minute."
    return failed("address_answered", f"`{address}` gave no file: it answered {status}.", hint)


def _unreachable(address: Address, error: Exception, deadline: float) -> RunFailed:
    if time.monotonic() > deadline:
        return too_slow(address)
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return failed(
        "address_unreachable",
        f"`{address}` could not be read: {reason}.",
        "Check the address, and ask again in a minute.",
    )
