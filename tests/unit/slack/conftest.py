"""What the tests of the Slack side share: a log in a temporary folder, a store, a strict Slack, and runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from slack_bolt import BoltRequest
from slack_sdk import WebClient
from support.empty_logs import empty_log
from support.fake_slack import APP_TOKEN, BOT_TOKEN, TEAM, FakeSlack
from support.slack_front import SlackBot, slack_bot
from support.slack_payloads import command
from support.slack_texts import texts_in

from bot.delivery.messages import Messages
from bot.delivery.notices import NoticeSender
from bot.delivery.pace import Pace
from bot.delivery.sender import CardSender, Rhythm
from bot.delivery.thread_files import ThreadFiles
from bot.slack.web import web_client
from shared.access import Principal, Source, Visibility
from shared.blobs import BlobStore
from shared.log import cards, runs
from shared.log.engine import Log
from shared.log.runs import NewRun
from shared.settings import Settings
from shared.specs import TrainSpec


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


@pytest.fixture
def settings(tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    return Settings(
        home=tmp_path,
        slack_bot_token=SecretStr(BOT_TOKEN),
        slack_app_token=SecretStr(APP_TOKEN),
        slack_signing_secret=SecretStr("signing-secret"),
        slack_api_url=slack.url,
    )


@pytest.fixture
def log(settings: Settings) -> Log:
    return empty_log(settings.log_url)


@pytest.fixture
def store(settings: Settings) -> BlobStore:
    return BlobStore(settings.store_folder)


@pytest.fixture
def client(settings: Settings) -> WebClient:
    return web_client(settings, timeout_s=5)


@pytest.fixture
def bot(settings: Settings, log: Log, store: BlobStore, client: WebClient) -> Iterator[SlackBot]:
    with slack_bot(settings, log, store, client) as bot:
        yield bot


Ask = Callable[..., str]


@pytest.fixture
def ask(bot: SlackBot) -> Ask:
    """Types a command as Socket Mode brings it; returns what the person reads."""

    def ask(text: str, **more: str) -> str:
        response = bot.app.dispatch(BoltRequest(body=command(text, **more), mode="socket_mode"))
        assert response.status == 200, response.body
        answer = json.loads(response.body)
        assert answer["response_type"] == "ephemeral"
        return texts_in(answer["blocks"])

    return ask


AT_ONCE = Rhythm(running_every_s=0, waiting_every_s=0, backoff_s=0.01, unsure_s=0)
MakeSender = Callable[[], CardSender]


@pytest.fixture
def make_sender(log: Log, store: BlobStore, client: WebClient) -> MakeSender:
    """Senders that do not pace themselves; one sender stands for one bot process."""

    def make() -> CardSender:
        return CardSender(log, Messages(client), ThreadFiles(client, store), Pace.unlimited(), rhythm=AT_ONCE)

    return make


@pytest.fixture
def sender(make_sender: MakeSender) -> CardSender:
    return make_sender()


@pytest.fixture
def notice_sender(log: Log, client: WebClient) -> NoticeSender:
    """Sends what is no card; without a log channel."""
    return NoticeSender(log, Messages(client), Pace.unlimited(), rhythm=AT_ONCE)


MakeRun = Callable[..., int]


@pytest.fixture
def make_run(log: Log) -> MakeRun:
    """Writes a train run of Ada's with a card in a channel; returns its number."""

    def make(dataset: str = "churn.csv", *, channel: str = "C0GENERAL", user: str = "U0ADA", card: bool = True) -> int:
        with log.write() as connection:
            number, _ = runs.create(
                connection,
                NewRun(
                    spec=TrainSpec(dataset=dataset),
                    words=f"train {dataset}",
                    principal=Principal(TEAM, user, Source.SLACK, channel),
                    visibility=Visibility.TEAM,
                    dataset_name=dataset,
                ),
            )
            if card:
                cards.place(connection, number, channel_id=channel)
        return number

    return make
