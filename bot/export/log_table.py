"""The runs of the log as a flat table: one row for each run, one column for each figure. Read in pages, never whole."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, Any

from sqlalchemy import select

from bot.desk import Desk
from bot.scored import interval_of, on_test
from shared.log import search, tables
from shared.log.runs import MOST_NUMBER, Run, visible_to
from shared.search import Query

PAGE_RUNS = 500
COLUMNS: dict[str, str] = {
    "run": "int",
    "kind": "text",
    "state": "text",
    "name": "text",
    "words": "text",
    "requested_by": "text",
    "source": "text",
    "tags": "text",
    "dataset": "text",
    "dataset_sha256": "text",
    "content_sha256": "text",
    "split_sha256": "text",
    "target": "text",
    "task": "text",
    "model": "text",
    "headline": "text",
    "score": "float",
    "score_sd": "float",
    "score_low": "float",
    "score_high": "float",
    "seed": "int",
    "seeds": "int",
    "seed_of": "int",
    "attempts": "int",
    "error": "text",
    "created_at": "time",
    "queued_at": "time",
    "started_at": "time",
    "ended_at": "time",
}
"""What every table begins with, and what its cells are; figures such as `test.accuracy` follow."""
_COMPUTED = {"run", "tags", "dataset", "score_sd", "score_low", "score_high", "seed", "seeds", "error"}


def columns_of(desk: Desk) -> dict[str, str]:
    """The columns of a table of what this principal may see, and what their cells are."""
    metrics = tables.metrics.c
    with desk.log.read() as connection:
        asked = select(metrics.part, metrics.name).distinct().order_by(metrics.part, metrics.name)
        if not desk.principal.sees_everything:
            asked = asked.join(tables.runs, tables.runs.c.id == metrics.run_id).where(visible_to(desk.principal))
        return COLUMNS | {f"{row.part}.{row.name}": "float" for row in connection.execute(asked)}


def rows_of(desk: Desk, query: Query, *, most: int | None) -> Iterator[dict[str, Any]]:
    """The rows, newest first; at most `most`. A run that is written meanwhile is not among them."""
    last, left = min(query.last or MOST_NUMBER, MOST_NUMBER), MOST_NUMBER if most is None else most
    while left > 0 and last > 0:
        page = replace(query, last=last, limit=min(PAGE_RUNS, left))
        with desk.log.read() as connection:
            found = search.find(connection, desk.principal, page)
            numbers = [run.id for run in found]
            figures = tables.metrics.c
            asked = select(tables.metrics).where(figures.run_id.in_(numbers))
            reached: dict[int, dict[str, float]] = {number: {} for number in numbers}
            for row in connection.execute(asked):
                reached[row.run_id][f"{row.part}.{row.name}"] = row.value
            tags: dict[int, list[str]] = {number: [] for number in numbers}
            beside = select(tables.run_tags).where(tables.run_tags.c.run_id.in_(numbers))
            for row in connection.execute(beside.order_by(tables.run_tags.c.tag)):
                tags[row.run_id].append(row.tag)
        yield from (_row(run, tags[run.id]) | reached[run.id] for run in found)
        if len(found) < page.limit:
            return
        last, left = found[-1].id - 1, left - len(found)


def write_csv(rows: Iterator[dict[str, Any]], columns: Sequence[str], target: IO[str]) -> int:
    """A row for each run below a header; an empty cell where a run has none. Returns how many runs there were."""
    writer, count = csv.DictWriter(target, columns, lineterminator="\n", extrasaction="ignore"), 0
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
        count += 1
    return count


def write_jsonl(rows: Iterator[dict[str, Any]], columns: Sequence[str], target: IO[str]) -> int:
    """An object for each run, a line each, all with the same keys. Returns how many runs there were."""
    count = 0
    for row in rows:
        target.write(json.dumps({name: row.get(name) for name in columns}, ensure_ascii=False) + "\n")
        count += 1
    return count


def _row(run: Run, tags: Sequence[str]) -> dict[str, Any]:
    plain = run.model_dump(mode="json", include={*COLUMNS} - _COMPUTED)
    low, high = interval_of(run.result, run.headline) or (None, None)
    return {
        **plain,
        "run": run.id,
        "tags": ",".join(tags) or None,
        "dataset": run.dataset_name,
        "score_sd": on_test(run.result, "sd").get(run.headline or ""),
        "score_low": low,
        "score_high": high,
        "seed": getattr(run.spec, "seed", None),
        "seeds": None if run.seeds is None else len(run.seeds),
        "error": None if run.problem is None else run.problem.code,
    }
