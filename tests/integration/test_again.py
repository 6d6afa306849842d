"""Runs that go on, are done again, change their place, or stop with the stack; by the real command and worker."""

import json
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.deadline import until
from support.place import Place, Shell
from support.place_runs import run_of

from bot.terminal.commands import open_desk
from shared.log import runs
from shared.settings import Settings

MakePlace = Callable[..., Place]
LONG = ("model=mlp", "epochs=600", "patience=600")


@pytest.fixture(scope="module")
def place(make_place: MakePlace) -> Place:
    """A place with a worker that checkpoints often."""
    made = make_place()
    made.start_worker(LML_CHECKPOINT_S="0.5")
    return made


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose training takes some seconds."""
    chance = random.Random(1)
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rows = (f"{chance.random()},{chance.random()},{chance.random()}\n" for _ in range(1_200))
    path.write_text("a,b,y\n" + "".join(rows))
    return path


def kinds_of(place: Place, number: int) -> list[str]:
    """What has happened to it."""
    with open_desk(place.settings).log.read() as connection:
        return [event.kind for _, event in runs.events_after(connection, number)]


def test_a_cancelled_run_is_resumed_with_the_same_weights(place: Place, table: Path) -> None:
    """`cancel` within 2 s keeps the checkpoint, `resume` goes on from it: the weights of an undisturbed run."""
    _, whole = place.shell.run("train", str(table), *LONG)
    waiting = place.shell.start("train", str(table), *LONG, "--json")
    number = whole["run"] + 1
    until(lambda: "checkpoint_saved" in kinds_of(place, number), what="a checkpoint is there")
    place.shell.run("cancel", str(number))
    until(lambda: run_of(place, number).state.ended, what="it is cancelled", within_s=2.0)
    out, _ = waiting.communicate(timeout=20)
    assert json.loads(out)["state"] == "cancelled"
    code, resumed = place.shell.run("resume", str(number))
    assert (code, resumed["state"]) == (0, "succeeded")
    assert "resumed" in kinds_of(place, resumed["run"])
    assert run_of(place, resumed["run"]).resumes == number
    assert resumed["words"] == f"resume {number}"
    hashes = [{file["name"]: file["sha256"] for file in run["artifacts"]} for run in (whole, resumed)]
    assert hashes[0]["model.onnx"] == hashes[1]["model.onnx"]
    code, refused = place.shell.run("resume", str(whole["run"]))
    assert (code, refused["error"]["code"]) == (2, "run_not_stopped")


def test_a_failed_run_is_retried_and_has_nothing_to_resume(place: Place, tmp_path: Path) -> None:
    """The same words on the same bytes, as a new run; the old one stays as it ended."""
    broken = tmp_path / "broken.csv"
    broken.write_text("a,y\n" + "".join(f"{n},yes\n" for n in range(60)))
    code, failed = place.shell.run("train", str(broken))
    assert (code, failed["error"]["code"]) == (1, "target_one_class")
    broken.unlink()
    code, again = place.shell.run("retry", str(failed["run"]))
    assert (code, again["error"]["code"]) == (1, "target_one_class")
    assert run_of(place, again["run"]).retries == failed["run"]
    code, refused = place.shell.run("resume", str(failed["run"]))
    assert (code, refused["error"]["code"]) == (2, "no_checkpoint")
    assert f"`retry {failed['run']}`" in refused["error"]["hint"]


def test_a_waiting_run_changes_its_class(make_place: MakePlace, table: Path) -> None:
    """`priority` puts it first, and says where it stands; a run that has ended is refused."""
    place = make_place()
    for _ in range(2):
        process = place.shell.start("train", str(table), "model=linear", "--json")
        until(lambda: len(_waiting(place)) > 0, what="it waits")
        until(lambda count=_ + 1: len(_waiting(place)) == count, what="it waits")
        process.send_signal(signal.SIGKILL)
        process.wait()
    first, second = _waiting(place)
    code, answer = place.shell.run("priority", str(second), "urgent")
    assert (code, answer["run"], answer["priority"]) == (0, second, "urgent")
    _, status = place.shell.run("status")
    assert {item["run"]: item["position"] for item in status["items"]} == {first: 2, second: 1}
    code, refused = place.shell.run("priority", str(first), "asap")
    assert (code, refused["error"]["code"]) == (2, "bad_value")
    place.shell.run("cancel", str(first))
    code, refused = place.shell.run("priority", str(first), "low")
    assert (code, refused["error"]["code"]) == (2, "run_not_waiting")


def _waiting(place: Place) -> list[int]:
    _, status = place.shell.run("status")
    return sorted(item["run"] for item in status["items"] if item["state"] == "queued")


def test_down_stops_what_up_keeps(tmp_path: Path) -> None:
    """`lml down` ends `lml up` with exit code 0; without one it says so."""
    shell = Shell(Settings(home=tmp_path / "home"))
    code, refused = shell.run("down")
    assert (code, refused["error"]["code"]) == (2, "not_up")
    up = shell.start("up", start_new_session=True)
    assert up.stderr is not None
    assert any(line.startswith("Ready.") for line in up.stderr)
    assert shell.run("down")[0] == 0
    assert up.wait(timeout=30) == 0


def test_a_gpu_that_is_not_there_is_said(place: Place, table: Path, make_place: MakePlace) -> None:
    """A worker that takes device=gpu without one says so at once; what to do is in the hint."""
    lonely = make_place()
    lonely.start_worker(LML_WORKER_DEVICES="gpu,cpu", CUDA_VISIBLE_DEVICES="")
    code, answer = lonely.shell.run("train", str(table), "device=gpu", "model=linear")
    assert (code, answer["error"]["code"]) == (1, "gpu_missing")
    assert "device=auto" in answer["error"]["hint"]
    assert lonely.shell.run("train", str(table), "device=cpu", "model=linear")[0] == 0
