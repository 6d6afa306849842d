"""Breaks files as disks, mail and hands break them: what happens follows from the `random.Random` that is given."""

import csv
import io
from collections.abc import Callable
from random import Random

_FOREIGN = (
    b"\0", b"\0\0\0\0", b"\xff", b"\xe9", b"\xef\xbb\xbf", b"\xfe\xff", b'"', b'""', b"'", b"\\", b"\r", b"\n", b"\r\n",
    b",", b";", b"\t", b",,,,", b"#", b"=1+1", b"$", b"<b>&amp;", b"1e999", b"-1e308", b"9" * 400, b"\xf0\x9f\x8e\x89",
    b"\xe2\x80\x8b", b"\x1a", b"\x1f", b"NaN", b"inf", b"None", b"%s%n{}", b"\xed\xa0\x80",
)  # fmt: skip
_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "cp1252", "cp037", "shift_jis")


def mutated(data: bytes, chance: Random) -> tuple[bytes, str]:
    """The data after one to three changes, and their names."""
    names = chance.choices(list(MUTATIONS), k=chance.choice((1, 1, 2, 3)))
    for name in names:
        data = MUTATIONS[name](data, chance)
    return data, ", ".join(names)


def flipped(data: bytes, chance: Random) -> bytes:
    """Some bits are turned."""
    out = bytearray(data)
    for _ in range(_few(chance) if out else 0):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def shortened(data: bytes, chance: Random) -> bytes:
    """Some runs of bytes are lost."""
    for _ in range(_few(chance)):
        start = chance.randint(0, len(data))
        data = data[:start] + data[start + chance.randint(1, 200) :]
    return data


def inserted(data: bytes, chance: Random) -> bytes:
    """Some bytes are added that mean something to a reader."""
    for _ in range(_few(chance)):
        start = chance.randint(0, len(data))
        data = data[:start] + chance.choice(_FOREIGN) + data[start:]
    return data


def repeated(data: bytes, chance: Random) -> bytes:
    """A part stands twice."""
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.randint(1, 20_000))
    return data[:end] + data[start:end] + data[end:]


def truncated(data: bytes, chance: Random) -> bytes:
    """The rest is missing."""
    return data[: chance.randint(0, len(data))]


def beheaded(data: bytes, chance: Random) -> bytes:
    """The start is missing."""
    return data[chance.randint(0, min(len(data), 4096)) :]


def swapped(data: bytes, chance: Random) -> bytes:
    """Two parts have changed places."""
    a, b, c = sorted(chance.randint(0, len(data)) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def recoded(data: bytes, chance: Random) -> bytes:
    """A part is in another encoding."""
    start, end = sorted(chance.randint(0, len(data)) for _ in range(2))
    part = data[start:end].decode("utf-8", "replace").encode(chance.choice(_ENCODINGS), "replace")
    return data[:start] + part + data[end:]


def zeroed(data: bytes, chance: Random) -> bytes:
    """A part was never written to the disk."""
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice((1, 16, 512, 4096)))
    return data[:start] + bytes(end - start) + data[end:]


def rejoined(data: bytes, chance: Random) -> bytes:
    """Some lines end otherwise, or not at all."""
    end = chance.choice((b"", b" ", b"\r", b"\r\n", b"\n\n", b"\r\r\n"))
    share = chance.choice((0.01, 0.3, 1.0))
    lines = data.splitlines(keepends=True)
    return b"".join(line.rstrip(b"\r\n") + end if chance.random() < share else line for line in lines)


def misplaced(data: bytes, chance: Random) -> bytes:
    """In some rows a delimiter is lost, added or changed."""
    delimiter = max((b",", b";", b"\t"), key=data.count)
    change = chance.choice((b"", delimiter * 2, b" ", b'"' + delimiter))
    share = chance.choice((0.005, 0.05, 0.3, 1.0))
    return _by_line(data, lambda line: _once(line, delimiter, change, chance), share, chance)


def annotated(data: bytes, chance: Random) -> bytes:
    """Lines that are no rows stand between the rows."""
    note = chance.choice((b"# note\n", b"Total,,,\n", b"-----\n", b"\n\n", b"page 1 of 2\n", b",,,,,,,,,,\n"))
    lines = data.splitlines(keepends=True)
    for _ in range(_few(chance)):
        lines.insert(chance.randint(0, len(lines)), note)
    return b"".join(lines)


def moved_cells(data: bytes, chance: Random, *, share: float) -> tuple[bytes, int]:
    """Rows below the header in which a cell was lost and an empty one stands at the end, and how many: each row is as
    wide as before.
    """
    header, *rows = csv.reader(io.StringIO(data.decode()))
    hit = [row for row in rows if chance.random() < share]
    for row in hit:
        del row[chance.randrange(len(row) - 1)]
        row.append("")
    return _written([header, *rows]), len(hit)


def joined_cells(data: bytes, chance: Random, *, share: float) -> tuple[bytes, int]:
    """Rows below the header in which two cells run together, and how many."""
    header, *rows = csv.reader(io.StringIO(data.decode()))
    hit = [row for row in rows if chance.random() < share]
    for row in hit:
        k = chance.randrange(len(row) - 1)
        row[k : k + 2] = [row[k] + row[k + 1]]
    return _written([header, *rows]), len(hit)


MUTATIONS: dict[str, Callable[[bytes, Random], bytes]] = {
    change.__name__: change
    for change in (
        flipped, shortened, inserted, repeated, truncated, beheaded, swapped, recoded, zeroed, rejoined, misplaced,
        annotated,
    )
}  # fmt: skip


def _few(chance: Random) -> int:
    return chance.choice((1, 1, 2, 5, 50))


def _by_line(data: bytes, change: Callable[[bytes], bytes], share: float, chance: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(change(line) if chance.random() < share else line for line in lines)


def _once(line: bytes, old: bytes, new: bytes, chance: Random) -> bytes:
    """The line with one of its `old` replaced, whichever."""
    parts = line.split(old)
    if len(parts) < 2:
        return line
    k = chance.randrange(1, len(parts))
    return old.join(parts[:k]) + new + old.join(parts[k:])


def _written(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
