"""What Prometheus reads."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from sqlalchemy import insert, update
from support.http_client import Client
from support.log_acts import change, claimed, queued, running

from bot.http.metrics import Metrics
from shared.errors import Problem
from shared.log import attempts, tables, workers
from shared.log.engine import Log
from shared.log.figures import figures
from shared.specs import Device
from shared.wire import EMPTY_DOORBELLS
from shared.work import Length, Slot

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    """Every sample by its name and labels, as Prometheus itself would read them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(log: Log, redis_url: str = "redis://127.0.0.1:1/0") -> Samples:
    return samples_of(Metrics(log, redis_url=redis_url).read().decode())


def met(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def past(log: Log, number: int, *, took_s: float, device: str = "cpu", asker: str = "ada") -> None:
    """Let a run have ended well after a time, on a device."""
    end = datetime.now(UTC)
    begin = end - timedelta(seconds=took_s)

    def act(connection: Any) -> None:
        values = {"started_at": begin, "ended_at": end}
        connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(state="succeeded", **values))
        connection.execute(
            insert(tables.attempts).values(
                run_id=number,
                number=1,
                team_id="T1",
                requested_by=asker,
                worker="w",
                device=device,
                outcome="succeeded",
                **values,
            )
        )

    change(log, act)


def test_figures_on_both_engines(log: Log) -> None:
    """Queue, states, durations, attempts and GPU time are counted alike on SQLite and Postgres."""
    for took_s, device, asker in ((0.5, "gpu", "ada"), (30.0, "gpu", "service:billing"), (100_000.0, "cpu", "ada")):
        past(log, queued(log), took_s=took_s, device=device, asker=asker)
    queued(log)
    queued(log)
    lost = running(log)  # takes the oldest that waits
    change(log, lambda connection: attempts.crash(connection, lost, Problem("x", "It crashed."), most=3))
    change(log, lambda connection: workers.seen(connection, "w1", [Slot(gpu="0"), Slot()]))
    with log.read() as connection:
        now = figures(connection)
    assert sum(waiting.runs for waiting in now.waiting) == 3
    assert {waiting.priority for waiting in now.waiting} == {"high"}
    assert all(0 <= waiting.oldest_s < 60 for waiting in now.waiting)
    assert now.states["queued"] == 3
    assert now.states["succeeded"] == 3
    assert now.states["failed"] == 0
    [took] = now.durations
    assert took.of == ("train", "succeeded")
    assert took.counts == [1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert took.sum_s == pytest.approx(100_030.5, abs=0.01)
    [waited] = now.waits
    assert waited.of == ("auto", "short", "high")
    assert sum(waited.counts) >= 1
    assert now.attempts == {"succeeded": 3, "crashed": 1}
    assert now.gpu_s == {"person": pytest.approx(0.5, abs=0.01), "service": pytest.approx(30.0, abs=0.01)}
    assert [slot.device for slot in now.slots] == [Device.GPU, Device.CPU]


def test_the_text_is_prometheus(log: Log, redis_url: str) -> None:
    """The text parses with Prometheus' own parser: buckets cumulate, every class is there, counters end in _total."""
    past(log, queued(log), took_s=30.0, device="gpu", asker="service:billing")
    queued(log)
    attempt = claimed(log, lease_s=-1.0)
    change(log, attempts.release_lapsed)
    assert attempt.run == 2
    Redis.from_url(redis_url).set(EMPTY_DOORBELLS, 4)
    samples = read(log, redis_url)
    assert met(samples, "lml_queue_depth", device="auto", length="long", priority="high") in (0.0, 1.0)
    assert len([name for name, _ in samples if name == "lml_queue_depth"]) == len(Device) * len(Length) * 4
    labels = {"kind": "train", "state": "succeeded"}
    assert met(samples, "lml_run_duration_seconds_bucket", le="15", **labels) == 0
    assert met(samples, "lml_run_duration_seconds_bucket", le="60", **labels) == 1
    assert met(samples, "lml_run_duration_seconds_bucket", le="+Inf", **labels) == 1
    assert met(samples, "lml_run_duration_seconds_count", **labels) == 1
    assert met(samples, "lml_run_duration_seconds_sum", **labels) == pytest.approx(30.0, abs=0.01)
    assert met(samples, "lml_runs", state="queued") == 1
    assert met(samples, "lml_attempts_total", outcome="lost") == 1
    assert met(samples, "lml_leases_lost_total") == 1
    assert met(samples, "lml_gpu_seconds_total", requester="service") == pytest.approx(30.0, abs=0.01)
    assert met(samples, "lml_doorbells_empty_total") == 4
    assert met(samples, "lml_redis_up") == 1


def test_every_metric_is_documented(log: Log, redis_url: str) -> None:
    """docs/services.md names each metric, and no other."""
    text = Metrics(log, redis_url=redis_url).read().decode()
    served = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    page = (Path(__file__).parents[3] / "docs" / "services.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(lml_[a-z_]+)", page, re.MULTILINE)) == served


def test_redis_away_leaves_the_rest(log: Log) -> None:
    """Without Redis what the log knows is still said."""
    samples = read(log)
    assert met(samples, "lml_redis_up") == 0
    assert ("lml_doorbells_empty_total", frozenset()) not in samples
    assert met(samples, "lml_runs", state="queued") == 0


def test_an_answer_is_given_again(log: Log) -> None:
    """Several scrapers at once cost the log one look."""
    metrics = Metrics(log, redis_url="redis://127.0.0.1:1/0")
    first = metrics.read()
    queued(log)
    assert metrics.read() == first


def test_health_and_metrics_need_no_token(address: str) -> None:
    """Whoever watches over the process asks without a token."""
    stranger = Client(address, None)
    assert (stranger.get("/healthz").status, stranger.get("/healthz").body) == (200, b"ok\n")
    reply = stranger.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert met(samples_of(reply.body.decode()), "lml_runs", state="running") == 0
