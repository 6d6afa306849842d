"""The columns of a file from its first 64 KB, for a form that asks which one is the target."""

import zlib

from shared.datasets.dialect import HEAD_BYTES, find_dialect
from shared.datasets.first_bytes import FileKind, kind_of
from shared.errors import RunFailed, failed

_GZIP_WINDOW = 31
"""zlib's word for a gzip header and its largest window."""


def columns_of(head: bytes, name: str) -> list[str]:
    """The names of the columns of a CSV, plain or as gzip, as the reader would find them.

    Raises `RunFailed` `columns_unseen` where its beginning does not tell them, or what is wrong with the file.
    """
    kind = kind_of(head)
    if kind is FileKind.PARQUET:
        raise _unseen(name, "a Parquet file names them at its end", "Type the target's name.")
    if kind is FileKind.ZSTD:
        raise _unseen(
            name, "it is packed as Zstandard, which is unpacked by the worker only", "Type the target's name."
        )
    if kind in (FileKind.ZIP, FileKind.XLS):
        raise _unseen(
            name, "it is a workbook or an archive, which is not read", "Save the table as CSV and share that."
        )
    if kind is FileKind.PAGE:
        raise _unseen(name, "it is a web page", "Share the file itself.")
    if kind is FileKind.GZIP:
        head = _unpacked(head, name)
    return list(find_dialect(head[:HEAD_BYTES]).columns)


def _unpacked(head: bytes, name: str) -> bytes:
    try:
        return zlib.decompressobj(_GZIP_WINDOW).decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise _unseen(name, f"its gzip is damaged ({error})", "Share the file again.") from error


def _unseen(name: str, why: str, hint: str) -> RunFailed:
    return failed("columns_unseen", f"Columns are shown of a CSV file; those of `{name}` are not: {why}.", hint)
