"""Makes the pictures of docs/slack.md from real runs: `make screenshots`.

A bot and a worker of a home of their own stand before the strict Slack of the tests; people share a file, type, click,
and open the home tab. What the bot sends is drawn by `slack_drawn` and photographed in a browser.
"""

import base64
import json
import os
import sys
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from bot.terminal.children import start_child
from support import slack_drawn
from support.bot_stage import BotStage, bot_stage, send
from support.browser import opened
from support.deadline import until
from support.slack_payloads import Person

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "docs" / "images"
CHURN = REPOSITORY / "examples" / "churn.csv"
WIDTH = 720
LONG_S = 120

Json = dict[str, Any]


class Sitting:
    """One sitting before the camera: people, and the pictures so far."""

    def __init__(self, stage: BotStage, folder: Path) -> None:
        self.stage, self.slack, self.folder = stage, stage.slack, folder
        self.ada = Person(stage.slack, channel="C0GENERAL", name="churn-models")
        self.bob = Person(stage.slack, "U0BOB", name="churn-models")
        self.pages: list[Json] = []

    def ask(self, person: Person, words: str) -> None:
        """Ask for a run, and wait until it is written, so that the runs come in the order of this script."""
        before = len(self.stage.runs())
        self.stage.ask(person, words)
        until(lambda: len(self.stage.runs()) > before, what=f"{words} is written")

    def card(self, number: int) -> Json:
        """The message of a run."""
        for message in self.slack.posted():
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("run") == number:
                return message
        return {"text": "", "blocks": []}

    def wait_for(self, number: int, *words: str) -> Json:
        """A run's message as soon as it says one of these."""

        def look() -> Json | None:
            met = self.card(number)
            told = met["text"] + json.dumps(met.get("blocks", []), ensure_ascii=False)
            return deepcopy(met) if any(word in told for word in words) else None

        try:
            found = until(look, what=f"run {number} says {words}", within_s=LONG_S)
        except AssertionError:
            print(json.dumps(self.slack.posted(), ensure_ascii=False, indent=1))  # noqa: T201 - a script tells
            raise
        assert found is not None
        return found

    def take(self, name: str, *parts: str, width: int = WIDTH) -> None:
        """Put a picture on the film."""
        page = self.folder / f"{name}.html"
        page.write_text(slack_drawn.page(*parts, width=width))
        target = str(IMAGES / f"slack_{name}.png")
        self.pages.append({"url": f"file://{page}", "width": width, "height": 60, "whole": 2_400, "screenshot": target})

    def develop(self) -> None:
        """Take all of them in one browser."""
        for page, met in zip(self.pages, opened(self.pages, within_s=300), strict=True):
            print(Path(str(page["screenshot"])).name, met["scrollWidth"], met["errors"])  # noqa: T201


def main() -> None:
    """Run, draw, take the pictures."""
    with tempfile.TemporaryDirectory(prefix="lml-pictures-") as folder, bot_stage(Path(folder)) as stage:
        sitting = Sitting(stage, Path(folder))
        stage.slack.channels["C0GENERAL"].name = "churn-models"
        stage.slack.share("churn.csv", CHURN.read_bytes())
        stage.start_bot().wait_until_ready()
        _runs(sitting)
        sitting.develop()


def _runs(sitting: Sitting) -> None:
    ask, shared = sitting.ask, slack_drawn.person("churn of last quarter", files=["churn.csv"])
    ask(sitting.ada, "train churn.csv model=linear")
    ask(sitting.bob, "train churn.csv model=gbdt")
    ask(sitting.ada, "train churn.csv model=mlp epochs=120 patience=120 lr=0.0003")  # seconds, so that it has a curve
    sitting.take("queued", shared, _drawn(sitting.wait_for(3, "Queued")))
    worker = start_child(
        [sys.executable, "-m", "workers"],
        log_file=sitting.folder / "worker.log",
        environment={**sitting.stage.environment, "LML_SHORT_SLOTS": "0"},
    )
    try:
        _ended(sitting)
        _asked_later(sitting)
        _forms(sitting)
    finally:
        worker.stop(grace_s=20)


