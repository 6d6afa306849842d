"""Real bot processes before a strict Slack, and runs whose lives a test writes: for kills, repeats and many runs.

The runs are asked for in Slack and prepared by the bots; workers stand here that claim them and write the events of a
life of some seconds, so that what is looked at is the bot. Nothing else is made up: log, store, Redis, HTTP and Slack's
answers are real or strict.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from bot.terminal.children import PYTHON, Child, start_child
from bot.terminal.redis_server import start_redis
from shared.blobs import BlobStore
from shared.errors import Problem
from shared.events import DatasetRead, EpochDone, Stage, StageStarted
from shared.log import attempts, heard, tables
from shared.log.attempts import Outcome
from shared.log.chat_tables import notices
from shared.log.engine import Log, open_log
from shared.log.runs import Artifact, RunState
from shared.settings import Settings
from support.deadline import until
from support.fake_slack import BOT_TOKEN, FakeSlack
from support.slack_payloads import Person, signed

SECRET = "stage"
CSV = b"a,b,label\n" + b"".join(b"%d,%d,%s\n" % (n, n % 7, b"yes" if n % 3 else b"no") for n in range(120))
FILES = {"loss_curve.png": b"\x89PNG of run %d", "model.onnx": b"onnx of run %d", "report.json": b'{"run": %d}'}
PROBLEM = Problem("target_missing", "A target is a column of the dataset; `x` is none.", "Name one that is there.")


@dataclass
class BotProcess:
    """A bot that runs, and where it listens."""

    child: Child
    log_file: Path
    address: str = ""

    @property
    def alive(self) -> bool:
        return self.child.exit_code() is None

    def kill(self) -> None:
        """Kill -9; returns when it has ended."""
        self.child.process.kill()
        self.child.process.wait(10)

    def wait_until_ready(self, *, within_s: float = 60) -> "BotProcess":
        """Wait until it answers."""

        def ready() -> bool:
            words = self.log_file.read_text(errors="replace")
            assert self.alive, words
            return "is ready at " in words

        until(ready, what="the bot is ready", within_s=within_s)
        words = self.log_file.read_text(errors="replace")
        self.address = words.split("is ready at ")[1].split("/slack/events")[0] + "/slack/events"
        return self


@dataclass
class BotStage:
    """Bots, a log, a strict Slack, and workers that write lives."""

    folder: Path
    slack: Any
    """The strict Slack, or another one for whoever only has runs worked on."""
    settings: Settings
    log: Log
    store: BlobStore
    module: str = "bot"
    bots: list[BotProcess] = field(default_factory=list)
    ends: dict[int, str] = field(default_factory=dict)
    """How the life of each run ended, in the word that its card must say."""
    life_s: float = 2.0
    seed: int = 0
    more: dict[str, str] = field(default_factory=dict)
    """Further variables that every bot is told."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _workers: list[threading.Thread] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What every bot is told."""
        return {
            "LML_HOME": str(self.settings.home_folder),
            "LML_REDIS_URL": self.settings.require_redis_url(),
            "LML_SLACK_API_URL": self.slack.url,
            "LML_SLACK_BOT_TOKEN": BOT_TOKEN,
            "LML_SLACK_SIGNING_SECRET": SECRET,
            "LML_HTTP_PORT": "0",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **self.more,
        }

    def start_bot(self) -> BotProcess:
        """One more bot; it may not be ready yet."""
        log_file = self.folder / f"bot-{len(self.bots)}.log"
        child = start_child([*PYTHON, self.module], log_file=log_file, environment=self.environment)
        bot = BotProcess(child, log_file)
        self.bots.append(bot)
        return bot

    def live_bots(self) -> list[BotProcess]:
        """The bots that run and answer."""
        return [bot for bot in self.bots if bot.alive and bot.address]

    def ask(self, person: Person, words: str, *, within_s: float = 60) -> dict[str, Any]:
        """Type a command, and type it again when nothing comes of it, as a person does; what the bot answered.

        A bot that is killed after its acknowledgement and before it wrote anything leaves nothing of a command but the
        words to type it again then.
        """

        def come() -> tuple[dict[str, Any], ...]:
            payload = person.command(words)
            body = self._typed(payload)
            if body is not None and not says_its_answer(body):
                body = self._answer_behind(payload["response_url"], words)
            return () if body is None else (body,)

        (answer,) = until(come, what=f"something comes of {words}", within_s=within_s, every_s=0.05)
        return answer

    def _typed(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        """The acknowledgement of a command by one of the bots; None when none gives one."""
        for bot in self.live_bots():
            with suppress(OSError, ValueError, HTTPException):
                status, body = send(bot.address, payload)
                if status == 200:
                    return dict(json.loads(body or "{}"))
        return None

    def _answer_behind(self, url: str, words: str, *, within_s: float = 5.0) -> dict[str, Any] | None:
        """What came behind an acknowledgement without the answer: the answer, or nothing but the run."""
        with suppress(AssertionError):
            return until(lambda: self.answers_to(url), within_s=within_s)[0]
        return {} if any(row.words == words for row in self.runs()) else None

    def answers_to(self, url: str) -> list[dict[str, Any]]:
        """What was sent to a response_url so far."""
        return [response for response in list(self.slack.responses) if response["url"] == url.rpartition("/")[2]]

    def unanswered(self) -> int:
        """How many messages that were heard have no answer yet."""
        columns = notices.c
        query = select(func.count()).where(columns.kind == heard.KIND, columns.done_at.is_(None))
        with self.log.read() as connection:
            return int(connection.execute(query).scalar_one())

    def runs(self) -> list[Any]:
        """The rows of all runs."""
        with self.log.read() as connection:
            return list(connection.execute(select(tables.runs).order_by(tables.runs.c.id)).all())

    def behind(self) -> list[int]:
        """The runs whose card does not show their end yet, or whose files are not sent."""
        cards, rows = tables.cards.c, tables.runs.c
        query = select(rows.id, rows.state, rows.last_event, cards.shown_event, cards.files_sent, cards.problem)
        with self.log.read() as connection:
            met = connection.execute(query.join(tables.cards, cards.run_id == rows.id, isouter=True)).all()
        return [
            row.id
            for row in met
            if not RunState(row.state).ended
            or row.shown_event is None
            or row.shown_event < row.last_event
            or (row.state == RunState.SUCCEEDED.value and not row.files_sent and row.problem is None)
        ]

    def wait_until_shown(self, wanted: int, *, within_s: float) -> None:
        """Wait until there are so many runs, all have ended, and their cards and files are there."""

        def how_far() -> str:
            words = "\n".join(bot.log_file.read_text(errors="replace")[-3_000:] for bot in self.bots[-2:])
            return f"{len(self.runs())} of {wanted} runs; behind: {self.behind()}\n{words}"

        until(lambda: len(self.runs()) >= wanted and not self.behind(), what=how_far, within_s=within_s, every_s=0.2)

    def wrong(self, channels: Sequence[str] = ("C0GENERAL",)) -> list[str]:
        """What is not as it has to be in the end: one card for each run with its end, each file once."""
        met: list[str] = []
        shown = [message for channel in channels for message in self.slack.posted(channel)]
        for row in self.runs():
            mine = [message for message in shown if _run_of(message) == row.id]
            if len(mine) != 1:
                met.append(f"run {row.id} has {len(mine)} cards")
                continue
            word = self.ends.get(row.id, "")
            if word not in mine[0]["text"]:
                met.append(f"run {row.id} {row.state} says: {mine[0]['text'].splitlines()[:2]}")
            files = Counter(self.slack.shown_in(mine[0]["ts"], row.channel_id))
            want = Counter(list(FILES) if word == "Succeeded" else [])
            if files != want:
                met.append(f"run {row.id} ({word}) has the files {dict(files)}")
        return met

    def work(self, workers: int) -> None:
        """Claim runs and write their lives, in threads, until the stage ends."""
        for index in range(workers):
            worker = threading.Thread(target=self._work, args=(index,), daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self, index: int) -> None:
        chance = Random(self.seed * 1_000 + index)
        while not self._stopping.is_set():
            taken = None
            with suppress(OperationalError), self.log.write() as connection:  # many writers: a lock may take too long
                taken = attempts.claim(connection, worker=f"w{index}", lease_s=600)
            if taken is None:
                self._stopping.wait(0.05)
                continue
            self._live(taken[0], chance)

    def _live(self, attempt: Any, chance: Random) -> None:
        def record(event: Any) -> None:
            with self.log.write() as connection:
                attempts.record(connection, attempt, event)
            self._stopping.wait(chance.uniform(0.5, 1.5) * self.life_s / 6)

        record(StageStarted(stage=Stage.READ))
        record(DatasetRead(rows=120, columns=3, target="label", task="binary"))
        record(StageStarted(stage=Stage.TRAIN))
        for epoch in (1, 2, 3):
            loss = 1 / epoch
            record(
                EpochDone(model="mlp", epoch=epoch, epochs=3, train_loss=loss, validation_loss=loss, eta_s=3.0 - epoch)
            )
        number = attempt.run
        if chance.random() < 0.2:
            with self.log.write() as connection:
                attempts.fail(connection, attempt, PROBLEM)
            self.ends[number] = "Failed"
            return
        made = []
        for name, body in FILES.items():
            blob = self.store.put_chunks([body % number])
            made.append(Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes))
        metrics = {"test": {"accuracy": 0.91}, "baseline": {"accuracy": 0.7}}
        result = {"task": "binary", "headline": "accuracy", "model": "mlp", "metrics": metrics}
        with self.log.write() as connection:
            attempts.succeed(connection, attempt, Outcome(result=result, metrics=metrics, artifacts=made))
        self.ends[number] = "Succeeded"

    def close(self) -> None:
        """Let the workers end the life that they write, and stop the bots."""
        self._stopping.set()
        for worker in self._workers:
            worker.join(20)
        for bot in self.bots:
            bot.child.stop(grace_s=5)


