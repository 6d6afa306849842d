"""`/metrics` for Prometheus: what the log says at this moment, so that every bot of an installation says the same.

No label names a person, a service or a run.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate, product
from threading import Lock

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from redis import Redis, RedisError

from shared.log.engine import Log
from shared.log.figures import DURATION_BOUNDS_S, Figures, Histogram, figures
from shared.specs import Device
from shared.wire import EMPTY_DOORBELLS
from shared.work import Length, Priority

KEPT_S = 5.0
"""How long an answer is given again, so that several scrapers cost the log no more than one."""
_REDIS_WITHIN_S = 0.5
_BOUNDS = (*(f"{bound:g}" for bound in DURATION_BOUNDS_S), "+Inf")


class Metrics:
    """Reads the log when it is asked, at most once in `KEPT_S`."""

    MEDIA_TYPE = CONTENT_TYPE_LATEST

    def __init__(self, log: Log, *, redis_url: str) -> None:
        self._log = log
        self._redis = Redis.from_url(
            redis_url, socket_connect_timeout=_REDIS_WITHIN_S, socket_timeout=_REDIS_WITHIN_S, retry=None
        )
        self._lock = Lock()
        self._text, self._read_at = b"", float("-inf")

    async def text(self) -> bytes:
        """The metrics in Prometheus' text format; raises `ServiceUnavailable` when the log is away."""
        return await asyncio.to_thread(self.read)

    def read(self) -> bytes:
        """The same, without a loop."""
        with self._lock:
            if time.monotonic() - self._read_at > KEPT_S:
                with self._log.read() as connection:
                    now = figures(connection)
                registry = CollectorRegistry(auto_describe=False)
                registry.register(_Collected([*_of_log(now), *_of_redis(self._redis)]))
                self._text, self._read_at = generate_latest(registry), time.monotonic()
            return self._text


class _Collected:
    """Metrics that are there already, as the client library wants them."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _of_log(now: Figures) -> Iterator[Metric]:
    yield from _of_queue(now)
    states = GaugeMetricFamily("lml_runs", "Runs of the log by state.", labels=["state"])
    for state, count in now.states.items():
        states.add_metric([state], count)
    yield states
    said = "From the start of a run's last attempt to its end."
    yield _histogram("lml_run_duration_seconds", said, ["kind", "state"], now.durations)
    said = "From the moment in which a run could start to its last start."
    yield _histogram("lml_run_wait_seconds", said, ["device", "length", "priority"], now.waits)
    attempts = CounterMetricFamily("lml_attempts", "Attempts that are over, by how they ended.", labels=["outcome"])
    for outcome, count in now.attempts.items():
        attempts.add_metric([outcome], count)
    yield attempts
    yield CounterMetricFamily(
        "lml_leases_lost", "Attempts whose worker was lost: its lease passed.", value=now.attempts.get("lost", 0)
    )
    gpu = CounterMetricFamily("lml_gpu_seconds", "How long runs had GPUs, by who asked.", labels=["requester"])
    for asker, seconds in now.gpu_s.items():
        gpu.add_metric([asker], seconds)
    yield gpu
    yield GaugeMetricFamily("lml_webhooks_late", "Webhooks that were tried and not taken yet.", value=now.webhooks)


def _histogram(name: str, said: str, labels: list[str], found: Sequence[Histogram]) -> Metric:
    family = HistogramMetricFamily(name, said, labels=labels)
    for one in found:
        buckets = list(zip(_BOUNDS, map(float, accumulate(one.counts)), strict=True))
        family.add_metric(one.of, buckets, sum_value=one.sum_s)
    return family


def _of_queue(now: Figures) -> Iterator[Metric]:
    labels = ["device", "length", "priority"]
    depth = GaugeMetricFamily("lml_queue_depth", "Runs that wait for a worker, by class of work.", labels=labels)
    oldest = GaugeMetricFamily(
        "lml_queue_oldest_wait_seconds", "How long the oldest of them has waited.", labels=labels
    )
    met = {(waiting.device, waiting.length, waiting.priority): waiting for waiting in now.waiting}
    for device, length, priority in product(Device, Length, Priority):
        of_class = (device.value, length.value, priority.word)
        waiting = met.get(of_class)
        depth.add_metric(of_class, waiting.runs if waiting else 0)
        oldest.add_metric(of_class, waiting.oldest_s if waiting else 0.0)
    yield depth
    yield oldest
    slots = GaugeMetricFamily("lml_worker_slots", "Slots of the workers that live.", labels=["device"])
    for kind in (Device.CPU, Device.GPU):
        slots.add_metric([kind.value], sum(slot.device is kind for slot in now.slots))
    yield slots


def _of_redis(redis: Redis) -> Iterator[Metric]:
    """What only Redis counts; left out while it does not answer."""
    up = 1
    try:
        rung: bytes | None = redis.get(EMPTY_DOORBELLS)  # type: ignore[assignment]  # redis-py serves async too
        yield CounterMetricFamily("lml_doorbells_empty", "Doorbells for which no run waited.", value=int(rung or 0))
    except RedisError:
        up = 0
    yield GaugeMetricFamily("lml_redis_up", "Whether Redis answered.", value=up)
