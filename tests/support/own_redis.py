"""A Redis of one test's own, which may be stopped, killed and started again on the same port with the same data."""

import shutil
import socket
import subprocess
from pathlib import Path

from redis import Redis

from bot.terminal.redis_server import find_redis_server
from support.deadline import until


class OwnRedis:
    """A real server with more configuration lines; every write is on disk before it is answered."""

    def __init__(self, folder: Path, *lines: str, password: str = "owner") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.folder, self.password = folder, password
        self.url = self.url_of("default", password)
        own = ["bind 127.0.0.1", f"port {self.port}", f'dir "{folder}"', 'save ""', "appendonly yes"]
        self._configuration = folder / "redis.conf"
        self._configuration.write_text("\n".join([*own, "appendfsync always", *lines, ""]))
        self.process: subprocess.Popen[bytes] | None = None

    def url_of(self, user: str, password: str) -> str:
        """The address for a user."""
        return f"redis://{user}:{password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it has loaded its data."""
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(find_redis_server()), str(self._configuration)], stdout=log, stderr=log, close_fds=True
            )
        until(self._answers, what="Redis answers")

    def stop(self) -> None:
        """Let it end."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)

    def erase(self) -> None:
        """Forget its data; it is stopped."""
        for left in self.folder.glob("appendonly*"):
            left.unlink() if left.is_file() else shutil.rmtree(left)

    def client(self) -> Redis:
        """A client that may do everything."""
        return Redis.from_url(self.url, decode_responses=True, socket_timeout=10)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except Exception:  # noqa: BLE001 - not yet
            return False
