"""A host with TLS for tests: answers whatever a test lays out, under names that its certificate has."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

Answer = Callable[[BaseHTTPRequestHandler], None]


class TlsHost:
    """The server. Use as a context manager; `pages` holds what each path answers, `asked` what was asked for."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self._context)

    def __enter__(self) -> "TlsHost":
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                host.asked.append((self.path, dict(self.headers.items())))
                self.close_connection = True
                with suppress(OSError):
                    host.pages[self.path.partition("?")[0]](self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that hangs up is part of the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens, at 127.0.0.1."""
        return int(self._server.server_address[1])


def gives(body: bytes, kind: str = "text/csv", **headers: str) -> Answer:
    """An answer with a file; `_` in the name of a header stands for a dash."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        if kind:
            to.send_header("Content-Type", kind)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if "Transfer-Encoding" not in named:
            to.send_header("Content-Length", named.pop("Content-Length", str(len(body))))
        for name, value in named.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body)

    return answer


def leads(target: str, status: int = 302) -> Answer:
    """An answer that redirects."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("Location", target)
        to.send_header("Content-Length", "0")
        to.end_headers()

    return answer


def says(status: int) -> Answer:
    """An answer that gives nothing."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("Content-Length", "0")
        to.end_headers()

    return answer


Lookup = Callable[..., list[tuple[object, ...]]]
_REAL: Lookup = socket.getaddrinfo  # type: ignore[assignment]  # told more exactly than it is needed


def at(*addresses: str, then: tuple[str, ...] | None = None) -> Lookup:
    """A stand-in for `socket.getaddrinfo`: every name is at these addresses, and after the first look at others."""
    looked = 0

    def getaddrinfo(host: str, port: int, *args: object, **more: object) -> list[tuple[object, ...]]:
        nonlocal looked
        if ":" in host or host.replace(".", "").isdecimal():  # an address means itself
            return _REAL(host, port, *args, **more)
        looked += 1
        found = addresses if then is None or looked == 1 else then
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return getaddrinfo
