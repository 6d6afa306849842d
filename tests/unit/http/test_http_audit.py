"""What other services ask over HTTP stands in the audit, before it happens."""

import json
from collections.abc import Callable

from support.http_client import NDJSON, Client

from shared.access import Principal, Source
from shared.log import audit, runs
from shared.log.audit import AuditQuery, Noted
from shared.log.engine import Log
from shared.log.runs import NewRun
from shared.specs import ProbeSpec

PROBE = {"spec": {"kind": "probe"}}
MakeClient = Callable[..., Client]


def rows(log: Log) -> list[Noted]:
    """The audit, newest first."""
    with log.read() as connection:
        return audit.find(connection, Principal("local", "ada", Source.SHELL), AuditQuery())


def test_runs_and_cancels_are_noted(client: Client, log: Log) -> None:
    """Each run that a service writes and each cancel has its row, with the service's key; looking has none."""
    client.post("/v1/runs", PROBE, idempotency_key="k1")
    client.get("/v1/runs/1")
    client.post("/v1/runs/1/cancel")
    assert [(row.by, row.source, row.entry, row.verb, row.words, row.run_id) for row in rows(log)] == [
        ("service:billing", "service", "http", "cancel", "cancel 1", 1),
        ("service:billing", "service", "http", "probe", "probe", None),
    ]
    assert rows(log)[1].trigger_id == "k1"


def test_each_line_of_a_batch_is_noted(client: Client, log: Log) -> None:
    """Every line that could be read has its row; one that could not has none, and its own answer."""
    lines = [json.dumps(PROBE), "{", json.dumps({"spec": {"kind": "train", "dataset": "churn.csv"}})]
    reply = client.post("/v1/batches", "\n".join(lines).encode(), content_type=NDJSON)
    assert [json.loads(line)["status"] for line in reply.body.decode().splitlines()] == [202, 422, 202]
    assert [row.words for row in rows(log)] == ["train churn.csv", "probe"]


def test_refusals_are_noted(make_client: MakeClient, log: Log) -> None:
    """The run of somebody else and a scope that a token lacks are denied, and both stand in the audit with why."""
    with log.write() as connection:
        ada = Principal("T1", "U0ADA", Source.SLACK, "C1")
        number, _ = runs.create(connection, NewRun(spec=ProbeSpec(), words="probe", principal=ada))
    assert make_client().post(f"/v1/runs/{number}/cancel").status == 403
    reader = make_client("reader", scopes=("runs:read",))
    assert reader.post("/v1/runs", PROBE).status == 403
    scope, other = rows(log)
    assert (scope.by, scope.decision, scope.verb, scope.words) == (
        "service:reader",
        "denied",
        "runs:write",
        "POST /v1/runs",
    )
    assert (other.decision, other.verb, other.run_id) == ("denied", "cancel", number)
    assert (other.reason or "").startswith("not_allowed: `cancel` is for whoever asked for a run")


def test_who_is_nobody_fills_no_table(client: Client, address: str, log: Log) -> None:
    """A request without a known token leaves no row: anyone could write millions of them."""
    assert Client(address, "lml_unknown").post("/v1/runs", PROBE).status == 401
    assert rows(log) == []
