"""The files of a run: their bytes as they are, known by their hash."""

import hashlib
from collections.abc import Callable

import pytest
from support.http_client import Client, Reply

from shared import submission
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.settings import Settings

MODEL = b"\x08\x09" * 100_000


@pytest.fixture
def files(
    client: Client, settings: Settings, log: Log, store: BlobStore, succeed: Callable[[], None]
) -> dict[str, dict[str, str]]:
    """The artifacts of a run that succeeded, as GET says, by their names."""
    client.post("/v1/runs", {"spec": {"kind": "probe"}})
    assert submission.prepare(log, store, settings, 1)
    succeed()
    return {file["name"]: file for file in client.get("/v1/runs/1").json["artifacts"]}


def test_a_file_is_fetched(client: Client, files: dict[str, dict[str, str]]) -> None:
    """A run names its files with their hashes and addresses; the bytes there have that hash."""
    assert set(files) == {"model.onnx", "report.json"}
    reply = client.get(files["model.onnx"]["href"])
    assert (reply.status, reply.body) == (200, MODEL)
    assert hashlib.sha256(reply.body).hexdigest() == files["model.onnx"]["sha256"]
    assert reply.headers["etag"] == f'"{files["model.onnx"]["sha256"]}"'
    assert reply.headers["content-disposition"] == 'attachment; filename="model.onnx"'
    assert reply.headers["content-length"] == str(len(MODEL))
    assert reply.headers["content-type"] == "application/octet-stream"
    assert client.get(files["report.json"]["href"]).headers["content-type"] == "application/json"


def test_who_has_the_bytes_gets_none(client: Client, files: dict[str, dict[str, str]]) -> None:
    """304 for whoever names the hash, in each way that HTTP has; else the bytes."""
    sha256, href = files["model.onnx"]["sha256"], files["model.onnx"]["href"]

    def asked(tag: str) -> Reply:
        return client.get(href, if_none_match=tag)

    for tag in (f'"{sha256}"', f'W/"{sha256}"', f'"x", "{sha256}"', "*"):
        assert (asked(tag).status, asked(tag).body) == (304, b"")
    assert asked('"x"').body == MODEL


def test_a_part_of_a_file(client: Client, files: dict[str, dict[str, str]]) -> None:
    """A download that broke off goes on where it stood."""
    reply = client.get(files["model.onnx"]["href"], range="bytes=100000-")
    assert (reply.status, reply.body) == (206, MODEL[100_000:])


@pytest.mark.parametrize("name", ["x.onnx", "..%2F..%2Flog.db", "%2Fetc%2Fpasswd", "."])
def test_other_names_are_not_there(client: Client, files: dict[str, dict[str, str]], name: str) -> None:
    """Only what the run made is served; no name leads anywhere else."""
    reply = client.get(f"/v1/runs/1/artifacts/{name}")
    assert reply.status == 404
    assert reply.json["code"] in ("unknown_artifact", "unknown_path")


def test_bytes_that_are_gone_are_said(client: Client, files: dict[str, dict[str, str]], store: BlobStore) -> None:
    """A store that lost a file is an error of ours, with its code."""
    store.path_of(files["model.onnx"]["sha256"]).unlink()
    reply = client.get(files["model.onnx"]["href"])
    assert (reply.status, reply.json["code"]) == (500, "blob_missing")
