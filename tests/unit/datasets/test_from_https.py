"""Datasets from https addresses: to the address that was judged, each hop, within limits, and never a page."""

import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.tls_host import TlsHost, at, gives, leads, says

from shared.datasets import from_https as module
from shared.datasets.address import require_address
from shared.datasets.from_https import from_https
from shared.errors import LmlError
from shared.settings import Settings

CSV = b"a,b\n" + b"1,2\n" * 40_000
NAMES = ("data.example.com", "other.example.com")
Read = Callable[..., bytes]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsHost]:
    """A host at 127.0.0.1, which counts as public here; it has a file."""
    with TlsHost(tmp_path, *NAMES) as host:
        host.pages["/churn.csv"] = gives(CSV)
        monkeypatch.setenv("SSL_CERT_FILE", str(host.authority))
        monkeypatch.setattr(socket, "getaddrinfo", at("127.0.0.1"))
        monkeypatch.setattr(module, "is_public", lambda address: address == "127.0.0.1")
        yield host


@pytest.fixture
def read(host: TlsHost, tmp_path: Path) -> Read:
    """Reads a path of the host, under limits."""

    def read(path: str = "/churn.csv", *, name: str = "data.example.com", **limits: object) -> bytes:
        hosts = ",".join(f"{name}:{host.port}" for name in NAMES)
        settings = Settings(home=tmp_path, dataset_hosts=hosts, **limits)
        address = require_address(settings, f"https://{name}:{host.port}{path}")
        return b"".join(from_https(settings, address))

    return read


def refusal(read: Read, path: str = "/churn.csv", **limits: object) -> LmlError:
    with pytest.raises(LmlError) as met:
        read(path, **limits)
    return met.value


def test_a_file_is_read(host: TlsHost, read: Read) -> None:
    """A file comes whole, with its query, under its host's name, and nothing is told that could identify anybody."""
    assert read("/churn.csv?raw=1") == CSV
    ((path, headers),) = host.asked
    assert path == "/churn.csv?raw=1"
    assert headers == {
        "Host": f"data.example.com:{host.port}",
        "User-Agent": "LML",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }


def test_chunks_are_put_together(host: TlsHost, read: Read) -> None:
    """A file whose length is not announced is read to its announced end; one that breaks off is refused."""
    host.pages["/a.csv"] = gives(b"4\r\na,b\n\r\n4\r\n1,2\n\r\n0\r\n\r\n", Transfer_Encoding="chunked")
    assert read("/a.csv") == b"a,b\n1,2\n"
    host.pages["/b.csv"] = gives(b"4\r\na,b\n\r\n4\r\n1,", Transfer_Encoding="chunked")
    assert refusal(read, "/b.csv").code == "address_unreachable"


