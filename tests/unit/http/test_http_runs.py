"""The door for other services: who comes in, what is written, what is refused and how it is said."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import insert, select, update
from support.deadline import until
from support.http_client import Client

from shared import submission
from shared.access import Principal, Source, Visibility
from shared.blobs import BlobStore
from shared.log import runs, tables
from shared.log.engine import Log
from shared.log.runs import NewRun, RunState
from shared.log.services import revoke_token
from shared.settings import Settings
from shared.specs import ProbeSpec

PROBE = {"spec": {"kind": "probe"}}
TRAIN = {"spec": {"kind": "train", "dataset": "churn.csv", "model": "linear", "time_s": 20}}
MakeClient = Callable[..., Client]


def run_of(log: Log, number: int) -> runs.Run:
    with log.read() as connection:
        return runs.get(connection, number)


def of_ada(log: Log, *, visibility: Visibility = Visibility.TEAM, team: str = "T1") -> int:
    """A run that a person asked for."""
    principal = Principal(team, "U0ADA", Source.SLACK, "C1")
    with log.write() as connection:
        new = NewRun(spec=ProbeSpec(), words="probe", principal=principal, visibility=visibility)
        return runs.create(connection, new)[0]


def queue(settings: Settings, log: Log, store: BlobStore, number: int) -> None:
    """What the preparer does behind the answer."""
    assert submission.prepare(log, store, settings, number)


def test_a_run_is_written(client: Client, log: Log, written: list[bool]) -> None:
    """A spec becomes a run of the service that waits for its dataset; the answer says where it is found."""
    reply = client.post("/v1/runs", {**TRAIN, "tags": ["nightly"], "batch": "b1", "channel": "C0GENERAL"})
    assert (reply.status, reply.headers["location"]) == (202, "/v1/runs/1")
    assert reply.json["run"] == 1
    assert reply.json["state"] == "preparing"
    assert reply.json["words"] == "train churn.csv model=linear budget=20.0"
    assert reply.json["links"] == {"self": "/v1/runs/1", "cancel": "/v1/runs/1/cancel"}
    run = run_of(log, 1)
    assert (run.requested_by, run.team_id, run.source) == ("service:billing", "T1", "service")
    assert (run.priority.word, run.tags, run.batch) == ("normal", ("nightly",), "b1")
    with log.read() as connection:
        assert connection.execute(select(tables.cards.c.channel_id)).scalar_one() == "C0GENERAL"
    assert written == [True]


def test_everything_wrong_is_said_at_once(client: Client, written: list[bool]) -> None:
    """A request with several mistakes is answered with all of them, as one RFC 9457 problem; nothing is written."""
    body = {"spec": {"kind": "train", "dataset": "churn.csv", "epochs": 0, "modle": "mlp"}, "priority": "now", "x": 1}
    reply = client.post("/v1/runs", body)
    assert (reply.status, reply.headers["content-type"]) == (422, "application/problem+json")
    problem = reply.json
    assert problem["type"] == "urn:lml:problem:bad_value"
    assert (problem["title"], problem["status"], problem["code"]) == ("Unprocessable Entity", 422, "bad_value")
    assert [(met["code"], met["message"].split("`")[1]) for met in problem["problems"]] == [
        ("bad_value", "priority"),
        ("bad_value", "spec.train.epochs"),
        ("unknown_key", "spec.train.modle"),
        ("unknown_key", "x"),
    ]
    assert all(met["message"] in problem["detail"] for met in problem["problems"])
    assert written == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_value"),
        (b"[]", "bad_value"),
        (b"\xff\xfe", "bad_value"),
        (b'{"spec": {"kind": "probe", "seconds": NaN}}', "bad_value"),
        (b"[" * 200_000, "bad_value"),
        (b'{"spec": {"kind": "train", "dataset": "a\\u0000b"}}', "bad_value"),
        (b'{"spec": {"kind": "fly"}}', "bad_value"),
        (b'{"spec": {"kind": "train", "dataset": "nope.csv"}}', "dataset_missing"),
        (b'{"spec": {"kind": "train", "dataset": "../log.db"}}', "dataset_outside"),
        (b'{"spec": {"kind": "train", "dataset": "sha256:' + b"0" * 64 + b'"}}', "dataset_unknown"),
        (b'{"spec": {"kind": "train", "dataset": "churn.csv", "optimizer": "gd", "batch": 8}}', "words_conflict"),
        (b'{"spec": {"kind": "evaluate", "dataset": "churn.csv", "run": 7}}', "unknown_run"),
        (b'{"spec": {"kind": "probe"}, "deadline": "2020-01-01T00:00:00Z"}', "deadline_passed"),
        (b'{"spec": {"kind": "probe"}, "deadline": "2099-01-01T00:00:00"}', "bad_value"),
        (b'{"spec": {"kind": "probe"}, "webhook": "https://10.0.0.1/x"}', "webhook_refused"),
        (b'{"spec": {"kind": "probe"}, "webhook": "http://example.com/x"}', "webhook_refused"),
    ],
)
def test_what_cannot_be_done_writes_nothing(client: Client, log: Log, body: bytes, code: str) -> None:
    """Whatever cannot be read or done has its code, and leaves no run."""
    reply = client.post("/v1/runs", body)
    assert reply.json["code"] == code
    assert reply.status == (404 if code == "unknown_run" else 422)
    with log.read() as connection:
        assert connection.execute(select(tables.runs)).all() == []


def test_a_number_beyond_the_database_is_no_run(client: Client) -> None:
    """A model's number that no database can hold is refused like one that does not exist."""
    reply = client.post("/v1/runs", {"spec": {"kind": "evaluate", "dataset": "churn.csv", "run": 10**30}})
    assert 400 <= reply.status < 500