def send(address: str, payload: dict[str, Any], *, retry: int = 0, within_s: float = 10) -> tuple[int, str]:
    """Send a payload over HTTP as Slack does, perhaps once more: the status and the body."""
    body, headers = signed(payload, SECRET)
    if retry:
        headers |= {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"}
    try:
        request = urllib.request.Request(address, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=within_s) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def says_its_answer(acknowledgement: dict[str, Any]) -> bool:
    """Whether the answer to a command or click stands in its acknowledgement; else it follows by the response_url."""
    return not str(acknowledgement.get("text") or "Reading").startswith("Reading")


@contextmanager
def bot_stage(folder: Path, *, module: str = "bot", seed: int = 0, life_s: float = 2.0) -> Iterator[BotStage]:
    """A stage without a bot yet; everything is stopped in the end."""
    with FakeSlack() as slack:
        redis, url = start_redis(folder / "redis", folder / "redis.log")
        settings = Settings(home=folder / "home", redis_url=url)  # type: ignore[arg-type]
        log = open_log(settings.log_url)
        stage = BotStage(
            folder, slack, settings, log, BlobStore(settings.store_folder), module, seed=seed, life_s=life_s
        )
        try:
            yield stage
        finally:
            stage.close()
            redis.stop(grace_s=5)


def kill_again_and_again(stage: BotStage, moments_s: Sequence[float], act: Callable[[], None]) -> None:
    """Kill the stage's bot at each moment, counted from its being ready or from the kill before; start it anew."""
    bot = stage.start_bot().wait_until_ready()
    acting = threading.Thread(target=act, daemon=True)
    acting.start()
    for moment_s in moments_s:
        time.sleep(moment_s)  # when the fault comes, not something that could be looked for
        bot.kill()
        bot = stage.start_bot().wait_until_ready()
    acting.join(120)
    assert not acting.is_alive()


def _run_of(message: dict[str, Any]) -> int | None:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    run = payload.get("run")
    return int(run) if run is not None else None
