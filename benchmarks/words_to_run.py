"""From typed words to a written run, and how soon the shell answers; each beside what people would use instead.

    make bench

Prints medians and ratios; the absolute times are those of the machine that it runs on.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bot.slack.asked import Asked
from bot.slack.command import CommandDesk
from bot.terminal.redis_server import start_redis
from shared.access import Entry, Principal, Role, Source, Visibility
from shared.blobs import BlobStore
from shared.log.engine import open_log
from shared.settings import Settings
from shared.wire import RUNS_QUEUE, celery_options

ROUNDS = 200
PROCESSES = 15


def main() -> None:
    """Measure in turn, A B A B, so that a machine whose speed drifts drifts for both."""
    with tempfile.TemporaryDirectory() as folder:
        server, redis_url = start_redis(Path(folder) / "redis", Path(folder) / "redis.log")
        try:
            written, sent = _words_to_run(Path(folder), redis_url)
        finally:
            server.stop(grace_s=5)
    _say("words -> written run and acknowledgement", written, "celery send_task of the same words", sent)
    ours, theirs = _processes([_script("lml"), "help"], [_script("celery"), "--help"])
    _say("lml help", ours, "celery --help", theirs)


def _words_to_run(folder: Path, redis_url: str) -> tuple[list[float], list[float]]:
    from celery import Celery

    settings = Settings(home=folder, redis_url=redis_url)
    desk = CommandDesk(
        settings,
        open_log(settings.log_url, pooled=True),
        BlobStore(settings.store_folder),
        team_id="T1",
        written=lambda: None,
        people=_Everyone(),
    )
    app = Celery("bench", set_as_current=False)
    app.conf.update(celery_options(redis_url))

    def write(number: int) -> None:
        words = f"train churn.csv target=churned model=mlp time=2m seed={number + 1}"
        card = desk.reply(Asked("T1", "U1", "C1", words, Entry.COMMAND, key=f"trigger-{number}", channel_name="ml"))
        assert "is written" in card.headline, card  # noqa: S101 - a benchmark of refusals would be worthless

    def send(_number: int) -> None:
        app.send_task("train", args=["churn.csv"], kwargs={"target": "churned"}, queue=RUNS_QUEUE, ignore_result=True)

    try:
        return _in_turn(write, send, rounds=ROUNDS)
    finally:
        desk.close()


class _Everyone:
    """Everybody is a trainer, as it is known after a first command."""

    def principal(self, *, team_id: str, user_id: str, channel_id: str | None, entry: Entry) -> Principal:
        """Who asks."""
        return Principal(team_id, user_id, Source.SLACK, channel_id, role=Role.TRAINER, entry=entry)

    def knows(self, *, user_id: str, channel_id: str | None) -> bool:  # noqa: ARG002 - everybody
        """Whether nobody has to be asked."""
        return True

    def channel_visibility(self, channel_id: str) -> Visibility:  # noqa: ARG002 - everywhere
        """Who sees the runs of a channel."""
        return Visibility.TEAM

    def forget(self, *ids: str) -> None:
        """Nothing is kept."""


def _processes(ours: list[str], theirs: list[str]) -> tuple[list[float], list[float]]:
    def start(command: list[str]) -> Callable[[int], None]:
        return lambda _number: subprocess.run(command, check=True, capture_output=True) and None

    return _in_turn(start(ours), start(theirs), rounds=PROCESSES)


def _in_turn(
    ours: Callable[[int], None], theirs: Callable[[int], None], *, rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of each round, after one that warms up."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(-1, rounds):
        for act, times in zip((ours, theirs), taken, strict=True):
            start = time.perf_counter()
            act(number)
            if number >= 0:
                times.append((time.perf_counter() - start) * 1000)
    return taken


def _say(ours_name: str, ours: list[float], theirs_name: str, theirs: list[float]) -> None:
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    sys.stdout.write(
        f"{ours_name}: median {statistics.median(ours):.1f} ms, slowest {max(ours):.1f} ms\n"
        f"  beside {theirs_name}: median {statistics.median(theirs):.1f} ms; ratio, pair by pair: {ratio:.2f}\n"
    )


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    main()