def test_the_same_key_is_the_same_run(client: Client, log: Log, written: list[bool]) -> None:
    """Sent again with its key a request finds its run, quoted or bare, whatever its spaces; and nobody is woken."""
    first = client.post("/v1/runs", PROBE, idempotency_key="k 1")
    again = client.post("/v1/runs", b'{ "spec" : {"kind":"probe"} }', idempotency_key='"k 1"')
    assert (first.status, again.status) == (202, 200)
    assert again.json["run"] == first.json["run"] == 1
    assert again.headers["location"] == "/v1/runs/1"
    assert written == [True]


@pytest.mark.parametrize(
    "other",
    [
        {"spec": {"kind": "probe", "seconds": 1}},
        {**PROBE, "priority": "low"},
        {**PROBE, "tags": ["x"]},
        {**PROBE, "deadline": "2099-01-01T00:00:00Z"},
    ],
)
def test_a_key_stands_for_one_request(client: Client, other: dict[str, object]) -> None:
    """The key of another request is refused, and the first run stays."""
    client.post("/v1/runs", PROBE, idempotency_key="k")
    reply = client.post("/v1/runs", other, idempotency_key="k")
    assert (reply.status, reply.json["code"]) == (422, "key_reused")
    assert reply.json["problems"][0]["message"] == (
        "An idempotency key stands for one request; this one was used for run 1, which differs."
    )
    assert client.get("/v1/runs/2").status == 404


def test_keys_are_each_services_own(client: Client, make_client: MakeClient) -> None:
    """Two services may choose the same key."""
    client.post("/v1/runs", PROBE, idempotency_key="k")
    assert make_client("crm").post("/v1/runs", PROBE, idempotency_key="k").json["run"] == 2


@pytest.mark.parametrize("key", ["", " ", "ü", "x" * 256])
def test_a_key_is_plain_text(client: Client, key: str) -> None:
    """A key that could not be told from another is refused."""
    reply = client.post("/v1/runs", PROBE, idempotency_key=key)
    assert (reply.status, reply.json["code"]) == (422, "bad_value")


