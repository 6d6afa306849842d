"""The HTTP server: a thread of the bot, on a socket that is listened on before anything else begins."""

import socket
from threading import Thread

import uvicorn
from starlette.applications import Starlette

from shared.errors import unavailable
from shared.settings import Settings


def listen(settings: Settings) -> socket.socket:
    """The socket on which requests are taken; raises `ServiceUnavailable` when the port is taken."""
    try:
        listening = socket.create_server((settings.http_host, settings.http_port), backlog=128)
        # asyncio sets it for sockets of its own making only; without it each answer on a kept connection waits 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise unavailable(
            "port_taken",
            f"The bot cannot listen on {settings.http_host}:{settings.http_port}: {error.strerror or error}.",
            "Stop what listens there, or set LML_HTTP_HOST and LML_HTTP_PORT.",
        ) from error
    return listening


class Server:
    """Answers requests from `start` to `stop`."""

    def __init__(self, app: Starlette, listening: socket.socket) -> None:
        self._listening = listening
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
                lifespan="off",
                limit_concurrency=500,
                timeout_keep_alive=75,  # longer than proxies keep an idle connection, so that they close it, not we
                server_header=False,
            )
        )
        # Not the main thread: there uvicorn would take the signals, which are for all parts of the bot.
        self._thread = Thread(target=self._uvicorn.run, args=([listening],), name="lml-server", daemon=True)

    @property
    def address(self) -> str:
        """How it is reached on this machine."""
        host, port = self._listening.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def serves(self) -> bool:
        """Whether it has not ended by itself."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, *, within_s: float = 10.0) -> None:
        """Take no more requests; those that are under way end."""
        self._uvicorn.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=within_s)
        self._listening.close()
