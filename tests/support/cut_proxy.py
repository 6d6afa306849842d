"""A TCP proxy that cuts a call exactly between the other side's receipt and its answer."""

import contextlib
import socket
import threading
from pathlib import Path


class CutProxy:
    """Passes bytes on. The n-th request that holds the mark reaches the server, and its answer never comes back.

    Use as a context manager; `port` is where it listens.
    """

    def __init__(self, target: tuple[str, int] | Path, mark: bytes, *, cut: int) -> None:
        self.target, self.mark, self.cut = target, mark, cut
        self.seen = 0
        self.was_cut = threading.Event()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> "CutProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, self._reached() as server:
            muted = threading.Event()
            threading.Thread(target=self._answers, args=(server, client, muted), daemon=True).start()
            while request := client.recv(65_536):
                if self._is_cut(request):
                    muted.set()
                    server.sendall(request)
                    server.settimeout(5)
                    with contextlib.suppress(OSError):
                        self.was_cut.wait(5)  # the answer has come, and went nowhere
                    return
                server.sendall(request)

    def _reached(self) -> socket.socket:
        """A connection to the server, on TCP or a Unix socket."""
        if isinstance(self.target, Path):
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.target))
            return server
        return socket.create_connection(self.target)

    def _answers(self, server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(65_536):
                if muted.is_set():
                    self.was_cut.set()
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(answer)
            client.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, request: bytes) -> bool:
        if self.mark not in request:
            return False
        with self._lock:
            self.seen += 1
            return self.seen == self.cut
