"""What Slack says of a file: whether it is one that holds data, and whether it is there for whoever asked. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from shared.datasets.names import plain_name
from shared.errors import RunFailed, failed

File = Mapping[str, Any]

TRACE_MODES = frozenset({"tombstone", "hidden_by_limit"})
"""The modes of a file of which only a trace is left."""
_NO_FILES = {
    "space": "canvas",
    "canvas": "canvas",
    "post": "post",
    "email": "mail",
    "list": "list",
    "quip": "document",
}
"""Kinds of content that Slack lists among files."""
_HIDDEN = frozenset({"access_denied", "file_not_found"})


def newest_of(files: Sequence[File], name: str) -> File | None:
    """Of files, the newest first, the newest of exactly this name, else of this name in other letters' case."""
    there = [file for file in files if not is_gone(file)]
    exact = [file for file in there if file.get("name") == name]
    loose = [file for file in there if str(file.get("name", "")).casefold() == name.casefold()]
    return next(iter((*exact, *loose)), None)


def is_gone(file: File) -> bool:
    """Whether only a trace of it is left."""
    return file.get("mode") in TRACE_MODES or file.get("file_access") in _HIDDEN


def is_whole(file: File) -> bool:
    """Whether Slack has looked it over (it says what kind of file it is then), and said everything of it."""
    return file.get("mimetype") != "" and file.get("file_access") != "check_file_info"


def is_for(file: File, *, user: str, channel: str | None) -> bool:
    """Whether this person shared it, or it was shared in this channel: an id alone opens no file."""
    if file.get("user") == user:
        return True
    return channel is not None and channel in places_of(file)


def places_of(file: File) -> set[str]:
    """The channels and conversations in which a file was shared."""
    named = {place for kind in ("channels", "groups", "ims") for place in file.get(kind) or ()}
    shares = (file.get("shares") or {}).values()
    return named | {place for kind in shares if isinstance(kind, Mapping) for place in kind}


def require_data(file: File, name: str, *, most_bytes: int, hosts: frozenset[tuple[str, str]]) -> str:
    """The address of a file that can be a dataset; raises `RunFailed`. Only these (scheme, host) get the token."""
    mode, size = str(file.get("mode", "")), file.get("size")
    if is_gone(file):
        raise gone(name, "Slack keeps it no more")
    if mode in _NO_FILES:
        raise failed(
            "dataset_not_table",
            f"A dataset is a CSV or Parquet file; `{name}` is a {_NO_FILES[mode]} of Slack.",
            "Share the file itself.",
        )
    address = str(file.get("url_private_download") or file.get("url_private") or "")
    parts = urlsplit(address)
    external = mode == "external" or bool(file.get("is_external"))
    if external or (parts.scheme, parts.netloc) not in hosts:
        kept_by = str(file.get("external_type") or "") if external else ""
        raise failed(
            "dataset_elsewhere",
            f"A dataset is a file that Slack itself keeps; `{name}` lies at {kept_by or parts.netloc or 'no address'}.",
            "Download it, and share the file itself in this channel.",
        )
    if isinstance(size, int) and size > most_bytes:
        raise failed(
            "dataset_too_large",
            f"A dataset may have at most {most_bytes:,} bytes; `{name}` has {size:,}.",
            "Train on a sample, or raise LML_MAX_DATASET_BYTES.",
        )
    return address


def name_of(file: File, otherwise: str) -> str:
    """What the file is called, without anything that would make a path of it."""
    return plain_name(str(file.get("name") or otherwise))


def gone(name: str, why: str) -> RunFailed:
    """The answer to a file that was shared once."""
    return failed(
        "dataset_gone",
        f"The file `{name}` was shared here and is gone ({why}).",
        "Share it again, then type the command again.",
    )
