"""What the end-to-end tests stand on: the emulated Slack Web API, a real Redis, real bot and worker processes."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from slack_sdk import WebClient
from support import install_emulator
from support.deadline import until
from support.slack_payloads import signed

from bot.slack.scopes import OPTIONAL, REQUIRED

TEAM, SECRET = "T000000001", "e2e-signing-secret"
BOT_TOKEN, PERSON_TOKEN = "xoxb-e2e-bot", "xoxp-e2e-ada"
PERSON_SCOPES = [
    "chat:write",
    "channels:read",
    "channels:history",
    "channels:join",
    "channels:manage",
    "files:read",
    "files:write",
    "users:read",
]


@dataclass
class Process:
    """A process of the stack and what it said."""

    popen: subprocess.Popen[bytes]
    log_file: Path

    @property
    def words(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_for(self, words: str, *, within_s: float = 60) -> None:
        """Wait until it says something; its end before that fails the test with everything it said."""

        def said() -> bool:
            assert self.popen.poll() is None or words in self.words, self.words
            return words in self.words

        until(said, within_s=within_s)

    def stop(self, *, within_s: float = 20) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


@dataclass
class Slack:
    """The emulated workspace, as a person sees it."""

    url: str
    channel: str
    person: WebClient = field(repr=False)

    def posted(self) -> list[dict[str, object]]:
        """The channel's messages that are in no thread, oldest first."""
        answer = self.person.conversations_history(channel=self.channel, limit=200)
        top = [message for message in answer["messages"] if message.get("thread_ts") in (None, message["ts"])]
        return sorted(top, key=lambda message: float(message["ts"]))

    def files(self, title_begins: str) -> dict[str, bytes]:
        """The bytes of the files whose titles begin so, downloaded as a person would."""
        found = {}
        for file in self.person.files_list(channel=self.channel)["files"]:
            if file["title"].startswith(title_begins):
                asked = urllib.request.Request(file["url_private"], headers={"Authorization": f"Bearer {PERSON_TOKEN}"})
                with urllib.request.urlopen(asked, timeout=10) as response:
                    found[file["name"]] = response.read()
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Start = Callable[..., Process]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[str]:
    """The address of a Redis of this test's own."""
    from bot.terminal.redis_server import start_redis

    server, url = start_redis(tmp_path / "redis", tmp_path / "redis.log")
    yield url
    server.stop(grace_s=5)


@pytest.fixture
def start(tmp_path: Path, own_redis: str) -> Iterator[Start]:
    """Starts processes that end with the test."""
    running: list[Process] = []

    def start(name: str, command: list[str], environment: dict[str, str] | None = None) -> Process:
        log_file = tmp_path / f"{name}-{len(running)}.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LML_")}
        with log_file.open("wb") as out:
            popen = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env={**clean, **(environment or {})}
            )
        process = Process(popen, log_file)
        running.append(process)
        return process

    yield start
    for process in reversed(running):
        process.stop()


@pytest.fixture
def slack(tmp_path: Path, start: Start) -> Slack:
    """The emulator with strict scopes: the bot has those of the manifest and no other."""
    if not install_emulator.installed():
        pytest.skip("The Slack emulator is not installed: run `python tests/support/install_emulator.py`.")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    seed = tmp_path / "slack.yaml"
    seed.write_text(
        yaml.safe_dump(
            {
                "slack": {
                    "strict_scopes": True,
                    "team": {"name": "E2E", "domain": "e2e"},
                    "users": [
                        {"name": "ada", "real_name": "Ada", "email": "ada@example.com"},
                        {"name": "lml", "real_name": "LML", "email": "lml@example.com"},
                    ],
                    "channels": [{"name": "models"}],
                    "tokens": [
                        {"token": BOT_TOKEN, "type": "bot", "user": "lml", "scopes": [*REQUIRED, *OPTIONAL]},
                        {"token": PERSON_TOKEN, "type": "user", "user": "ada", "scopes": PERSON_SCOPES},
                    ],
                }
            }
        )
    )
    node = str(install_emulator.node_folder() / "node")
    options = ["start", "-s", "slack", "-p", str(port), "--seed", str(seed), "--base-url", address]
    emulator = start("emulator", [node, str(install_emulator.SCRIPT), *options])
    person = WebClient(token=PERSON_TOKEN, base_url=f"{address}/api/")

    def answers() -> bool:
        assert emulator.popen.poll() is None, emulator.words
        try:
            return bool(person.auth_test()["ok"])
        except OSError:
            return False

    until(answers, within_s=30)
    channels = person.conversations_list()["channels"]
    channel = next(channel["id"] for channel in channels if channel["name"] == "models")
    return Slack(url=f"{address}/api/", channel=channel, person=person)


@pytest.fixture
def stack_environment(tmp_path: Path, slack: Slack, own_redis: str) -> dict[str, str]:
    """The settings of a stack: a home of its own and a Redis of its own."""
    return {
        "LML_HOME": str(tmp_path / "home"),
        "LML_REDIS_URL": own_redis,
        "LML_SLACK_BOT_TOKEN": BOT_TOKEN,
        "LML_SLACK_SIGNING_SECRET": SECRET,
        "LML_SLACK_API_URL": slack.url,
        "LML_HTTP_PORT": "0",
    }


@dataclass
class Bot:
    """A running bot process, spoken to as Slack does."""

    process: Process
    address: str
    slack: Slack
    person: str

    def type(self, text: str, *, trigger: str | None = None, secret: str = SECRET) -> tuple[int, str]:
        """Type `/lml` in the channel: the HTTP status and the body of the acknowledgement."""
        from urllib.error import HTTPError

        payload = {
            "command": "/lml",
            "text": text,
            "team_id": TEAM,
            "channel_id": self.slack.channel,
            "channel_name": "models",
            "user_id": self.person,
            "trigger_id": trigger or str(time.monotonic_ns()),
        }
        body, headers = signed(payload, secret)
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.address, data=body, headers=headers), timeout=10
            ) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()


StartBot = Callable[[], Bot]


@pytest.fixture
def start_bot(stack_environment: dict[str, str], slack: Slack, start: Start) -> StartBot:
    """Starts `python -m bot` over HTTP on a free port."""

    def start_bot() -> Bot:
        process = start("bot", [sys.executable, "-m", "bot"], stack_environment)
        process.wait_for("is ready at ")
        address = process.words.split("is ready at ")[1].split("/slack/events")[0] + "/slack/events"
        return Bot(process, address, slack, str(slack.person.auth_test()["user_id"]))

    return start_bot


@pytest.fixture
def start_worker(stack_environment: dict[str, str], start: Start) -> Callable[[], Process]:
    """Starts `python -m workers`."""
    return lambda: start("worker", [sys.executable, "-m", "workers"], stack_environment)
