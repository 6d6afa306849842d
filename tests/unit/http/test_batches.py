"""Many runs in one request: each line has its own answer, and none stops the others."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from support.http_client import NDJSON, Client

from bot.http import batches
from bot.http.batches import MOST_BYTES, MOST_LINES
from shared.errors import unavailable
from shared.log import tables
from shared.log.engine import Log

PROBE = '{"spec": {"kind": "probe"}}'
MakeClient = Callable[..., Client]


def lines(*texts: str) -> bytes:
    return "\n".join(texts).encode()


def test_each_line_has_its_answer(client: Client, log: Log, written: list[bool]) -> None:
    """Good lines are written and bad ones are answered with what is wrong, by their numbers; blank ones are nothing."""
    late = json.dumps({"spec": {"kind": "train", "dataset": "nope.csv"}})
    body = lines(PROBE, "", "no json", PROBE, late, '{"spec": {"kind": "probe"}, "tags": ["x"]}\n')
    reply = client.post("/v1/batches", body, content_type=NDJSON)
    assert (reply.status, reply.headers["content-type"]) == (200, NDJSON)
    assert [(line["line"], line["status"]) for line in reply.lines] == [
        (1, 202),
        (3, 422),
        (4, 202),
        (5, 422),
        (6, 202),
    ]
    assert [line.get("run") for line in reply.lines] == [1, None, 2, None, 3]
    assert [line.get("code") for line in reply.lines] == [None, "bad_value", None, "dataset_missing", None]
    assert reply.lines[0] == {"line": 1, "status": 202, "run": 1, "state": "preparing", "href": "/v1/runs/1"}
    with log.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.runs)).scalar_one() == 3
    assert written


def test_a_batch_is_sent_again(client: Client) -> None:
    """With the same key, each line finds its run again; a line that differs is refused alone."""
    body = lines(PROBE, PROBE)
    first = client.post("/v1/batches", body, content_type=NDJSON, idempotency_key="k")
    again = client.post("/v1/batches", body, content_type=NDJSON, idempotency_key="k")
    assert [line["run"] for line in again.lines] == [line["run"] for line in first.lines] == [1, 2]
    assert [line["status"] for line in again.lines] == [200, 200]
    other = lines(PROBE, '{"spec": {"kind": "probe", "seconds": 1}}', PROBE)
    third = client.post("/v1/batches", other, content_type=NDJSON, idempotency_key="k")
    assert [(line["status"], line.get("code")) for line in third.lines] == [
        (200, None),
        (422, "key_reused"),
        (202, None),
    ]


def test_a_quota_stops_the_rest(make_client: MakeClient) -> None:
    """Lines beyond the quota are 429 each."""
    reply = make_client(max_waiting=2).post("/v1/batches", lines(*[PROBE] * 4), content_type=NDJSON)
    assert [line["status"] for line in reply.lines] == [202, 202, 429, 429]


def test_many_lines(client: Client) -> None:
    """Several hundred runs are written in one request, in their order."""
    reply = client.post("/v1/batches", lines(*[PROBE] * 300), content_type=NDJSON)
    assert [line["run"] for line in reply.lines] == list(range(1, 301))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "bad_value"),
        (b"\n\n", 422, "bad_value"),
        (b"\xff\n", 422, "bad_value"),
        (b"{}\n" * (MOST_LINES + 1), 413, "body_too_large"),
        (b" " * (MOST_BYTES + 1), 413, "body_too_large"),
    ],
)
def test_what_is_no_batch(client: Client, body: bytes, status: int, code: str) -> None:
    """A body that cannot be taken apart into lines is refused as a whole."""
    reply = client.post("/v1/batches", body, content_type=NDJSON)
    assert (reply.status, reply.json["code"]) == (status, code)


def test_other_types_are_refused(client: Client) -> None:
    """A JSON array is no batch of lines."""
    assert client.post("/v1/batches", [PROBE]).json["code"] == "media_type_wrong"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (unavailable("database_unavailable", "The log does not answer.", "Start it."), 503, "database_unavailable"),
        (ZeroDivisionError(), 500, "internal_error"),
    ],
)
def test_what_breaks_on_the_way_is_said_in_its_lines(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    """When something breaks after the answer has begun, the lines that were not written say so, and the rest go on."""
    write, calls = batches._write, iter([False, True, False])

    def breaks(*arguments: object) -> object:
        if next(calls):
            raise error
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "_write", breaks)
    reply = client.post("/v1/batches", lines(*[PROBE] * 50), content_type=NDJSON)
    assert [line["status"] for line in reply.lines] == [202] * 20 + [status] * 20 + [202] * 10
    assert reply.lines[20]["code"] == code
