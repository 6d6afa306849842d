"""What a file is by its first bytes, whatever its name says."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import chain


class FileKind(StrEnum):
    """What the first bytes say."""

    TEXT = "text"  # anything else: a CSV, most of the time
    PAGE = "page"  # HTML: a login page, most of the time
    GZIP = "gzip"
    ZSTD = "zstd"
    PARQUET = "parquet"
    ZIP = "zip"  # also .xlsx
    XLS = "xls"


_MAGIC = (
    (b"\x1f\x8b", FileKind.GZIP),
    (b"\x28\xb5\x2f\xfd", FileKind.ZSTD),
    (b"PAR1", FileKind.PARQUET),
    (b"PK\x03\x04", FileKind.ZIP),
    (b"PK\x05\x06", FileKind.ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind.XLS),
)
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
_ENOUGH_BYTES = 1024


def kind_of(head: bytes) -> FileKind:
    r"""The kind of a file whose first bytes these are.

    >>> kind_of(b"\xef\xbb\xbf\n <!DOCTYPE html><html>"), kind_of(b"a,b\n1,<html>\n")
    (<FileKind.PAGE: 'page'>, <FileKind.TEXT: 'text'>)
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    begins = head[:_ENOUGH_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return FileKind.PAGE if begins.startswith(_PAGES) else FileKind.TEXT


def peeked(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first 1,024 bytes of what comes in chunks, fewer where there are no more, and all of it once again."""
    waiting, head = iter(chunks), b""
    while len(head) < _ENOUGH_BYTES and (chunk := next(waiting, b"")):
        head += chunk
    return head, chain([head], waiting)
