"""The bot process: what it needs to begin, what it says when it cannot, and Socket Mode."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient
from support.deadline import until
from support.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from support.fake_socket import FakeSocket
from support.slack_front import slack_bot
from support.slack_payloads import command

from bot.http.server import listen
from bot.slack.side import SlackSide, socket_mode
from shared.blobs import BlobStore
from shared.errors import ServiceUnavailable
from shared.log.engine import Log
from shared.settings import Settings

Begin = Callable[..., tuple[int, str]]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """Starts `python -m bot` that is expected to end by itself: its exit code and its words."""

    def begin(**environment: str) -> tuple[int, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LML_", "SLACK_"))}
        met = subprocess.run(
            [sys.executable, "-m", "bot"],
            env={**clean, "LML_HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return met.returncode, met.stderr

    return begin


def test_everything_that_is_missing_is_named_at_once(begin: Begin) -> None:
    """Without tokens and Redis the bot ends with code 2 and names each variable."""
    code, words = begin()
    assert code == 2
    for variable in ("LML_SLACK_BOT_TOKEN", "LML_SLACK_APP_TOKEN", "LML_SLACK_SIGNING_SECRET", "LML_REDIS_URL"):
        assert variable in words
    assert "Traceback" not in words


def test_a_refused_token_is_said(begin: Begin, slack: FakeSlack) -> None:
    """A token that Slack does not take ends the bot with one sentence, without the token."""
    code, words = begin(
        LML_SLACK_BOT_TOKEN="xoxb-wrong-token",
        LML_SLACK_SIGNING_SECRET="s",
        LML_REDIS_URL="redis://127.0.0.1:1/0",
        LML_SLACK_API_URL=slack.url,
    )
    assert code == 1
    assert "Slack does not take LML_SLACK_BOT_TOKEN: invalid_auth." in words
    assert "xoxb-wrong-token" not in words
    assert "Traceback" not in words


def test_a_refused_app_token_is_said(begin: Begin, slack: FakeSlack) -> None:
    """An app token that Slack does not take ends the bot with what it needs."""
    code, words = begin(
        LML_SLACK_BOT_TOKEN=BOT_TOKEN,
        LML_SLACK_APP_TOKEN="xapp-wrong",
        LML_REDIS_URL="redis://127.0.0.1:1/0",
        LML_SLACK_API_URL=slack.url,
    )
    assert code == 1
    assert "Slack does not take LML_SLACK_APP_TOKEN for Socket Mode: invalid_auth." in words
    assert "connections:write" in words


def test_slack_away_is_said(begin: Begin) -> None:
    """A Slack that does not answer ends the bot with its address."""
    code, words = begin(
        LML_SLACK_BOT_TOKEN=BOT_TOKEN,
        LML_SLACK_SIGNING_SECRET="s",
        LML_REDIS_URL="redis://127.0.0.1:1/0",
        LML_SLACK_API_URL="http://127.0.0.1:1/api",
    )
    assert code == 1
    assert "Slack at http://127.0.0.1:1/api/ does not answer" in words


def test_a_taken_port_is_said(settings: Settings) -> None:
    """A port that something else listens on is named with the variables that change it."""
    first = listen(settings.model_copy(update={"http_port": 0}))
    port = first.getsockname()[1]
    with first, pytest.raises(ServiceUnavailable, match=f"cannot listen on 127.0.0.1:{port}.*LML_HTTP_PORT"):
        listen(settings.model_copy(update={"http_port": port}))


@pytest.fixture
def socket_end(slack: FakeSlack) -> Iterator[FakeSocket]:
    with FakeSocket() as end:
        slack.socket_url = end.url
        yield end


def test_socket_mode_answers(
    settings: Settings, log: Log, store: BlobStore, client: WebClient, socket_end: FakeSocket, slack: FakeSlack
) -> None:
    """A command over Socket Mode is written and acknowledged on the same connection, opened with the app token."""
    with slack_bot(settings, log, store, client) as bot, socket_mode(SlackSide(bot.app, bot.desk.arrivals), settings):
        assert socket_end.connected.wait(10)
        envelope = socket_end.send_command(command("train churn.csv"))
        until(lambda: envelope in socket_end.acknowledged)
    assert socket_end.acknowledged[envelope]["text"] == "Run 1 is written: train churn.csv. Its card follows here."
    assert slack.called("apps.connections.open")


def test_the_process_stops_when_told_to(slack: FakeSlack, socket_end: FakeSocket, tmp_path: Path) -> None:
    """Over Socket Mode, with Redis away, the bot says that it is ready, answers, and ends cleanly on SIGTERM."""
    environment = {
        **os.environ,
        "LML_HOME": str(tmp_path),
        "LML_SLACK_BOT_TOKEN": BOT_TOKEN,
        "LML_SLACK_APP_TOKEN": APP_TOKEN,
        "LML_SLACK_API_URL": slack.url,
        "LML_REDIS_URL": "redis://127.0.0.1:1/0",
    }
    process = subprocess.Popen([sys.executable, "-m", "bot"], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "The LML bot is ready, over Socket Mode.\n"
    assert socket_end.connected.wait(10)
    slack.share("churn.csv", b"a,b\n1,2\n")
    socket_end.send_command(command("train churn.csv"))
    until(lambda: slack.posted() != [] and "Queued" in slack.posted()[0]["text"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
