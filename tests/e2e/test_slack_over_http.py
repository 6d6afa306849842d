"""From `/lml train` over signed HTTP to one edited card and files in its thread; every process is real but Slack's."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.deadline import until

CHURN = Path(__file__).parents[2] / "examples" / "churn.csv"


def ended(slack: Any, number: int, *, within_s: float = 180) -> dict[str, Any]:
    """Wait until the card of a run shows that it succeeded; returns the message."""

    def card() -> dict[str, Any] | None:
        mine = [message for message in slack.posted() if f"Run {number} ·" in message["text"]]
        assert len(mine) <= 1
        assert not any("Failed" in message["text"] for message in mine), mine[0]["text"]
        return mine[0] if mine and "Succeeded" in mine[0]["text"] else None

    until(card, within_s=within_s)
    met = card()
    assert met is not None
    return met


def share(slack: Any, file: Path, name: str) -> None:
    slack.person.files_upload_v2(file=str(file), filename=name, title=name, channel=slack.channel)


@pytest.mark.timeout(600)
def test_a_shared_file_becomes_a_model(
    slack: Any, start_bot: Callable[[], Any], start_worker: Callable[[], Any], tmp_path: Path
) -> None:
    """A CSV that was shared in the channel is trained on: one card, edited to its end, an ONNX file that predicts."""
    share(slack, CHURN, "churn.csv")
    bot, _worker = start_bot(), start_worker()
    status, body = bot.type("train churn.csv model=linear time=10s")
    assert status == 200
    answer = json.loads(body)
    assert answer["response_type"] == "ephemeral"
    assert answer["text"] == "Run 1 is written: train churn.csv model=linear time=10s. Its card follows here."
    card = ended(slack, 1)
    assert card.get("edited") is not None
    until(lambda: len(slack.files("Run 1 · ")) >= 3, within_s=30)
    files = slack.files("Run 1 · ")
    assert {"model.onnx", "report.json"} < set(files)
    assert json.loads(files["report.json"])
    assert all(body.startswith(b"\x89PNG") for name, body in files.items() if name.endswith(".png"))
    assert predicts(files["model.onnx"])
    replies = slack.person.conversations_replies(channel=slack.channel, ts=card["ts"])["messages"]
    assert {file["name"] for reply in replies for file in reply.get("files", [])} == set(files)
    assert bot.process.stop() == 0


@pytest.mark.timeout(600)
def test_a_bot_that_comes_later_catches_up(
    slack: Any, start_bot: Callable[[], Any], start_worker: Callable[[], Any], stack_environment: dict[str, str]
) -> None:
    """A run goes on while no bot is there; the next bot brings its card to the end, in the same message."""
    datasets = Path(stack_environment["LML_HOME"]) / "datasets"
    datasets.mkdir(parents=True)
    (datasets / "churn.csv").write_bytes(CHURN.read_bytes())
    first = start_bot()
    first.type("train churn.csv model=linear time=10s", trigger="same")
    until(lambda: len(slack.posted()) == 1)
    assert "is that already" in first.type("train churn.csv model=linear time=10s", trigger="same")[1]
    first.process.stop()
    start_worker()
    second = start_bot()
    ended(slack, 1)
    assert len(slack.posted()) == 1
    assert second.process.popen.poll() is None


def test_the_bot_answers_what_cannot_be_queued(slack: Any, start_bot: Callable[[], Any]) -> None:
    """Paths, wrong words and wrong signatures have their answers; only what was written has a card."""
    bot = start_bot()
    assert bot.type("train churn.csv", secret="wrong")[0] == 401
    assert "Did you mean “train”?" in json.loads(bot.type("trian churn.csv")[1])["text"]
    assert "is recorded as failed" in bot.type("train ../../etc/passwd")[1]
    until(lambda: len(slack.posted()) == 1)
    assert "is outside of them" in slack.posted()[0]["text"]
    health = bot.address.replace("/slack/events", "/healthz")
    with urllib.request.urlopen(health, timeout=5) as response:
        assert response.read() == b"ok\n"


def predicts(model: bytes) -> bool:
    """Whether the ONNX file, fed one row of text cells or numbers as it declares, gives finite numbers."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    row = {}
    for put in session.get_inputs():
        shape = [size if isinstance(size, int) else 2 for size in put.shape]
        row[put.name] = (
            np.full(shape, "x", dtype=object) if put.type == "tensor(string)" else np.zeros(shape, dtype=np.float32)
        )
        if "int64" in put.type:
            row[put.name] = np.zeros(shape, dtype=np.int64)
        if "double" in put.type:
            row[put.name] = np.zeros(shape, dtype=np.float64)
    outputs = session.run(None, row)
    return all(np.isfinite(output).all() for output in outputs if output.dtype.kind == "f")
