"""Webhooks: a service hears of the end of its run once, signed, whatever its receiver does in between."""

import json
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from standardwebhooks import Webhook
from support.deadline import until
from support.log_acts import OUTCOME, PROBLEM
from support.receiver import Receiver, make_certificate

from bot.delivery import webhooks
from bot.delivery.notifier import Notifier
from bot.delivery.webhooks import MOST_TRIES, MOST_WAIT_S, WebhookSender, post, wait_s
from shared import submission
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.log import attempts, runs, tables
from shared.log.attempts import Outcome
from shared.log.engine import Log, now
from shared.log.quotas import Quota
from shared.log.services import save_service, take_webhook
from shared.secrets import secret_of, shown
from shared.settings import Settings
from shared.specs import ProbeSpec
from shared.submission import Submission


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, team_id="T1", webhook_private=True, secret_key=SecretStr("k"))


@pytest.fixture
def ask(log: Log, settings: Settings) -> Callable[..., int]:
    """Asks for a run that waits, with a webhook."""

    def ask(url: str, *, service: str = "billing") -> int:
        principal = Principal("T1", f"service:{service}", Source.SERVICE)
        with log.write() as connection:
            save_service(connection, service, team_id="T1", quota=Quota())
            asked = Submission(
                spec=ProbeSpec(), principal=principal, words="probe", webhook_url=url, tags=("nightly",), batch="b1"
            )
            number, _ = submission.write(connection, settings, asked)
        assert submission.prepare(log, BlobStore(settings.store_folder), settings, number)
        return number

    return ask


def succeed(log: Log, outcome: Outcome = OUTCOME) -> None:
    with log.write() as connection:
        taken = attempts.claim(connection, worker="w", lease_s=60)
        assert taken is not None
        attempts.succeed(connection, taken[0], outcome)


def sender(settings: Settings, log: Log, *, wait: float = 0.0) -> WebhookSender:
    return WebhookSender(settings, log, wait=lambda _tries: wait)


def row_of(log: Log, run: int) -> Any:
    with log.read() as connection:
        return connection.execute(select(tables.webhooks).where(tables.webhooks.c.run_id == run)).one()


def secret_word(settings: Settings, service: str = "billing") -> str:
    """The secret as `lml token secrets` hands it to a service."""
    return shown(secret_of(settings, f"webhook:{service}"))


