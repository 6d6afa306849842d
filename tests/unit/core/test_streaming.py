"""Large and compressed files go through memory in pieces, and come out as small ones do."""

import gzip
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard

from shared.errors import RunFailed
from workers.core import read_bytes, table
from workers.core.read_bytes import PIECE_BYTES
from workers.core.reading import read_table
from workers.core.table import TableWriter

HEAD = "id,text,last\n"


@pytest.fixture(scope="module")
def long_text() -> str:
    """Some three pieces of text: quoted line ends, empty cells, letters of two bytes."""
    lines = [f'{k},"wörd, {k}\nsecond line",{k % 7 or ""}\n' for k in range(3 * PIECE_BYTES // 36)]
    return HEAD + "".join(lines)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables go to disk once they are a megabyte, in files of some 100,000 cells."""
    monkeypatch.setattr(table, "MEMORY_BYTES", 2**20)
    monkeypatch.setattr(table, "FILE_CELLS", 100_000)


def test_a_record_that_lies_on_the_border_of_two_pieces_is_whole(write, long_text):
    """No piece ends inside of a record for the reader."""
    frame = read_table(write(long_text)).frame
    assert frame.height == long_text.count("second line")
    assert frame["id"].cast(pl.Int64).equals(pl.Series("id", range(frame.height)))
    assert frame["text"][-1] == f"wörd, {frame.height - 1}\nsecond line"


def test_a_table_on_disk_is_the_table_in_memory(write, long_text, little_memory, tmp_path):
    """Columns, rows and slices are the same, and the scratch folder is empty once the table is gone."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = write(long_text)
    large = read_table(path, writer=TableWriter(scratch))
    assert large.is_on_disk
    assert len(list(scratch.rglob("*.arrow"))) > 2
    k = np.array([0, 5, 77_777, large.height - 1])
    text = [f"wörd, {row}\nsecond line" for row in k]
    assert large.column("text")[k.tolist()].to_list() == text
    assert large.take(k, ["text", "id"]).to_dict(as_series=False) == {"text": text, "id": [str(row) for row in k]}
    assert large.take(np.array([], dtype=np.int64)).shape == (0, 3)
    slices = list(large.slices(["last"], 50_000))
    assert max(part.height for part in slices) <= 50_000
    assert pl.concat(slices)["last"].equals(large.column("last"))
    large.rename(["a", "b", "c"])
    assert large.frame.columns == ["a", "b", "c"]
    del large
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, lambda data: zstandard.compress(data) * 2])
def test_compressed_files_are_read(write, pack):
    """gzip and zstd are told by their first bytes; frames that follow each other are one file."""
    rows = "1,2\n3,4\n" * 500
    assert set(read_table(write(pack(rows.encode()))).frame.rows()) == {("1", "2"), ("3", "4")}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_file_that_breaks_off_is_refused(write, pack):
    """Half a download is no dataset."""
    packed = pack(os.urandom(100_000).hex().replace("0", ",").replace("1", "\n").encode())
    with pytest.raises(RunFailed, match=r"must be whole; this (gzip|zstd) file breaks off or is damaged") as caught:
        read_table(write(packed[:-5000]))
    assert caught.value.code == "dataset_unreadable"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_decompression_bomb_is_refused(write, pack, monkeypatch):
    """What grows far beyond its size was made to fill a disk."""
    monkeypatch.setattr(read_bytes, "_ALWAYS_ALLOWED", 10**6)
    with pytest.raises(RunFailed, match="200 times its size, and to 20 GB at most; this one of") as caught:
        read_table(write(pack(b"a,b\n" + b"1,2\n" * 5_000_000)))
    assert caught.value.code == "dataset_expands"


def test_a_page_inside_gzip_is_named(write):
    """What is inside is looked at as a plain file is."""
    with pytest.raises(RunFailed, match="a web page"):
        read_table(write(gzip.compress(b"<html><body>Log in, please</body></html>")))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp932", "gb18030"])
def test_a_letter_on_the_border_of_two_pieces_is_whole(write, encoding, monkeypatch):
    """Other encodings are decoded piece by piece."""
    monkeypatch.setattr(read_bytes, "PIECE_BYTES", 1001)
    text = "name,n\n" + "".join(f"東京の人,{k}\n" for k in range(500))
    frame = read_table(write(text.encode(encoding)), encoding=encoding).frame
    assert frame.height == 500
    assert set(frame["name"]) == {"東京の人"}


def test_an_escape_on_the_border_of_two_pieces_is_whole(write, monkeypatch):
    r"""A piece that ends between `\` and `"` changes nothing."""
    monkeypatch.setattr(read_bytes, "PIECE_BYTES", 777)
    text = "t,n\n" + "".join(f'"say \\"hi\\" and \\\\ now",{k}\n' for k in range(500))
    assert set(read_table(write(text)).frame["t"]) == {'say "hi" and \\ now'}


def test_a_large_parquet_file_goes_to_disk(tmp_path: Path, little_memory):
    """It is read in slices, with the values that a small one has."""
    pl.DataFrame({"a": range(300_000), "b": [None, "x", "y"] * 100_000}).write_parquet(tmp_path / "data")
    large = read_table(tmp_path / "data")
    assert large.is_on_disk
    assert large.take(np.array([0, 299_999])).rows() == [("0", ""), ("299999", "y")]


def test_a_full_disk_is_said(write, long_text, little_memory, tmp_path):
    """Scratch files that cannot be written end the run with what to do."""
    with pytest.raises(RunFailed, match="Free space in the folder for temporary files") as caught:
        read_table(write(long_text), writer=TableWriter(tmp_path / "missing"))
    assert caught.value.code == "disk_full"


def test_damage_inside_gzip_is_said(write):
    """A wrong checksum or a broken block is no end of the file."""
    packed = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 1000))
    packed[-6] ^= 255
    with pytest.raises(RunFailed, match="damaged"):
        read_table(write(bytes(packed)))
