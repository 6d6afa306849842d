"""Datasets from S3, against a server that speaks it (moto)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.datasets.address import require_address
from shared.datasets.from_s3 import from_s3
from shared.errors import LmlError
from shared.settings import Settings

CSV = b"a,b\n" + b"1,2\n" * 700_000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3 in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A client of the S3 that LML is told of, as a machine tells it: by its environment."""
    from botocore.session import get_session

    for name in ("HTTP_PROXY", "http_proxy", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = get_session().create_client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="ml-data")
    return client


def read(dataset: str = "s3://ml-data/2026/churn.csv", **limits: object) -> bytes:
    settings = Settings(dataset_buckets="ml-data,no-bucket", **limits)
    return b"".join(from_s3(settings, require_address(settings, dataset)))


def refusal(dataset: str = "s3://ml-data/2026/churn.csv", **limits: object) -> LmlError:
    with pytest.raises(LmlError) as met:
        read(dataset, **limits)
    return met.value


def test_an_object_is_read(bucket: Any) -> None:
    """An object comes whole, in pieces, with the credentials of the environment."""
    bucket.put_object(Bucket="ml-data", Key="2026/churn.csv", Body=CSV)
    assert read() == CSV


def test_odd_names_are_read_as_they_stand(bucket: Any) -> None:
    """A key with blanks, percents, a plus and letters beyond ASCII is that object and no other."""
    bucket.put_object(Bucket="ml-data", Key="a b+c%20é.csv", Body=b"a,b\n1,2\n")
    assert read("s3://ml-data/a b+c%20é.csv") == b"a,b\n1,2\n"


def test_a_missing_object_is_told(bucket: Any) -> None:
    """An object or a bucket that is not there is named with what S3 says."""
    error = refusal("s3://ml-data/none.csv")
    assert error.code == "address_answered"
    assert "`s3://ml-data/none.csv` gave no file: it answered NoSuchKey." in str(error)
    assert "it answered NoSuchBucket" in str(refusal("s3://no-bucket/a.csv"))


def test_too_large_objects_are_refused(bucket: Any) -> None:
    """The size is checked before the first byte."""
    bucket.put_object(Bucket="ml-data", Key="2026/churn.csv", Body=CSV)
    assert refusal(max_dataset_bytes=1000).code == "dataset_too_large"


def test_a_page_is_no_dataset(bucket: Any) -> None:
    """An object that is a web page is refused."""
    bucket.put_object(Bucket="ml-data", Key="2026/churn.csv", Body=b"<!doctype html><html>")
    assert refusal().code == "dataset_not_table"


def test_an_object_that_comes_too_slowly(bucket: Any) -> None:
    """The time is over also where each piece comes: the setting is named."""
    bucket.put_object(Bucket="ml-data", Key="2026/churn.csv", Body=CSV)
    error = refusal(dataset_fetch_s=1e-9)
    assert error.code == "address_slow"
    assert "LML_DATASET_FETCH_S names; `s3://ml-data/2026/churn.csv` took longer" in str(error)


def test_a_bucket_that_is_not_given_to_this_machine(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What S3 denies is told with its word, and who can change it."""
    from botocore.exceptions import ClientError

    class Denying:
        def get_object(self, **_: str) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    monkeypatch.setattr("shared.datasets.from_s3._client", Denying)
    error = refusal()
    assert error.code == "s3_refused"
    assert "it answered AccessDenied" in str(error)
    assert "Its operator gives that machine leave" in str(error)


def test_a_machine_without_credentials(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the operator's part is named."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = refusal()
    assert error.code == "s3_refused"
    assert "this machine has no credentials for S3" in str(error)


def test_an_endpoint_that_does_not_answer(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An S3 that is away is said in one sentence."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    error = refusal()
    assert error.code == "address_unreachable"
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:9/' in str(error)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `s3`, it is named."""
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    error = refusal()
    assert error.code == "s3_package_missing"
    assert "pip install 'lml[s3]'" in str(error)
