"""Lines of JSON into a Parquet file, as a process: `python -m workers.core.parquet_file LINES TARGET < COLUMNS`.

COLUMNS is a JSON object: for each column int, float, text or time (UTC, ISO 8601).
"""

import json
import sys
from pathlib import Path

import polars as pl

_TYPES = {"int": pl.Int64(), "float": pl.Float64(), "text": pl.String(), "time": pl.String()}


def write_parquet(lines: Path, target: Path, columns: dict[str, str]) -> None:
    """Write it piece by piece; raises whatever Polars raises."""
    schema = {name: _TYPES[kind] for name, kind in columns.items()}
    times = [
        pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC")
        for name, kind in columns.items()
        if kind == "time"
    ]
    if lines.stat().st_size == 0:  # Polars takes no empty file for lines
        pl.DataFrame(schema=schema).with_columns(times).write_parquet(target)
        return
    pl.scan_ndjson(lines, schema=schema).with_columns(times).sink_parquet(target)


if __name__ == "__main__":
    write_parquet(Path(sys.argv[1]), Path(sys.argv[2]), json.load(sys.stdin))