def test_who_may_come_in(client: Client, make_client: MakeClient, log: Log, address: str) -> None:
    """Without a token, with a wrong one, with a revoked one, or without the scope, nothing opens."""
    for token in (None, "lml_wrong", ""):
        reply = Client(address, token).get("/v1/runs/1")
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == 'Bearer realm="lml"'
    reader = make_client("reader", scopes=("runs:read",))
    assert client.post("/v1/runs", PROBE).status == 202
    assert reader.get("/v1/runs/1").status == 200
    for refused in (reader.post("/v1/runs", PROBE), reader.get("/v1/runs/1/artifacts/x"), reader.post("/v1/batches")):
        assert (refused.status, refused.json["code"]) == (403, "scope_missing")
    assert "this one has runs:read" in reader.post("/v1/runs", PROBE).json["detail"]
    with log.write() as connection:
        assert revoke_token(connection, 1)
    assert (client.get("/v1/runs/1").status, client.get("/v1/runs/1").json["code"]) == (401, "token_unknown")


def test_the_use_of_a_token_is_noted(client: Client, log: Log) -> None:
    """Which tokens are used is known to whoever wonders which can go."""
    client.get("/v1/runs/1")
    with log.read() as connection:
        assert connection.execute(select(tables.tokens.c.used_at)).scalar_one() is not None


def test_what_a_service_sees(client: Client, make_client: MakeClient, log: Log) -> None:
    """A service sees its own runs and those that its team sees; others are answered like runs that do not exist."""
    seen = of_ada(log)
    hidden = [of_ada(log, visibility=Visibility.PRIVATE), of_ada(log, visibility=Visibility.CHANNEL)]
    hidden.append(of_ada(log, team="T2"))
    assert client.get(f"/v1/runs/{seen}").status == 200
    for number in (*hidden, 99):
        reply = client.get(f"/v1/runs/{number}")
        assert (reply.status, reply.json["code"]) == (404, "unknown_run")
    for word in ("x", "0", "-1", "1.0", "9" * 30, "²"):
        assert client.get(f"/v1/runs/{quote(word)}").json["code"] == "unknown_run"


def test_a_waiting_run_says_when(client: Client, settings: Settings, log: Log, store: BlobStore) -> None:
    """A run that waits has a place, and says its last event, for whoever follows it."""
    for _ in range(2):
        queue(settings, log, store, client.post("/v1/runs", PROBE).json["run"])
    body = client.get("/v1/runs/2").json
    assert (body["state"], body["position"], body["last_event"]) == ("queued", 2, 1)
    assert datetime.fromisoformat(body["queued_at"]) <= datetime.now(UTC) + timedelta(seconds=5)


def test_a_waiting_run_is_cancelled(client: Client, settings: Settings, log: Log, store: BlobStore) -> None:
    """A run that waits has ended at once; asked again, it stays as it is."""
    queue(settings, log, store, client.post("/v1/runs", PROBE).json["run"])
    for _ in range(2):
        reply = client.post("/v1/runs/1/cancel")
        assert (reply.status, reply.json["state"]) == (200, "cancelled")
    assert run_of(log, 1).state is RunState.CANCELLED


def test_what_cannot_be_cancelled(
    client: Client,
    settings: Settings,
    log: Log,
    store: BlobStore,
    succeed: Callable[[], None],
) -> None:
    """A run that has ended, and one of someone else, stay as they are; a running one is asked to stop."""
    number = client.post("/v1/runs", PROBE).json["run"]
    queue(settings, log, store, number)
    with log.write() as connection:
        connection.execute(update(tables.runs).values(state="running"))
    assert client.post(f"/v1/runs/{number}/cancel").status == 202
    assert run_of(log, number).cancel_requested
    with log.write() as connection:
        connection.execute(update(tables.runs).values(state="queued"))
    succeed()
    ended = client.post(f"/v1/runs/{number}/cancel")
    assert (ended.status, ended.json["code"]) == (409, "run_ended")
    assert "run 1 has succeeded" in ended.json["detail"]
    foreign = client.post(f"/v1/runs/{of_ada(log)}/cancel")
    assert (foreign.status, foreign.json["code"]) == (403, "not_allowed")


