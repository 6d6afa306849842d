"""How long a whole `read_table` takes beside Polars alone, on a clean file and on files that need care.

    python -m benchmarks.reading [--rows 1000000] [--large 10000000]

Clean: 21 columns, interleaved rounds, medians; beside `pl.read_csv` that infers nothing and as people call it. Then the
same rows with quotes, and with faults, so that each row is looked at. `--large` writes a file of 20 columns and
measures seconds and the peak memory of a process that reads it and visits each column. The times are those of this
machine.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from workers.core.reading import read_table
from workers.core.table import TableWriter

ROUNDS = 7
_BLOCK_ROWS = 250_000


def main() -> None:
    """Measure in turn, A B C A B C, so that a machine whose speed drifts drifts for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=0, help="rows of the large file; 0 leaves it out")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clean, quoted, faulty = (Path(folder) / name for name in ("clean.csv", "quoted.csv", "faulty.csv"))
        write_table(clean, words.rows, columns=21)
        write_table(quoted, words.rows, columns=21, quote=True)
        _spoil(clean, faulty)
        _compare("clean", clean)
        _compare("quoted", quoted)
        _compare("one fault in 1,000 rows", faulty, peers=False)
        if words.large:
            large = Path(folder) / "large.csv"
            write_table(large, words.large, columns=20)
            _say_large(large)


def write_table(path: Path, rows: int, *, columns: int, quote: bool = False) -> None:
    """Write numbers, a few words and dates, the same each time."""
    chance = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "a longer name, with a comma" if quote else "a longer category name"])
    days = np.array([f"2024-{month:02d}-{day:02d}" for month in range(1, 13) for day in range(1, 29)])
    with path.open("wb") as file:
        for start in range(0, rows, _BLOCK_ROWS):
            size = min(_BLOCK_ROWS, rows - start)
            data = {f"x{k}": np.round(chance.normal(size=size), 4) for k in range(columns - 4)}
            data |= {"count": chance.integers(0, 100_000, size), "word": words[chance.integers(0, len(words), size)]}
            data |= {"day": days[chance.integers(0, len(days), size)], "y": chance.integers(0, 2, size)}
            pl.DataFrame(data).write_csv(file, include_header=start == 0)


def _spoil(clean: Path, faulty: Path) -> None:
    """Copy the file; of each 1,000 rows one is too short or too long, or opens a quote."""
    faults = [b"1,2,3\n", b"1," * 30 + b"1\n", b'"' + b"1," * 20 + b"1\n"]
    with clean.open("rb") as source, faulty.open("wb") as target:
        for k, line in enumerate(source):
            target.write(faults[k // 1000 % 3] if k % 1000 == 999 else line)


def _compare(name: str, path: Path, *, peers: bool = True) -> None:
    ways: dict[str, Callable[[], object]] = {"read_table": lambda: read_table(path)}
    if peers:
        ways["pl.read_csv, nothing inferred"] = lambda: pl.read_csv(path, infer_schema=False)
        ways["pl.read_csv"] = lambda: pl.read_csv(path)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, read in ways.items():
            started = time.perf_counter()
            read()
            times[way].append(time.perf_counter() - started)
    ours = statistics.median(times["read_table"])
    _say(f"{name}: {path.stat().st_size / 1e6:.0f} MB, {ROUNDS} rounds, median seconds")
    for way, seconds in times.items():
        middle = statistics.median(seconds)
        _say(f"  {way:32} {middle:6.3f}   read_table / this {ours / middle:5.2f}")


def _say_large(path: Path) -> None:
    """In a process of its own, for peak memory is that of a whole process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        rows, read_s, read_mb, visit_s, visit_mb = pool.apply(_read_large, (path,))
    _say(f"large: {rows:,} rows, {path.stat().st_size / 1e9:.2f} GB")
    _say(f"  read                             {read_s:6.1f} s   peak {read_mb:,.0f} MB")
    _say(f"  each column once                 {visit_s:6.1f} s   peak {visit_mb:,.0f} MB")


def _read_large(path: Path) -> tuple[int, float, float, float, float]:
    started = time.perf_counter()
    table = read_table(path, writer=TableWriter(path.parent))
    read_s, read_mb = time.perf_counter() - started, _peak_mb()
    started = time.perf_counter()
    for name in table.names:
        table.column(name).n_unique()
    return table.height, read_s, read_mb, time.perf_counter() - started, _peak_mb()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
