"""The store: whole files by the hash of their content, or nothing."""

import errno
import hashlib
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.small_disk import small_disk

from shared.blobs import Blob, BlobStore, require_free_space
from shared.errors import RunFailed

HELLO = b"hello, store"
SHA256 = hashlib.sha256(HELLO).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def files_in(store: BlobStore) -> list[Path]:
    """Every file of the store, unfinished ones too."""
    return [path for path in store.folder.rglob("*") if path.is_file()]


def breaking(error: BaseException) -> Iterator[bytes]:
    """Chunks that end in an error."""
    yield HELLO
    raise error


def test_bytes_come_back(store: BlobStore, tmp_path: Path) -> None:
    """What was put lies under its hash, as it was, and cannot be written over by mistake."""
    source = tmp_path / "a.csv"
    source.write_bytes(HELLO)
    blob = store.put_file(source)
    assert blob == Blob(sha256=SHA256, size_bytes=len(HELLO))
    path = store.path_of(SHA256)
    assert path.read_bytes() == HELLO
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_chunks_are_one_file(store: BlobStore) -> None:
    """The cut of the chunks changes nothing, and no bytes at all are a blob too."""
    assert store.put_chunks([HELLO[:3], b"", HELLO[3:]]).sha256 == SHA256
    empty = store.put_chunks([])
    assert empty == Blob(sha256=hashlib.sha256(b"").hexdigest(), size_bytes=0)
    assert store.path_of(empty.sha256).read_bytes() == b""


def test_the_same_bytes_are_stored_once(store: BlobStore) -> None:
    """Bytes that are there already take no more room, also when eight threads bring them at once."""
    assert store.put_chunks([HELLO]) == store.put_chunks([HELLO])
    threads = [threading.Thread(target=store.put_chunks, args=([HELLO],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert [path.read_bytes() for path in files_in(store)] == [HELLO]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError(errno.EIO, "broken")])
def test_a_write_that_breaks_leaves_nothing(store: BlobStore, error: BaseException) -> None:
    """Chunks that stop in an error leave no file behind, and the error goes on as it is."""
    with pytest.raises(type(error)) as met:
        store.put_chunks(breaking(error))
    assert met.value is error
    assert files_in(store) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_said_so(store: BlobStore, number: int) -> None:
    """A disk or a quota that is used up gives one clear answer, and no half file."""
    with pytest.raises(RunFailed) as met:
        store.put_chunks(breaking(OSError(number, "no room")))
    assert met.value.code == "disk_full"
    assert str(met.value) == (
        f"The disk that holds {store.folder} is full. Free some space there, then run the command again."
    )
    assert files_in(store) == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for 64 KiB; skipped where this user may not mount one."""
    with small_disk(tmp_path / "tiny", size="64k") as folder:
        yield folder


def test_a_real_disk_that_fills_up(tiny_disk: Path, tmp_path: Path) -> None:
    """On a real disk without room, storing and copying out say so and leave the disk as it was."""
    store = BlobStore(tiny_disk / "store")
    kept = store.put_chunks([HELLO])
    with pytest.raises(RunFailed) as met:
        store.put_chunks([b"x" * 50_000] * 4)
    assert met.value.code == "disk_full"
    assert files_in(store) == [store.path_of(kept.sha256)]
    big = BlobStore(tmp_path / "store").put_chunks([b"x" * 200_000])
    with pytest.raises(RunFailed) as met:
        BlobStore(tmp_path / "store").copy_out(big.sha256, tiny_disk / "runs" / "model.onnx")
    assert met.value.code == "disk_full"
    assert list((tiny_disk / "runs").iterdir()) == []


def test_too_many_bytes_are_refused(store: BlobStore) -> None:
    """A dataset above the limit is refused while it comes, with the limit and what to do, and leaves nothing."""
    assert store.put_chunks([b"x" * 10], max_bytes=10).size_bytes == 10
    with pytest.raises(RunFailed) as met:
        store.put_chunks((b"x" * 1_000 for _ in range(10**9)), max_bytes=2_500)
    assert met.value.code == "dataset_too_large"
    assert str(met.value) == (
        "A dataset may have at most 2,500 bytes; this one has more. Train on a sample, or raise LML_MAX_DATASET_BYTES."
    )
    assert len(files_in(store)) == 1


def test_a_blob_that_is_missing_is_said_so(store: BlobStore) -> None:
    """Bytes that the store does not hold are named by their hash, with what to do."""
    with pytest.raises(RunFailed) as met:
        store.path_of(SHA256)
    assert met.value.code == "blob_missing"
    assert str(met.value) == (
        f"The store at {store.folder} does not hold the bytes with sha256 {SHA256}. "
        "Give every machine the same LML_HOME, or run the command that made them again."
    )


def test_copies_are_made_once_and_repaired(store: BlobStore, tmp_path: Path) -> None:
    """A copy under a readable name is kept when it is equal, and made again when it was changed."""
    blob, target = store.put_chunks([HELLO]), tmp_path / "runs" / "1" / "report.json"
    assert store.copy_out(blob.sha256, target) == target
    first = target.stat().st_ino
    assert store.copy_out(blob.sha256, target).stat().st_ino == first
    target.chmod(0o644)
    target.write_bytes(HELLO[::-1])
    assert store.copy_out(blob.sha256, target).read_bytes() == HELLO
    assert [path.name for path in target.parent.iterdir()] == ["report.json"]


def test_work_that_has_no_room_is_not_begun(tmp_path: Path) -> None:
    """Below the least free space nothing is begun, and the numbers are named; the folder need not exist yet."""
    require_free_space(tmp_path / "not" / "there" / "yet", min_free_bytes=1)
    with pytest.raises(RunFailed) as met:
        require_free_space(tmp_path, min_free_bytes=10**18)
    assert met.value.code == "disk_full"
    assert str(met.value).startswith(
        f"A run needs 1,000,000,000,000,000,000 bytes of free disk at least; the disk of {tmp_path} has "
    )
