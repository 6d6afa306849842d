"""The bell between workers and whoever shows runs: a Redis stream. What it rings for stands in the log."""

from typing import TYPE_CHECKING, Any

from shared.wire import EMPTY_DOORBELLS, EVENTS_STREAM, EVENTS_STREAM_LENGTH, LOG_ANSWERS

if TYPE_CHECKING:
    from redis import Redis


LOG_ANSWERS_S = 6.0
"""How long it counts that someone has said so."""


def connect(redis_url: str, *, timeout_s: float = 2.0) -> "Redis":
    """A client with time limits, so that a Redis that hangs never hangs its caller."""
    from redis import Redis

    return Redis.from_url(redis_url, socket_connect_timeout=timeout_s, socket_timeout=timeout_s, decode_responses=True)


def ring(client: "Redis", run: int) -> None:
    """Tell whoever listens that a run has a new event."""
    client.xadd(EVENTS_STREAM, {"run": run}, maxlen=EVENTS_STREAM_LENGTH, approximate=True)


def found_nothing(client: "Redis") -> None:
    """Count a doorbell for which no run waited."""
    client.incr(EMPTY_DOORBELLS)


def say_log_answers(client: "Redis") -> None:
    """Say, for a while, that the log answers someone."""
    client.set(LOG_ANSWERS, 1, px=int(LOG_ANSWERS_S * 1000))


def log_answers(client: "Redis") -> bool:
    """Whether someone has said so."""
    return bool(client.exists(LOG_ANSWERS))


def last_ring(client: "Redis") -> str:
    """The id after which `wait` hears new rings; ask for it before reading the log."""
    newest: Any = client.xrevrange(EVENTS_STREAM, count=1)
    return str(newest[0][0]) if newest else "0-0"


def wait(client: "Redis", after: str, *, timeout_s: float) -> str:
    """Wait for a ring after the given id, at most `timeout_s` seconds; returns the id to wait after next."""
    heard: Any = client.xread({EVENTS_STREAM: after}, block=max(1, int(timeout_s * 1000)))
    if not heard:
        return after
    _stream, rings = heard[0]
    return str(rings[-1][0])