@pytest.mark.parametrize("inside", ["10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.1"])
def test_a_name_that_leads_inside_is_refused(
    host: TlsHost, read: Read, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """One private address among those of a name is enough to refuse it, and nothing is asked."""
    monkeypatch.setattr(socket, "getaddrinfo", at("127.0.0.1", inside))
    error = refusal(read)
    assert error.code == "address_private"
    assert f"data.example.com is at {inside}" in str(error)
    assert host.asked == []


def test_closed_networks_are_a_setting(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """With LML_DATASET_PRIVATE a host of a closed network is asked; this machine and the metadata still are not."""
    monkeypatch.setattr(module, "is_public", lambda _: False)
    connected: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], **_: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for address, code in [("10.0.0.1", "address_unreachable"), ("127.0.0.1", "address_private")]:
        monkeypatch.setattr(socket, "getaddrinfo", at(address))
        assert refusal(read, dataset_private=True).code == code
    monkeypatch.setattr(socket, "getaddrinfo", at("169.254.169.254"))
    assert refusal(read, dataset_private=True).code == "address_private"
    assert [address for address, _ in connected] == ["10.0.0.1"]


def test_the_address_that_was_judged_is_the_one_that_is_asked(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up once for each hop: what it means a moment later does not matter (DNS rebinding)."""
    monkeypatch.setattr(socket, "getaddrinfo", at("127.0.0.1", then=("10.0.0.1",)))
    assert read() == CSV


def test_the_next_address_is_tried(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first address of a name does not answer, the next one is asked."""
    monkeypatch.setattr(module, "is_public", lambda _: True)
    monkeypatch.setattr(socket, "getaddrinfo", at("127.0.0.2", "127.0.0.1"))
    assert read() == CSV


def test_a_name_that_nobody_knows(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve is said."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "could not be read: [Errno -2] Name or service not known." in str(refusal(read))


def test_the_certificate_has_to_be_the_names(host: TlsHost, tmp_path: Path) -> None:
    """A host whose certificate is another's is not read."""
    settings = Settings(home=tmp_path, dataset_hosts=f"wrong.example.com:{host.port}")
    address = require_address(settings, f"https://wrong.example.com:{host.port}/churn.csv")
    with pytest.raises(LmlError, match="certificate verify failed"):
        b"".join(from_https(settings, address))
    assert host.asked == []


def test_redirects_are_followed_to_where_datasets_come_from(host: TlsHost, read: Read) -> None:
    """Up to three redirects are followed, relative ones too, to hosts on the list."""
    host.pages["/one"] = leads("/two?x=1", 301)
    host.pages["/two"] = leads(f"https://other.example.com:{host.port}/three", 307)
    host.pages["/three"] = leads("churn.csv", 308)
    assert read("/one") == CSV
    assert host.asked[-1][1]["Host"] == f"other.example.com:{host.port}"


def test_a_fourth_redirect_is_refused(host: TlsHost, read: Read) -> None:
    """A host that sends in circles is left."""
    host.pages["/round"] = leads("/round")
    error = refusal(read, "/round")
    assert error.code == "address_redirect"
    assert len(host.asked) == 4


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("https://evil.com/a.csv", "met `evil.com`"),
        ("http://data.example.com/a.csv", "its scheme is `http`"),
        ("file:///etc/passwd", "its scheme is `file`"),
        ("//169.254.169.254/latest/meta-data/", "met `169.254.169.254`"),
        ("https://data.example.com@127.0.0.1/", "it names a user"),
        ("s3://ml-data/a.csv", "its scheme is `s3`"),
    ],
)
def test_redirects_to_elsewhere_are_refused(host: TlsHost, read: Read, target: str, why: str) -> None:
    """A redirect is judged like an address that somebody names."""
    host.pages["/go"] = leads(target)
    error = refusal(read, "/go")
    assert error.code == "address_redirect"
    assert why in str(error)


def test_a_redirect_to_a_bucket_is_refused(host: TlsHost, tmp_path: Path) -> None:
    """A host cannot send us to a bucket, also not to one that is listed: its name is no host that is."""
    host.pages["/go"] = leads("s3://other.example.com/churn.csv")
    hosts = f"data.example.com:{host.port}"
    settings = Settings(home=tmp_path, dataset_hosts=hosts, dataset_buckets="other.example.com")
    with pytest.raises(LmlError) as met:
        b"".join(from_https(settings, require_address(settings, f"https://data.example.com:{host.port}/go")))
    assert met.value.code == "address_redirect"


def test_a_redirect_to_a_name_that_leads_inside_is_refused(
    host: TlsHost, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The addresses of each hop are judged."""
    host.pages["/go"] = leads(f"https://other.example.com:{host.port}/churn.csv")
    monkeypatch.setattr(socket, "getaddrinfo", at("127.0.0.1", then=("169.254.169.254",)))
    assert refusal(read, "/go").code == "address_private"
    assert [path for path, _ in host.asked] == ["/go"]


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "LML shows no password"), (403, "LML shows no password"), (404, "Check the address"), (503, "in a minute")],
)
def test_other_answers_are_told(host: TlsHost, read: Read, status: int, hint: str) -> None:
    """A host that gives no file is told of with its status and what to do."""
    host.pages["/a.csv"] = says(status)
    error = refusal(read, "/a.csv")
    assert error.code == "address_answered"
    assert f"it answered {status}." in str(error)
    assert hint in str(error)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", "text/html; charset=utf-8"),
        (b"\n  <HTML><body>Sign in", "text/csv"),
        (b"\xef\xbb\xbf<!doctype html>", ""),
    ],
)
def test_a_page_is_no_dataset(host: TlsHost, read: Read, body: bytes, kind: str) -> None:
    """A login page is recognised by what the host says, and by what it is."""
    host.pages["/a.csv"] = gives(body, kind)
    error = refusal(read, "/a.csv")
    assert error.code == "dataset_not_table"
    assert "a web page, such as a place to sign in" in str(error)


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/json", "video/mp4"])
def test_what_is_no_table_is_refused(host: TlsHost, read: Read, kind: str) -> None:
    """A picture or a document is refused before it comes."""
    host.pages["/a.csv"] = gives(CSV, kind)
    assert kind in str(refusal(read, "/a.csv"))


@pytest.mark.parametrize("kind", ["", "text/plain", "application/octet-stream", "application/vnd.apache.parquet"])
def test_what_may_be_a_table_is_taken(host: TlsHost, read: Read, kind: str) -> None:
    """Hosts call tables by many names, or by none."""
    host.pages["/a.csv"] = gives(CSV, kind)
    assert read("/a.csv") == CSV


def test_another_packing_is_refused(host: TlsHost, read: Read) -> None:
    """What a host packs in a way that the reader does not know is refused; gzip is a form of a dataset."""
    host.pages["/a.csv"] = gives(CSV, Content_Encoding="br")
    assert "packed as br" in str(refusal(read, "/a.csv"))
    host.pages["/b.csv"] = gives(b"\x1f\x8b...", Content_Encoding="gzip")
    assert read("/b.csv") == b"\x1f\x8b..."


def test_too_large_files_are_refused_before_they_come(read: Read) -> None:
    """An announced size beyond the limit ends it at once."""
    error = refusal(read, max_dataset_bytes=1000)
    assert str(error).startswith("A dataset may have at most 1,000 bytes; `churn.csv` has 160,004.")


def test_a_file_that_breaks_off_is_refused(host: TlsHost, read: Read) -> None:
    """Fewer bytes than announced are not trained on."""
    host.pages["/a.csv"] = gives(CSV[:100], Content_Length="1000")
    assert refusal(read, "/a.csv").code in ("dataset_incomplete", "address_unreachable")


def drip_body(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.send_header("Content-Length", "1000000")
    to.end_headers()
    while True:
        to.wfile.write(b"1,2\n")
        time.sleep(0.02)


def drip_head(to: BaseHTTPRequestHandler) -> None:
    to.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        to.wfile.write(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("drip", [drip_body, drip_head])
def test_a_host_that_drips_is_cut_off(
    host: TlsHost, read: Read, drip: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    """A host that never quite stops to send, its answer or only the head of it, is left when the time is over."""
    host.pages["/a.csv"] = drip
    begun = time.monotonic()
    error = refusal(read, "/a.csv", dataset_fetch_s=0.5)
    assert error.code == "address_slow"
    assert time.monotonic() - begun < 5
