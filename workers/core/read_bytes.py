"""The text of a file in pieces: decompressed, in UTF-8, with one kind of line end; never whole in memory."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from shared.datasets.dialect import HEAD_BYTES, Dialect, decode
from shared.datasets.dialect_encoding import encoding_wrong
from shared.datasets.dialect_records import undo_escapes
from shared.errors import failed

PIECE_BYTES = 8 * 2**20
"""Measured: larger pieces fall out of the processor's cache and Polars reads them at half the speed."""
LONGEST_ROW = 16 * 2**20
"""Bytes of the longest row."""
_LONGEST_HEAD = 4 * 2**20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# A zstd block of 4 bytes may stand for 128 KB, so that one feed of this size makes at most 64 MB.
_ZSTD_FEED = 2048
# CSV shrinks to a third, one with constant columns to a hundredth. What grows more was made to fill a disk.
_MOST_GROWTH, _ALWAYS_ALLOWED, _NEVER_ALLOWED = 200, 256 * 2**20, 20 * 10**9
_SURE_LINES = 5


def read_head(path: Path) -> bytes:
    """The first 64 KB of the text, more where a few lines are longer than that.

    Raises RunFailed `dataset_unreadable` or `dataset_expands`.
    """
    head = b""
    for piece in _decompressed(path, HEAD_BYTES):
        head += piece
        if len(head) >= HEAD_BYTES and _has_lines(head[:HEAD_BYTES]):
            return head[:HEAD_BYTES]
        if len(head) >= _LONGEST_HEAD:
            head = head[:_LONGEST_HEAD]
            break
        if len(head) >= HEAD_BYTES and _has_lines(head):
            break
    if len(head) >= _LONGEST_HEAD and b"\n" not in head and b"\r" not in head:
        raise failed(
            "dataset_unreadable",
            f"The first line may be {_LONGEST_HEAD // 2**20} MB long; the first of this file is longer.",
            "Check that the file is a CSV file with line ends.",
        )
    return head


def text_pieces(path: Path, dialect: Dialect, *, ends_in_cr: bool) -> Iterator[bytes]:
    r"""The text in UTF-8, whose lines end in \n and whose quotes are escaped by doubling them.

    A file in UTF-8 is handed on unchecked. Raises RunFailed `dataset_unreadable`, `dataset_expands`,
    `encoding_wrong`.
    """
    pieces = _decompressed(path, PIECE_BYTES)
    if dialect.encoding == "utf-8-sig":
        pieces = _without_mark(pieces)
    elif dialect.encoding not in ("utf-8", "ascii"):
        pieces = _transcoded(pieces, dialect.encoding)
    if ends_in_cr:
        pieces = (piece.replace(b"\r", b"\n") for piece in pieces)
    return _without_escapes(pieces) if dialect.escape else pieces


def _has_lines(head: bytes) -> bool:
    """Whether the text has lines enough to be understood."""
    return max(head.count(b"\n"), head.count(b"\r")) >= _SURE_LINES


def _decompressed(path: Path, size: int) -> Iterator[bytes]:
    """The bytes of the file in pieces of about `size`, decompressed where it is gzip or zstd."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith((_GZIP, _ZSTD)):
        yield from _plain(path, size)
        return
    kind, grown = "gzip" if start.startswith(_GZIP) else "zstd", 0
    packed = path.stat().st_size
    allowed = min(_NEVER_ALLOWED, max(_ALWAYS_ALLOWED, _MOST_GROWTH * packed))
    try:
        for piece in _gzip(path, size) if kind == "gzip" else _zstd(path, size):
            grown += len(piece)
            if grown > allowed:
                raise failed(
                    "dataset_expands",
                    f"A compressed dataset may grow to {_MOST_GROWTH} times its size, and to 20 GB at most; this "
                    f"one of {packed:,} bytes is larger than {allowed:,} bytes.",
                    "Send it uncompressed, or with fewer rows.",
                )
            yield piece
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise failed(
            "dataset_unreadable",
            f"A compressed dataset must be whole; this {kind} file breaks off or is damaged ({error}).",
            "Compress or copy it again.",
        ) from error


def _plain(path: Path, size: int) -> Iterator[bytes]:
    """Pieces that end where a line does, found before the piece is read: it is never copied to be cut."""
    with path.open("rb") as file:
        start = 0
        while True:
            file.seek(start + size)
            file.readline(LONGEST_ROW)
            end = file.tell()
            file.seek(start)
            piece = file.read(end - start)
            if not piece:
                return
            yield piece
            start = end


def _gzip(path: Path, size: int) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while piece := file.read(size):
            yield piece


def _zstd(path: Path, size: int) -> Iterator[bytes]:
    """All frames of the file; raises EOFError where the last one is not whole, which the package's readers do not."""
    made, ready = list[bytes](), 0
    frame = zstandard.ZstdDecompressor().decompressobj()
    begun = False
    with path.open("rb") as file:
        while feed := file.read(_ZSTD_FEED):
            while feed:
                made.append(frame.decompress(feed))
                begun, ready, feed = True, ready + len(made[-1]), b""
                if frame.eof:
                    begun, feed = False, frame.unused_data
                    frame = zstandard.ZstdDecompressor().decompressobj()
            if ready >= size:
                yield b"".join(made)
                made, ready = [], 0
    if made:
        yield b"".join(made)
    if begun:
        raise EOFError("the last frame is not whole")


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces, b"")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from pieces


def _transcoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder, lines = codecs.getincrementaldecoder(encoding)(), 0
    try:
        for piece in pieces:
            text = decode(piece, encoding) if encoding == "cp1252" else decoder.decode(piece)
            lines += text.count("\n")
            yield text.encode()
        if encoding != "cp1252":
            yield decoder.decode(b"", True).encode()
    except UnicodeError as error:
        raise encoding_wrong(encoding, error, lines=lines) from error


def _without_escapes(pieces: Iterator[bytes]) -> Iterator[bytes]:
    kept = b""
    for piece in pieces:
        whole = kept + piece
        # What follows a backslash at the end decides what it means.
        end = len(whole.rstrip(b"\\"))
        kept = whole[end:]
        yield undo_escapes(whole[:end].decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    yield kept
