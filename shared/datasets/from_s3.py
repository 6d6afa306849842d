"""A dataset from an S3 bucket, with the credentials that the machine has (environment, profile or role).

The bucket is on the operator's list, and the endpoint is the operator's own setting: nobody who asks names a host.
"""

import time
from collections.abc import Iterator
from typing import Any

from shared.blobs import CHUNK_BYTES
from shared.datasets.address import Address
from shared.datasets.first_bytes import FileKind, kind_of, peeked
from shared.datasets.limits import require_size, too_slow
from shared.errors import RunFailed, failed
from shared.settings import Settings

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404"})


def from_s3(settings: Settings, address: Address) -> Iterator[bytes]:
    """The object's bytes as they come; raises `RunFailed` with the reason when they cannot be had."""
    deadline = time.monotonic() + settings.dataset_fetch_s
    try:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # heavy, and an extra
    except ModuleNotFoundError as error:
        raise failed(
            "s3_package_missing",
            "An address s3://... needs the package botocore, which is not installed here.",
            "pip install 'lml[s3]' where the bot and the worker run.",
        ) from error
    try:
        found = _client().get_object(Bucket=address.host, Key=address.path)
        body = found["Body"]
        try:
            require_size(settings, address, int(found["ContentLength"]))
            head, chunks = peeked(_chunks(body, address, deadline))
            if kind_of(head) is FileKind.PAGE:
                raise failed(
                    "dataset_not_table",
                    f"A dataset is a CSV or Parquet file; `{address}` is a web page.",
                    "Name the file itself.",
                )
            yield from chunks
        finally:
            body.close()
    except ClientError as error:
        raise _answered(address, error.response) from error
    except NoCredentialsError as error:
        raise _refused(address, "this machine has no credentials for S3") from error
    except (BotoCoreError, OSError) as error:
        raise failed(
            "address_unreachable",
            f"`{address}` could not be read: {(str(error) or type(error).__name__).splitlines()[0]}.",
            "Ask again in a minute; the operator of LML knows the endpoint.",
        ) from error


def _client() -> Any:
    from botocore.config import Config
    from botocore.session import get_session

    limits = Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
    return get_session().create_client("s3", config=limits)


def _chunks(body: Any, address: Address, deadline: float) -> Iterator[bytes]:
    while chunk := body.read(CHUNK_BYTES):
        if time.monotonic() > deadline:
            raise too_slow(address)
        yield chunk


def _answered(address: Address, response: Any) -> RunFailed:
    code = str(response.get("Error", {}).get("Code", "unknown"))
    if code in _GONE:
        return failed("address_answered", f"`{address}` gave no file: it answered {code}.", "Check the address.")
    return _refused(address, f"it answered {code}")


def _refused(address: Address, why: str) -> RunFailed:
    return failed(
        "s3_refused",
        f"`{address}` is read with the credentials of the machine on which LML runs: {why}.",
        "Its operator gives that machine leave to read the bucket.",
    )
