"""Another service, a bot and a worker as processes of their own: from a request over HTTP to files and a webhook."""

import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import update
from standardwebhooks import Webhook
from support.deadline import until
from support.http_client import NDJSON, Client, bot_process, door_address
from support.place import Place
from support.receiver import Receiver

from bot.terminal.redis_server import start_redis
from shared.log import runs, tables
from shared.log.engine import Log, open_log

EXAMPLES = Path(__file__).parents[2] / "examples"
PROBE = {"spec": {"kind": "probe"}}
MakePlace = Callable[..., Place]


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A home with a dataset."""
    return with_dataset(make_place())


@pytest.fixture(params=["sqlite", "postgres"])
def each_place(request: pytest.FixtureRequest, make_place: MakePlace) -> Place:
    """The same on both databases."""
    return with_dataset(make_place(None if request.param == "sqlite" else request.getfixturevalue("postgres_url")))


def with_dataset(made: Place) -> Place:
    """A place that has churn.csv."""
    made.settings.datasets_folder.mkdir()
    (made.settings.datasets_folder / "churn.csv").write_bytes((EXAMPLES / "churn.csv").read_bytes())
    return made


@contextmanager
def open_door(place: Place, **environment: str) -> Iterator[Client]:
    """A bot whose door is open, and a client with a token that `lml token make` has printed."""
    code, answer = place.shell.run("token", "make", "billing")
    assert code == 0, answer
    with bot_process(place.settings, **environment) as process:
        yield Client(door_address(process), answer["token"])
        assert process.poll() is None


@pytest.mark.timeout(300)
def test_from_a_request_to_files_and_a_webhook(each_place: Place) -> None:
    """A spec over HTTP is trained by a real worker; the service hears of the end and fetches the checked ONNX file."""
    each_place.start_worker()
    with Receiver() as receiver, open_door(each_place, LML_WEBHOOK_PRIVATE="yes") as client:
        spec = {"kind": "train", "dataset": "churn.csv", "model": "linear", "time_s": 10}
        asked = client.post("/v1/runs", {"spec": spec, "webhook": receiver.url}, idempotency_key="one")
        assert asked.status == 202, asked.body
        path = asked.headers["location"]
        until(lambda: client.get(path).json["state"] == "succeeded", within_s=120, what="the run has succeeded")
        run = client.get(path).json
        until(lambda: receiver.received, what="the webhook came")
        files = {file["name"]: file for file in run["artifacts"]}
        model = client.get(files["model.onnx"]["href"])
        until(lambda: client.get(path).json["webhooks"][0]["done_at"], what="the webhook is done")
        assert client.post("/v1/runs", {"spec": spec, "webhook": receiver.url}, idempotency_key="one").json == {
            **run,
            "webhooks": client.get(path).json["webhooks"],
        }
    assert hashlib.sha256(model.body).hexdigest() == files["model.onnx"]["sha256"]
    assert run["dataset"]["name"] == "churn.csv"
    assert run["metrics"]["test"]
    [received] = receiver.received
    _, shown = each_place.shell.run("token", "secrets", "billing")
    event = Webhook(shown["secrets"]["webhook"]).verify(received.body.decode(), received.headers)
    assert event["type"] == "io.lml.run.succeeded"
    assert event["data"]["run"] == run["run"]


def test_a_key_sent_from_everywhere_at_once(each_place: Place) -> None:
    """Twenty requests with one key, at the same moment, make one run; of all answers one is 202."""
    with open_door(each_place) as client:
        with ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(lambda _: client.post("/v1/runs", PROBE, idempotency_key="k"), range(20)))
        assert {reply.json["run"] for reply in replies} == {1}
        assert sorted(reply.status for reply in replies) == [200] * 19 + [202]
        assert client.get("/v1/runs/2").status == 404


def test_a_batch_is_run(place: Place) -> None:
    """Each good line of a batch is run by a worker; bad lines are answered, and stop nothing."""
    place.start_worker()
    with open_door(place) as client:
        lines = [json.dumps(PROBE), "nonsense", json.dumps({**PROBE, "priority": "low"})] * 3
        reply = client.post("/v1/batches", "\n".join(lines).encode(), content_type=NDJSON)
        assert [line["status"] for line in reply.lines] == [202, 422, 202] * 3
        numbers = [line["run"] for line in reply.lines if line["status"] == 202]
        for number in numbers:
            until(lambda number=number: client.get(f"/v1/runs/{number}").json["state"] == "succeeded")  # type: ignore[misc]
        assert [client.get(f"/v1/runs/{number}").json["attempts"] for number in numbers] == [1] * 6


def test_a_frozen_redis_holds_up_nobody(make_place: MakePlace, tmp_path: Path) -> None:
    """With a Redis that is frozen each request is answered as quickly as ever; its runs wait in the log."""
    server, url = start_redis(tmp_path / "redis", tmp_path / "redis.log")
    place = make_place()
    place.settings = place.settings.model_copy(update={"redis_url": SecretStr(url)})
    pid = int(Redis.from_url(url).info("server")["process_id"])  # type: ignore[index]
    try:
        with open_door(place) as client:
            assert client.post("/v1/runs", PROBE).status == 202
            os.kill(pid, signal.SIGSTOP)
            took = []
            for _ in range(10):
                began = time.monotonic()
                assert client.post("/v1/runs", PROBE).status == 202
                took.append(time.monotonic() - began)
            began = time.monotonic()
            assert "lml_redis_up 0.0" in client.get("/metrics").body.decode()
            took.append(time.monotonic() - began)
            assert max(took) < 3.0, took
            log = open_log(place.settings.log_url)
            until(lambda: all(state == "queued" for state in states(log)), what="all of them wait in the log")
    finally:
        os.kill(pid, signal.SIGCONT)
        server.stop(grace_s=5)


def states(log: Log) -> list[str]:
    with log.read() as connection:
        return [runs.get(connection, number).state.value for number in range(1, 12)]


def test_a_bot_that_is_killed_loses_nothing(each_place: Place) -> None:
    """What was answered with 202 is brought to its end by the next bot, also when the first is killed at once."""
    _, made = each_place.shell.run("token", "make", "billing")
    with bot_process(each_place.settings) as first:
        client = Client(door_address(first), made["token"])
        spec = {"kind": "describe", "dataset": "churn.csv"}
        numbers = [client.post("/v1/runs", {"spec": spec}).json["run"] for _ in range(5)]
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    log = open_log(each_place.settings.log_url)
    with log.write() as connection:  # the lease of what it had begun: nobody waits a minute for it here
        connection.execute(update(tables.runs).values(lease_until=None))
    with bot_process(each_place.settings) as second:
        client = Client(door_address(second), made["token"])
        for number in numbers:
            until(lambda number=number: client.get(f"/v1/runs/{number}").json["state"] == "queued")  # type: ignore[misc]


def test_without_slack_and_without_services_no_bot(make_place: MakePlace) -> None:
    """The bot says everything that it could need; LML_HTTP=yes alone opens the door, LML_HTTP=no closes it again."""
    place = make_place()
    with bot_process(place.settings) as process:
        assert process.wait(30) == 2
    with bot_process(place.settings, LML_HTTP="yes") as process:
        client = Client(door_address(process), None)
        assert client.get("/healthz").body == b"ok\n"
        assert client.post("/v1/runs", PROBE).json["code"] == "token_missing"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    place.shell.run("token", "make", "billing")
    with bot_process(place.settings, LML_HTTP="no") as process:
        assert process.wait(30) == 2


def test_a_taken_port_is_said(place: Place) -> None:
    """A second bot on the same port ends with the port and the variables that change it."""
    with open_door(place) as client:
        port = client.address.rsplit(":", 1)[1]
        with bot_process(place.settings, LML_HTTP_PORT=port) as second:
            assert second.wait(30) == 1


def test_the_bot_ends_while_a_request_waits(place: Place) -> None:
    """SIGTERM ends the bot within seconds, also when a client holds a connection open and sends nothing."""
    _, made = place.shell.run("token", "make", "billing")
    with bot_process(place.settings) as process:
        host, port = door_address(process).removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as idle:
            head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {made['token']}\r\n"
            idle.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n".encode())
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