def test_an_end_is_told_once(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """Nothing is sent before the run ends; then one CloudEvents body comes, whose signature a library takes."""
    with Receiver() as receiver:
        number = ask(receiver.url)
        assert not sender(settings, log).send_next()
        succeed(log)
        assert sender(settings, log).send_next()
        assert not sender(settings, log).send_next()
    [received] = receiver.received
    assert received.path == "/hook?a=1"
    assert received.headers["Content-Type"] == "application/cloudevents+json"
    event = Webhook(secret_word(settings)).verify(received.body.decode(), received.headers)
    assert event == json.loads(received.body)
    assert event["specversion"] == "1.0"
    assert event["type"] == "io.lml.run.succeeded"
    assert event["id"] == received.headers["webhook-id"]
    assert (event["source"], event["subject"], event["datacontenttype"]) == (
        "urn:lml:T1",
        str(number),
        "application/json",
    )
    assert event["time"] == event["data"]["ended_at"]
    data = event["data"]
    assert (data["run"], data["state"], data["batch"], data["tags"]) == (number, "succeeded", "b1", ["nightly"])
    assert data["artifacts"][0]["href"] == f"/v1/runs/{number}/artifacts/model.onnx"
    assert data["links"] == {"self": f"/v1/runs/{number}"}
    row = row_of(log, number)
    assert (row.tries, row.problem) == (1, None)
    assert row.done_at is not None


def test_every_end_is_told(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """A run that failed says its problem; one that was cancelled says so."""
    with Receiver() as receiver:
        ask(receiver.url)
        with log.write() as connection:
            taken = attempts.claim(connection, worker="w", lease_s=60)
            assert taken is not None
            attempts.fail(connection, taken[0], PROBLEM)
        second = ask(receiver.url)
        with log.write() as connection:
            runs.cancel(connection, second, by="service:billing")
        while sender(settings, log).send_next():
            pass
    events = [json.loads(received.body) for received in receiver.received]
    assert [event["type"] for event in events] == ["io.lml.run.failed", "io.lml.run.cancelled"]
    assert events[0]["data"]["error"] == {"code": PROBLEM.code, "message": PROBLEM.message, "hint": PROBLEM.hint}


def test_a_large_result_is_left_to_get(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """A webhook stays small: a large result is not in it, what happened is."""
    with Receiver() as receiver:
        ask(receiver.url)
        succeed(log, Outcome(result={"task": "binary", "rows": ["x" * 100] * 1000}, metrics={}, artifacts=[]))
        sender(settings, log).send_next()
    body = receiver.received[0].body
    assert len(body) < 16_000
    assert json.loads(body)["data"]["state"] == "succeeded"
    assert "rows" not in json.loads(body)["data"]


def test_a_receiver_that_stumbles_is_told_again(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """What was not taken comes again, with the same id and a signature of its own time, until it is taken."""
    answers = iter([(500, {}), (404, {}), (302, {"Location": "/elsewhere"}), (200, {})])
    with Receiver(answer=lambda _before: next(answers)) as receiver:
        number = ask(receiver.url)
        succeed(log)
        tried = 0
        while sender(settings, log).send_next():
            tried += 1
            assert row_of(log, number).problem in (
                "the receiver answered 500",
                "the receiver answered 404",
                "the receiver answered 302",
                None,
            )
    assert tried == len(receiver.received) == 4
    assert {received.path for received in receiver.received} == {"/hook?a=1"}  # a redirect is not followed
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    for received in receiver.received:
        Webhook(secret_word(settings)).verify(received.body.decode(), received.headers)


def test_410_ends_it(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """A receiver that is gone for good is not asked again, and why is written down."""
    with Receiver(answer=lambda _before: (410, {})) as receiver:
        number = ask(receiver.url)
        succeed(log)
        assert sender(settings, log).send_next()
        assert not sender(settings, log).send_next()
    row = row_of(log, number)
    assert row.done_at is not None
    assert row.problem == "the receiver answered 410"


def test_nobody_is_asked_for_ever(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """After the last try it is given up, with what was in the way."""
    number = ask("http://127.0.0.1:1/hook")
    succeed(log)
    tried = 0
    while sender(settings, log).send_next():
        tried += 1
    assert tried == MOST_TRIES
    row = row_of(log, number)
    assert row.done_at is not None
    assert row.problem.startswith("ConnectionRefusedError")


def test_the_wait_grows(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """The wait before the next try is drawn up to 5 s, then up to three times that each time, to a day."""
    longest = [max(wait_s(tries) for _ in range(2000)) for tries in range(1, MOST_TRIES)]
    bounds = [min(5.0 * 3**step, 86_400.0) for step in range(MOST_TRIES - 1)]
    assert all(0.9 * bound < met <= bound for met, bound in zip(longest, bounds, strict=True))
    assert min(wait_s(MOST_TRIES) for _ in range(2000)) < 0.1 * MOST_WAIT_S
    with Receiver(answer=lambda _before: (503, {"Retry-After": "120"})) as receiver:
        number = ask(receiver.url)
        succeed(log)
        assert sender(settings, log, wait=1.0).send_next()
        assert not sender(settings, log).send_next()
    with log.read() as connection:
        assert 100 < (row_of(log, number).due_at - now(connection)).total_seconds() <= 120


def test_what_a_dead_bot_left_is_sent(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """A bot that died while it sent leaves a lease; when that has passed another bot sends it, with the same id."""
    with Receiver() as receiver:
        number = ask(receiver.url)
        succeed(log)
        with log.write() as connection:
            assert take_webhook(connection, owner="dead") is not None
        assert not sender(settings, log).send_next()
        with log.write() as connection:
            connection.execute(update(tables.webhooks).values(lease_until=tables.webhooks.c.due_at))
        assert sender(settings, log).send_next()
    assert len(receiver.received) == 1
    assert row_of(log, number).tries == 2


def test_a_slow_receiver_holds_up_nobody_else(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """While one service is being told, its other ends wait, and those of other services do not."""
    with Receiver() as receiver:
        ask(receiver.url), ask(receiver.url), ask(receiver.url, service="crm")
        for _ in range(3):
            succeed(log)
        with log.write() as connection:
            taken = [take_webhook(connection, owner="a") for _ in range(3)]
    assert [delivery and delivery.service for delivery in taken] == ["service:billing", "service:crm", None]


def test_a_receiver_that_drips_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that sends a byte now and then is left after the time limit, not when it likes."""
    monkeypatch.setattr(webhooks, "WITHIN_S", 0.5)
    with Receiver(drips=True) as receiver:
        outcome = post(receiver.url, b"{}", {}, private=True)
    assert not outcome.taken
    assert outcome.problem is not None


def test_private_addresses_are_never_reached(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """Without LML_WEBHOOK_PRIVATE a webhook that was allowed before, or whose name has changed, is not sent."""
    with Receiver() as receiver:
        number = ask(receiver.url)
        succeed(log)
        strict = settings.model_copy(update={"webhook_private": False})
        assert WebhookSender(strict, log, wait=lambda _tries: 0.0).send_next()
        assert post(f"https://localhost:{receiver.port}/", b"{}", {}, private=False).problem is not None
        assert receiver.received == []
    assert "its scheme is `http`" in row_of(log, number).problem


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A certificate for hooks.test, a name that is this machine."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on the path")
    certificate = make_certificate(tmp_path, "hooks.test")
    make_context = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: make_context(cafile=str(tmp_path / "certificate.pem")))
    lookups: list[str] = []

    def getaddrinfo(host: str, port: int, **_more: Any) -> list[Any]:
        lookups.append(host)
        assert len(lookups) == 1, "the name is looked up once, so that it cannot change in between"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: (
            getaddrinfo(host, *more, **named) if host == "hooks.test" else real(host, *more, **named)
        ),
    )
    yield certificate
    assert lookups == ["hooks.test"]


def test_tls_is_the_names(trusted: Path) -> None:
    """Over https the connection goes to the address that was checked, and the certificate has to be the name's."""
    with Receiver(certificate=trusted) as receiver:
        outcome = post(f"https://hooks.test:{receiver.port}/x", b"{}", {"webhook-id": "1"}, private=True)
        assert outcome.taken, outcome
        assert receiver.received[0].headers["Host"] == f"hooks.test:{receiver.port}"
        wrong = post(f"https://127.0.0.1:{receiver.port}/x", b"{}", {}, private=True)
        assert "CERTIFICATE_VERIFY_FAILED" in str(wrong.problem)
    assert len(receiver.received) == 1


def test_the_threads_send_what_is_due(log: Log, settings: Settings, ask: Callable[..., int]) -> None:
    """The bot's threads find what is due by themselves, and each end is told once."""
    with Receiver() as receiver:
        for service in ("billing", "crm", "hr"):
            ask(receiver.url, service=service)
            succeed(log)
        notifier = Notifier(lambda: sender(settings, log), redis_url=None, what="Webhooks", poll_s=0.05, threads=4)
        notifier.start()
        until(lambda: len(receiver.received) == 3)
        notifier.stop()
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 3
