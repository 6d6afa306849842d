"""Files by the hash of their content: the bytes of datasets and artifacts.

A blob is written to a temporary name and renamed, so a path that exists is whole; the same bytes are stored once.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import RunFailed, failed

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Blob:
    """Bytes in the store."""

    sha256: str
    size_bytes: int


class BlobStore:
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, sha256: str) -> Path:
        """Where a blob lies; raises `RunFailed` when the store does not hold it."""
        path = self._place(sha256)
        if not path.is_file():
            raise failed(
                "blob_missing",
                f"The store at {self.folder} does not hold the bytes with sha256 {sha256}.",
                "Give every machine the same LML_HOME, or run the command that made them again.",
            )
        return path

    def put_file(self, source: Path) -> Blob:
        """Store a file's bytes."""
        with source.open("rb") as stream:
            return self.put_chunks(iter(lambda: stream.read(CHUNK_BYTES), b""))

    def put_chunks(self, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Blob:
        """Store bytes as they come; raises `RunFailed` when they are more than `max_bytes` or the disk is full."""
        try:
            return self._put(chunks, max_bytes)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(self.folder) from error
            raise

    def _put(self, chunks: Iterable[bytes], max_bytes: int | None) -> Blob:
        digest, size_bytes = hashlib.sha256(), 0
        incoming = self.folder / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=incoming, delete=False) as file:
            temporary = Path(file.name)
            try:
                for chunk in chunks:
                    size_bytes += len(chunk)
                    if max_bytes is not None and size_bytes > max_bytes:
                        raise failed(
                            "dataset_too_large",
                            f"A dataset may have at most {max_bytes:,} bytes; this one has more.",
                            "Train on a sample, or raise LML_MAX_DATASET_BYTES.",
                        )
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                place = self._place(digest.hexdigest())
                place.parent.mkdir(parents=True, exist_ok=True)
                temporary.chmod(0o444)
                temporary.replace(place)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return Blob(sha256=digest.hexdigest(), size_bytes=size_bytes)

    def erase(self, sha256: str) -> bool:
        """Erase a blob for good; False when the store does not hold it."""
        try:
            self._place(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def copy_out(self, sha256: str, target: Path) -> Path:
        """A copy of a blob under a readable name; an equal copy that is there already is kept."""
        source = self.path_of(sha256)
        if target.is_file() and target.stat().st_size == source.stat().st_size and _sha256(target) == sha256:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            shutil.copyfile(source, temporary)
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(target.parent) from error
            raise
        return target

    def _place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256[2:]


def disk_full(folder: Path) -> RunFailed:
    """The answer to a disk that has no room left."""
    return failed(
        "disk_full", f"The disk that holds {folder} is full.", "Free some space there, then run the command again."
    )


def require_free_space(folder: Path, *, min_free_bytes: int) -> None:
    """Refuse to begin work that the disk has no room for."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < min_free_bytes:
        raise failed(
            "disk_full",
            f"A run needs {min_free_bytes:,} bytes of free disk at least; the disk of {folder} has {free_bytes:,}.",
            "Free some space there, then run the command again.",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
