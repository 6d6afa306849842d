"""Another service that speaks HTTP, without any of our code."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shared.settings import Settings

NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        met: dict[str, Any] = json.loads(self.body)
        return met

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The body as NDJSON."""
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Client:
    """Sends requests to a door with a token."""

    address: str
    token: str | None
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Reply:
        """GET; `if_none_match` becomes If-None-Match."""
        return self.send("GET", path, None, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Reply:
        """POST: bytes as they are, nothing, or anything else as JSON."""
        return self.send("POST", path, body, **headers)

    def send(self, method: str, path: str, body: object, **headers: str) -> Reply:
        """Any request."""
        sent = {"Content-Type": "application/json", **self.headers}
        sent |= {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        sent |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        asked = urllib.request.Request(self.address + path, data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


@contextmanager
def bot_process(settings: Settings, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """`python -m bot` for services alone, on a free port, until the end of the block."""
    named = {
        "LML_HOME": str(settings.home_folder),
        "LML_REDIS_URL": settings.require_redis_url(),
        "LML_DATABASE_URL": settings.log_url,
        "LML_HTTP_PORT": "0",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LML_", "SLACK_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "bot"], env={**clean, **named, **environment}, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def door_address(process: "subprocess.Popen[str]") -> str:
    """The address that a bot says its door is open at."""
    assert process.stdout is not None
    for line in process.stdout:
        if "is open at " in line:
            return line.split("is open at ")[1].strip().removesuffix("/v1/.")
    raise AssertionError(f"the bot ended with {process.wait()} before its door was open")