def _ended(sitting: Sitting) -> None:
    done = sitting.wait_for(3, "Succeeded", "Failed")
    until(lambda: 3 not in sitting.stage.behind(), within_s=60, what="the card shows the end, and the files are there")
    files = [(name, _picture(name, body)) for name, body in sorted(sitting.slack.files_in(done["ts"]).items())]
    sitting.take("succeeded", _drawn(sitting.card(3)))
    sitting.take("thread", slack_drawn.thread([slack_drawn.uploaded(sorted(files, key=lambda file: not file[1]))]))


def _asked_later(sitting: Sitting) -> None:
    ask = sitting.ask
    ask(sitting.bob, "train churn.csv target=chrned")
    ask(sitting.ada, "compare 2 3")
    ask(sitting.ada, "describe churn.csv")
    sitting.take("failed", _drawn(sitting.wait_for(4, "Failed")))
    sitting.take("compare", _drawn(sitting.wait_for(5, "Succeeded", "Failed")))
    sitting.take("describe", _drawn(sitting.wait_for(6, "Succeeded", "Failed")))
    for name, words in (("help", "help"), ("help_train", "help train"), ("leaderboard", "leaderboard churn.csv")):
        sitting.take(name, _answer(sitting, words))


def _forms(sitting: Sitting) -> None:
    address = sitting.stage.live_bots()[0].address
    ask, slack = sitting.ask, sitting.slack
    ask(sitting.ada, "train churn.csv model=mlp time=10m epochs=4000 patience=4000 width=512 batch=32")
    sitting.take("running", _drawn(sitting.wait_for(7, "epoch ")))
    ask(sitting.bob, "train churn.csv model=gbdt seed=2")
    sitting.wait_for(8, "in the queue")
    sitting.take("status", _answer(sitting, "status"))
    sitting.take("data", _answer(sitting, "data"))
    send(address, sitting.ada.home())
    home = until(lambda: slack.homes.get("U0ADA"), what="the home tab is drawn")
    assert home is not None
    sitting.take("home", slack_drawn.home(home.body), width=860)
    for name, payload in (
        ("modal", sitting.ada.command("train")),
        ("change", sitting.ada.button(sitting.card(3), "lml:open:change")),
        ("compare_with", sitting.ada.button(sitting.card(3), "lml:open:compare")),
        ("predict", sitting.ada.button(sitting.card(3), "lml:open:predict")),
    ):
        send(address, payload)
        view = until(_filled(sitting), what=f"the form {name} is drawn")
        assert view is not None
        sitting.take(name, slack_drawn.modal(view), width=580)
        slack.stacks["U0ADA"].clear()


def _filled(sitting: Sitting) -> Callable[[], Json | None]:
    """Looks for the modal that Ada sees, once it is more than the loading view."""

    def look() -> Json | None:
        if not sitting.slack.stacks["U0ADA"]:
            return None
        body = sitting.slack.modal().body
        return body if body.get("submit") else None

    return look


def _answer(sitting: Sitting, words: str) -> str:
    """The answer to a command that only its person sees, in the acknowledgement or behind it."""
    before = len(sitting.slack.responses)
    body = sitting.stage.ask(sitting.ada, words)
    if not body.get("text"):
        body = until(lambda: sitting.slack.responses[before:], what=f"{words} is answered")[0]
    return slack_drawn.message(body.get("blocks") or [], text=body["text"], seen_by="you")


def _drawn(message: Json) -> str:
    return slack_drawn.message(message.get("blocks") or [], text=message["text"], edited=message.get("edits", 0) > 0)


def _picture(name: str, body: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(body).decode()}" if name.endswith(".png") else ""


if __name__ == "__main__":
    os.environ.pop("LML_HOME", None)
    main()
