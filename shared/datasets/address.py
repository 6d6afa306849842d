"""A dataset by its address: https:// or s3://, only from where the operator allows it. Nothing is looked up here.

The lists are `LML_DATASET_HOSTS` and `LML_DATASET_BUCKETS`; both are empty unless set, so that no address is taken.
"""

import re
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from shared.datasets.names import plain_name
from shared.errors import RefusedWords, refused
from shared.settings import Settings

MOST_LETTERS = 2000
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEEP = "/%:@!$&'()*+,;=~-._"
_SECRET_NAMES = frozenset(
    {
        *("apikey", "auth", "authorization", "credential", "credentials", "jwt", "key", "pass", "passwd", "password"),
        *("pwd", "sas", "secret", "session", "sig", "signature", "token"),
    }
)
_SECRET_ENDS = ("token", "signature", "secret", "password", "_key", "-key", "credential")
_SECRET_BEGINS = ("x-amz-", "x-goog-", "x-ms-")


@dataclass(frozen=True)
class Address:
    """Where a dataset lies."""

    scheme: str
    """`https` or `s3`."""
    host: str
    """The host, or the bucket."""
    path: str
    """What is asked for at the host, with its query; or the key in the bucket."""
    name: str
    """What the dataset is called."""
    port: int = 443

    def __str__(self) -> str:
        """The address without its query, for people."""
        port = f":{self.port}" if self.port != 443 else ""
        path = self.path if self.scheme == "s3" else self.path.partition("?")[0].removeprefix("/")
        return f"{self.scheme}://{self.host}{port}/{path}"


def is_address(dataset: str) -> bool:
    """Whether a dataset's name is an address, taken or not.

    >>> is_address("https://data.example.com/a.csv"), is_address("s3://ml/a.csv"), is_address("2026/a.csv")
    (True, True, False)
    """
    return _ADDRESS.match(dataset) is not None


def called(dataset: str) -> str:
    """What a dataset is called that was named so: its file's name.

    >>> called("https://data.example.com/2026/churn%20a.csv?raw=1"), called("2026/march.csv")
    ('churn a.csv', 'march.csv')
    """
    if not is_address(dataset):
        return PurePath(dataset).name
    rest = dataset.partition("://")[2]
    if not dataset.lower().startswith("s3:"):
        rest = unquote(re.split(r"[?#]", rest, maxsplit=1)[0])
    host, _, path = rest.partition("/")
    return plain_name(path or host)


def require_address(settings: Settings, dataset: str) -> Address:
    """The address that a dataset's name is; raises `RefusedWords` unless a dataset may come from there."""
    if len(dataset) > MOST_LETTERS or not dataset.isprintable():
        raise _refused(dataset, f"it has more than {MOST_LETTERS} letters, or letters that nobody sees")
    scheme = dataset.partition(":")[0].lower()
    if scheme == "s3":
        return _s3(settings, dataset)
    if scheme == "https":
        return _https(settings, dataset)
    raise _refused(dataset, f"its scheme is `{scheme}`")


def listed(names: str) -> tuple[str, ...]:
    """The entries of a list in a setting, without blanks."""
    return tuple(word.strip() for word in names.split(",") if word.strip())


def _https(settings: Settings, dataset: str) -> Address:
    try:
        parts = urlsplit(dataset)
        port = parts.port or 443
    except ValueError as error:
        raise _refused(dataset, str(error)) from error
    if "@" in parts.netloc:
        raise _refused(dataset, "it names a user")
    secret = next((name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _is_secret(name)), None)
    if secret is not None:
        raise _refused(dataset, f"`{secret}=` would stand in the log for everyone to use")
    host = parts.netloc.lower().rpartition(":")[0] if parts.port is not None else parts.netloc.lower()
    if not _HOST.fullmatch(host) or "\\" in dataset:
        raise _refused(dataset, "it names no host")
    if not any(_covers(entry, host, port) for entry in listed(settings.dataset_hosts)):
        place = host if port == 443 else f"{host}:{port}"
        raise _not_listed(place, "hosts", "LML_DATASET_HOSTS", listed(settings.dataset_hosts))
    path = quote(parts.path or "/", safe=_KEEP) + (f"?{quote(parts.query, safe=_KEEP + '?')}" if parts.query else "")
    return Address("https", host.strip("[]"), path, called(dataset), port)


def _s3(settings: Settings, dataset: str) -> Address:
    bucket, _, key = dataset[len("s3://") :].partition("/")
    if not _BUCKET.fullmatch(bucket) or not key or key.endswith("/"):
        raise _refused(dataset, "it names no bucket, or no file in it")
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise _refused(dataset, "its path has an empty part, `.` or `..`")
    if not any(_holds(entry, bucket, key) for entry in listed(settings.dataset_buckets)):
        known = listed(settings.dataset_buckets)
        raise _not_listed(f"s3://{bucket}", "buckets and folders", "LML_DATASET_BUCKETS", known)
    return Address("s3", bucket, key, called(dataset))


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry such as `data.example.com`, `*.example.com` or `data.example.com:8443` means this host."""
    name, colon, number = entry.lower().rpartition(":")
    if not colon or not number.isdecimal():
        name, number = entry.lower(), "443"
    if int(number) != port:
        return False
    return host.endswith(name[1:]) and len(host) > len(name) - 1 if name.startswith("*.") else host == name


def _holds(entry: str, bucket: str, key: str) -> bool:
    """Whether an entry such as `ml-data` or `ml-data/shared/` means this file."""
    name, _, folder = entry.partition("/")
    return name == bucket and f"/{key}".startswith(f"/{folder.strip('/')}/" if folder.strip("/") else "/")


def _is_secret(name: str) -> bool:
    lower = name.lower()
    return lower in _SECRET_NAMES or lower.endswith(_SECRET_ENDS) or lower.startswith(_SECRET_BEGINS)


def _shown(dataset: str) -> str:
    """An address that people may read: without a user, a password or a query."""
    plain = re.split(r"[?#]", dataset, maxsplit=1)[0]
    return re.sub(r"(?<=://)[^/]*@", "", plain)[:200]


def _refused(dataset: str, why: str) -> RefusedWords:
    return refused(
        "address_refused",
        f"A dataset's address is https://host/file or s3://bucket/file, without a user and without secrets; met"
        f" `{_shown(dataset)}`: {why}.",
        "Name the plain address of a file, or share the file itself.",
    )


def _not_listed(met: str, places: str, setting: str, known: tuple[str, ...]) -> RefusedWords:
    return refused(
        "address_not_listed",
        f"Datasets come from {places} that {setting} names ({', '.join(known[:10]) or 'none so far'}); met `{met}`.",
        "Share the file itself, or ask the operator of LML to add it.",
    )