def test_quotas_are_429(make_client: MakeClient, log: Log) -> None:
    """A service that has all that its quota gives is told so, and when more is free where that is known."""
    client = make_client(max_waiting=1, max_gpu_hours=1)
    assert client.post("/v1/runs", PROBE).status == 202
    full = client.post("/v1/runs", PROBE)
    assert (full.status, full.json["code"]) == (429, "quota_waiting")
    with log.write() as connection:
        hour_ago = datetime.now(UTC) - timedelta(hours=2)
        connection.execute(
            insert(tables.attempts).values(
                run_id=1,
                number=1,
                team_id="T1",
                requested_by="service:billing",
                worker="w",
                device="gpu",
                started_at=hour_ago,
                ended_at=hour_ago + timedelta(hours=1),
            )
        )
        connection.execute(update(tables.runs).values(state="cancelled"))
    spent = client.post("/v1/runs", {"spec": {"kind": "train", "dataset": "churn.csv", "device": "gpu"}})
    assert (spent.status, spent.json["code"]) == (429, "quota_gpu_hours")
    assert 21 * 3600 < int(spent.headers["retry-after"]) <= 22 * 3600


def test_a_dataset_by_its_hash(
    client: Client, make_client: MakeClient, settings: Settings, log: Log, store: BlobStore
) -> None:
    """A dataset that the team has used is named by its hash, also when its file is gone; other teams cannot."""
    queue(settings, log, store, client.post("/v1/runs", TRAIN).json["run"])
    (settings.datasets_folder / "churn.csv").unlink()
    sha256 = hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    again = {"spec": {"kind": "describe", "dataset": f"sha256:{sha256}"}}
    number = client.post("/v1/runs", again).json["run"]
    queue(settings, log, store, number)
    assert run_of(log, number).dataset_sha256 == run_of(log, 1).dataset_sha256
    assert make_client("other", team="T2").post("/v1/runs", again).json["code"] == "dataset_unknown"


def test_bodies_have_a_type_and_a_size(client: Client) -> None:
    """Another media type, and more than a spec can need, are refused before they are read."""
    wrong = client.post("/v1/runs", PROBE, content_type="text/plain")
    assert (wrong.status, wrong.json["code"]) == (415, "media_type_wrong")
    assert "met `text/plain`" in wrong.json["detail"]
    large = client.post("/v1/runs", b" " * (256 * 1024 + 1))
    assert (large.status, large.json["code"]) == (413, "body_too_large")
    assert client.post("/v1/runs", PROBE, content_type="application/json; charset=utf-8").status == 202


def test_paths_and_methods_that_are_not_served(client: Client) -> None:
    """What is not there is a problem too, and says what is."""
    gone = client.get("/v2/runs")
    assert (gone.status, gone.json["code"]) == (404, "unknown_path")
    wrong = client.send("DELETE", "/v1/runs/1", None)
    assert (wrong.status, wrong.json["code"], wrong.headers["allow"]) == (405, "method_wrong", "GET, HEAD")


def test_a_log_that_is_away_is_503(client: Client, log: Log, settings: Settings) -> None:
    """When the log does not answer the client is told so, and when to try again."""
    (settings.home_folder / "log.db").rename(settings.home_folder / "gone.db")
    (settings.home_folder / "log.db").mkdir()
    reply = client.get("/v1/runs/1")
    assert (reply.status, reply.json["code"]) == (503, "database_unavailable")
    assert reply.headers["retry-after"] == "5"


def test_a_bug_is_a_problem_too(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of ours is answered without its trace, which the log has."""
    monkeypatch.setattr(runs, "find", lambda *_args: 1 / 0)
    reply = client.get("/v1/runs/1")
    assert (reply.status, reply.json["code"]) == (500, "internal_error")
    assert b"ZeroDivisionError" not in reply.body
    until(lambda: "ZeroDivisionError" in caplog.text, what="the log has the trace")


def test_where_webhooks_go_is_the_services_own(make_client: MakeClient) -> None:
    """A run's webhook is the one that was asked for, else the service's; only the service that asked sees it."""
    client = make_client(webhook="https://billing.example.com/all")
    usual = client.post("/v1/runs", PROBE).json
    other = client.post("/v1/runs", {**PROBE, "webhook": "https://billing.example.com/this"}).json
    assert usual["webhooks"] == [
        {"url": "https://billing.example.com/all", "tries": 0, "done_at": None, "problem": None}
    ]
    assert [told["url"] for told in other["webhooks"]] == ["https://billing.example.com/this"]
    assert "webhooks" not in make_client("crm").get("/v1/runs/1").json
