"""A receiver of webhooks, as another service would run it: a real HTTP server, with or without TLS."""

import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


Answer = Callable[[int], tuple[int, dict[str, str]]]
"""From how many were received before: the status and the headers of the answer."""


@dataclass
class Receiver:
    """Remembers what it receives, and answers as it is told."""

    answer: Answer = lambda _before: (204, {})
    certificate: Path | None = None
    """A PEM file with a key and a certificate, for https."""
    drips: bool = False
    """Send a byte now and then and never an answer."""
    received: list[Received] = field(default_factory=list)

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.received.append(Received(self.path, dict(self.headers.items()), body, time.monotonic()))
                while receiver.drips:
                    self.wfile.write(b"H")
                    time.sleep(0.1)
                status, headers = receiver.answer(len(receiver.received) - 1)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - whoever follows a redirect comes here

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.drips = False
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'http' if self.certificate is None else 'https'}://127.0.0.1:{self.port}/hook?a=1"


def make_certificate(folder: Path, name: str) -> Path:
    """A key and a certificate for a name that only whoever is shown it trusts."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    options = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        f"/CN={name}",
        "-addext",
        f"subjectAltName=DNS:{name}",
    ]
    subprocess.run(
        ["openssl", "req", "-x509", *options, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both
