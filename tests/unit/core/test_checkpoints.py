"""A training that was interrupted goes on from its last checkpoint, to the same weights; no checkpoint ends one."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from torch import nn

from shared.errors import RunFailed, RunStopped, failed
from shared.events import AnyEvent, CheckpointSaved, EpochDone, Resumed, Stage, StageStarted
from shared.specs import Device, LossName, ModelName, OptimizerName, Task, TrainSpec
from workers.core import checkpoints as files
from workers.core import keeper, loop, progress
from workers.core.checkpoints import Checkpoint, Checkpoints, Damaged, Part, numbers, read_checkpoint, write_checkpoint
from workers.core.device import choose_device
from workers.core.features import Layout
from workers.core.keeper import Keeper
from workers.core.layers import Dense
from workers.core.loop import Data, Descent, Fold, Recipe, fit_descent
from workers.core.models import MODELS
from workers.core.objective import Objective
from workers.core.progress import Clock, Progress
from workers.core.train import train

Write = Callable[..., Path]
Table = Callable[..., str]
Stop = Callable[[], bool]

NEVER_S = 1e9
NOT_EVERY = "Not every checkpoint of an earlier attempt could be used"
MLP = {"model": ModelName.MLP, "epochs": 6, "drop": ("user_id",)}


def never() -> bool:
    """Nobody asks for a stop."""
    return False


@dataclass
class Runs:
    """Attempts of one run, each with a folder of its own."""

    data: Path
    folder: Path
    words: dict[str, Any]
    plan: dict[str, Any] | None = None
    events: list[AnyEvent] = field(default_factory=list)

    def attempt(
        self,
        name: str,
        stop: Stop = never,
        *,
        questions: int = 10**9,
        resume_from: Sequence[str] = (),
        every_s: float = NEVER_S,
    ) -> dict[str, Any]:
        """The report. Raises RunStopped when `stop()` says so, or after so many questions while it learns."""
        asked, stage = iter(range(questions)), Stage.READ

        def report(event: AnyEvent) -> None:
            nonlocal stage
            self.events.append(event)
            stage = event.stage if isinstance(event, StageStarted) else stage

        def should_stop() -> bool:
            return stop() or (stage is Stage.TRAIN and next(asked, None) is None)

        return train(
            self.data,
            TrainSpec(dataset="data", **self.words),
            out=self.folder / name,
            report=report,
            should_stop=should_stop,
            plan=self.plan,
            checkpoints=Checkpoints(self.kept(name), [self.kept(one) for one in resume_from], every_s),
        )

    def stopped(self, name: str, stop: Stop = never, **words: Any) -> None:
        """An attempt that is stopped."""
        with pytest.raises(RunStopped):
            self.attempt(name, stop, **words)

    def interrupted(self, questions: int) -> tuple[dict[str, Any], int]:
        """Attempts that are stopped after so many questions, then after twice as many, until one ends; its report and
        number.
        """
        before = list[str]()
        for k in range(1, 60):
            try:
                return self.attempt(f"attempt{k}", questions=k * questions, resume_from=before[::-1]), k
            except RunStopped:
                before.append(f"attempt{k}")
        raise AssertionError("it never ended")

    def kept(self, name: str) -> Path:
        """The folder of an attempt's checkpoints."""
        return self.folder / "kept" / name

    def weights(self, name: str) -> bytes:
        """What was learnt, as its artifact holds it."""
        return (self.folder / name / "weights.safetensors").read_bytes()


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether to stop is asked at each step, not twice a second; checkpoints may take all of the time, but no power
    cut threatens them.
    """
    monkeypatch.setattr(progress, "_BETWEEN_POLLS_S", 0.0)
    monkeypatch.setattr(keeper, "MOST_SHARE", 1e9)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def mlp(asking: None, write: Write, mixed_table: Table, tmp_path: Path) -> Runs:
    """A network whose undisturbed run is `whole`."""
    runs = Runs(write(mixed_table(rows=120)), tmp_path, MLP)
    runs.attempt("whole")
    return runs


CASES: dict[str, tuple[dict[str, Any], int]] = {
    "mlp": (MLP, 7),
    "mlp-traced": ({**MLP, "clip": 1.0}, 7),
    "mlp-patient": ({"model": ModelName.MLP, "epochs": 60, "norm": "batch", "patience": 8}, 30),
    "mlp-sgd-traced": ({**MLP, "optimizer": "sgd", "schedule": "cosine", "target": "size"}, 7),
    "mlp-ple": ({"model": ModelName.MLP_PLE, "epochs": 6}, 7),
    "tabm": ({"model": ModelName.TABM, "epochs": 4}, 7),
    "gbdt": ({"model": ModelName.GBDT, "epochs": 15}, 30),
    "linear": ({"model": ModelName.LINEAR}, 40),
    "linear-adam": ({"model": ModelName.LINEAR, "optimizer": "adam", "epochs": 6}, 7),
    "auto": ({"model": ModelName.AUTO, "epochs": 3, "time_s": 600}, 150),
}
"""The words of a command, and after how many questions its first attempt is stopped."""


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_run_ends_where_an_undisturbed_one_does(
    write: Write, mixed_table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Stopped again and again, in the middle of epochs, folds and candidates: the same weights, bit by bit."""
    words, questions = CASES[case]
    monkeypatch.setattr(loop, "TRACED_UPDATES", 0 if case.endswith("traced") else 10**9)
    runs = Runs(write(mixed_table(rows=120)), tmp_path, words)
    whole = runs.attempt("whole")
    report, attempts = runs.interrupted(questions)
    assert attempts > 2
    assert runs.weights(f"attempt{attempts}") == runs.weights("whole")
    for fact in ("metrics", "plan", "warnings", "choice"):
        assert report[fact] == whole[fact]
    if case == "mlp-patient":
        assert report["plan"]["ended_by"] == "patience"


@pytest.mark.usefixtures("asking")
def test_an_interruption_changes_nothing_in_a_plan_that_is_followed(
    write: Write, mixed_table: Table, tmp_path: Path
) -> None:
    """What the clock decided in the run that is repeated stays decided, over all attempts."""
    runs = Runs(write(mixed_table(rows=120)), tmp_path, {"time_s": 0.3})
    whole = runs.attempt("whole")
    assert any(candidate["clock"] for candidate in whole["plan"]["candidates"].values())
    runs.plan, runs.words = json.loads(json.dumps(whole["plan"])), {"time_s": 600}
    report, attempts = runs.interrupted(100)
    assert attempts > 2
    assert runs.weights(f"attempt{attempts}") == runs.weights("whole")
    assert report["plan"]["candidates"] == whole["plan"]["candidates"]


@pytest.mark.usefixtures("asking")
def test_an_interrupted_run_leaves_a_plan_that_repeats_it(write: Write, mixed_table: Table, tmp_path: Path) -> None:
    """What the clock decided in any of its attempts is in the plan, which gives the same weights in one go."""
    runs = Runs(write(mixed_table(rows=120)), tmp_path, {"time_s": 0.5})
    report, attempts = runs.interrupted(200)
    assert attempts > 1
    runs.plan = json.loads(json.dumps(report["plan"]))
    runs.attempt("again")
    assert runs.weights("again") == runs.weights(f"attempt{attempts}")


@pytest.mark.usefixtures("asking")
def test_the_time_of_earlier_attempts_counts(
    write: Write, mixed_table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that had no time left when it was interrupted ends its candidate and begins no other."""
    late_s, begun, fit_gbdt = [0.0], list[bool](), MODELS[ModelName.GBDT]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late_s[0]))

    def fit(*values: Any, **words: Any) -> Any:
        begun.append(True)
        return fit_gbdt(*values, **words)

    def stop() -> bool:
        late_s[0] = 100.0 if begun else 0.0
        return bool(begun)

    monkeypatch.setitem(MODELS, ModelName.GBDT, fit)
    runs = Runs(write(mixed_table(rows=120)), tmp_path, {"time_s": 60.0})
    runs.stopped("first", stop)
    late_s[0] = 0.0
    report = runs.attempt("second", resume_from=["first"])
    assert set(report["candidates"]) == {"linear", "gbdt"}
    assert report["candidates"]["gbdt"]["ended_by"] == "time"
    assert report["candidates"]["gbdt"]["seconds"] > 100.0
    assert "The time was over before `mlp` could be trained; give more with time=..." in report["warnings"]


def test_a_run_that_had_learnt_everything_learns_nothing_again(mlp: Runs) -> None:
    """Stopped while it was scored, it goes on to the scores."""

    def stop() -> bool:
        return StageStarted(stage=Stage.EVALUATE) in mlp.events

    mlp.events.clear()
    mlp.stopped("first", stop)
    mlp.events.clear()
    mlp.attempt("second", resume_from=["first"])
    assert Resumed(detail="mlp, epoch 6") in mlp.events
    assert not any(isinstance(event, EpochDone) for event in mlp.events)
    assert mlp.weights("second") == mlp.weights("whole")


def test_a_resumed_run_says_so_once_and_counts_on(mlp: Runs) -> None:
    """The first epoch that it tells is the one after those that were kept; each save is an event."""
    mlp.events.clear()
    mlp.stopped("first", questions=20)
    assert sum(isinstance(event, CheckpointSaved) for event in mlp.events) == 1
    mlp.events.clear()
    report = mlp.attempt("second", resume_from=["first"], every_s=0.0)
    (resumed,) = (event for event in mlp.events if isinstance(event, Resumed))
    told = [event.epoch for event in mlp.events if isinstance(event, EpochDone)]
    assert resumed.detail == f"mlp, epoch {told[0] - 1}"
    assert 1 < told[0] < told[-1] == 6
    saved = sum(isinstance(event, CheckpointSaved) for event in mlp.events)
    assert saved > 5
    assert report["checkpoints"] == {"resumed_from": resumed.detail, "saved": saved, "seconds": pytest.approx(0, abs=9)}


KILLED = """
import os, signal, sys
from pathlib import Path
from shared.events import CheckpointSaved
from shared.specs import TrainSpec
from workers.core import checkpoints, keeper, progress
from workers.core.train import train

data, folder, where = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
progress._BETWEEN_POLLS_S, keeper.MOST_SHARE, saved, replaced = 0.0, 1e9, [], Path.replace
os.fsync = lambda _: None

def report(event):
    saved.extend([event] * isinstance(event, CheckpointSaved))
    if where == "learning" and len(saved) == 12:
        os.kill(os.getpid(), signal.SIGKILL)

def replace(path, target):
    if where in target.name and len(saved) == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return replaced(path, target)

Path.replace = replace
spec = TrainSpec(dataset="data", model="mlp", epochs=6, drop=("user_id",))
kept = checkpoints.Checkpoints(folder / "kept" / "first", every_s=0.0)
train(data, spec, out=folder / "first", report=report, should_stop=lambda: False, checkpoints=kept)
"""


@pytest.mark.parametrize("where", ["learning", ".json"])
def test_a_killed_run_goes_on_from_its_last_checkpoint(mlp: Runs, where: str) -> None:
    """Killed while it learns, or in the middle of a checkpoint, it loses what came after."""
    command = [sys.executable, "-c", KILLED, str(mlp.data), str(mlp.folder), where]
    ended = subprocess.run(command, check=False, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert numbers(mlp.kept("first")) == [12, 11]
    report = mlp.attempt("second", resume_from=["first"])
    assert report["checkpoints"]["resumed_from"] == "mlp, epoch 1"
    assert mlp.weights("second") == mlp.weights("whole")
    assert report["warnings"] == []


def cut_short(folder: Path, number: int) -> None:
    """Half of the arrays is gone."""
    path = folder / f"{number:06d}.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def test_a_damaged_checkpoint_falls_back_to_the_one_before(mlp: Runs) -> None:
    """The report says what was wrong with the newest; the weights are the same."""
    mlp.stopped("first", questions=20, every_s=0.0)
    newest, before = numbers(mlp.kept("first"))
    size = (mlp.kept("first") / f"{newest:06d}.safetensors").stat().st_size
    cut_short(mlp.kept("first"), newest)
    report = mlp.attempt("second", resume_from=["first"])
    assert report["warnings"] == [
        f"{NOT_EVERY} (first/{newest}: 100 of its {size:,} bytes are left), so "
        f"training went on from {report['checkpoints']['resumed_from']}."
    ]
    assert mlp.weights("second") == mlp.weights("whole")
    assert before == newest - 1


def test_without_a_whole_checkpoint_the_next_folder_and_then_scratch_follow(mlp: Runs) -> None:
    """Folders are tried in their order; in the end training begins from scratch, and the report says why."""
    mlp.stopped("first", questions=20, every_s=0.0)
    mlp.stopped("second", questions=12, resume_from=["first"])
    cut_short(mlp.kept("second"), 1)
    report = mlp.attempt("third", resume_from=["missing", "second", "first"])
    assert report["checkpoints"]["resumed_from"] is not None
    assert report["warnings"][0].startswith(f"{NOT_EVERY} (second/1: 100 of")
    for number in numbers(mlp.kept("first")):
        cut_short(mlp.kept("first"), number)
    report = mlp.attempt("fourth", resume_from=["second", "first"])
    assert report["checkpoints"]["resumed_from"] is None
    assert report["warnings"][0].endswith(" bytes are left), so training began from scratch.")
    assert mlp.weights("third") == mlp.weights("fourth") == mlp.weights("whole")


@pytest.mark.parametrize(
    ("words", "rows", "why"),
    [
        ({**MLP, "dropout": 0.2}, 120, "command"),
        (MLP, 130, "table"),
        ({**MLP, "name": "other", "device": Device.CPU}, 120, None),
    ],
)
def test_only_a_checkpoint_of_the_same_training_is_gone_on_from(
    mlp: Runs, write: Write, mixed_table: Table, words: dict[str, Any], rows: int, why: str | None
) -> None:
    """Another command or table begins from scratch, and says so; a name changes nothing that is learnt."""
    mlp.stopped("first", questions=20)
    other = Runs(write(mixed_table(rows=rows), "other"), mlp.folder, words)
    report = other.attempt("second", resume_from=["first"])
    assert (report["checkpoints"]["resumed_from"] is None) == (why is not None)
    expected = f"{NOT_EVERY} (first/1: it was made with another {why}), so training began from scratch."
    assert report["warnings"] == ([expected] if why else [])


def test_a_short_run_writes_none(mlp: Runs) -> None:
    """Without a stop, nothing is written before the time comes."""
    assert not mlp.kept("whole").exists()
    assert not any(isinstance(event, CheckpointSaved | Resumed) for event in mlp.events)


def test_a_stop_before_anything_was_learnt_writes_none(mlp: Runs) -> None:
    """A checkpoint without content would be taken for progress."""
    mlp.stopped("first", lambda: True)
    assert not mlp.kept("first").exists()


def test_a_full_disk_ends_no_training(mlp: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says once that checkpoints could not be written; nothing is left of them, the weights are the same."""

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    mlp.events.clear()
    report = mlp.attempt("second", every_s=0.0)
    assert report["warnings"] == [
        "A checkpoint could not be written (No space left on device); training went on without it."
    ]
    assert report["checkpoints"]["saved"] == 0
    assert not any(isinstance(event, CheckpointSaved) for event in mlp.events)
    assert list(mlp.kept("second").iterdir()) == []
    assert mlp.weights("second") == mlp.weights("whole")


def test_a_disk_that_is_full_for_a_while_costs_only_that_while(mlp: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint before stays whole, and the next one is written."""
    written, tries = files._write, iter(range(10**6))

    def at_times(path: Path, content: bytes) -> None:
        if next(tries) in (5, 8):  # the JSON of the third, the arrays of the fifth
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(path, content)

    monkeypatch.setattr(files, "_write", at_times)
    mlp.stopped("first", questions=20, every_s=0.0)
    report = mlp.attempt("second", resume_from=["first"])
    assert report["warnings"] == []
    assert mlp.weights("second") == mlp.weights("whole")


def checkpoint_of(**words: Any) -> Checkpoint:
    """A small one."""
    part = Part(
        {"a": np.arange(6.0).reshape(2, 3), "b": np.array(7, dtype=np.int64)}, {"loss": float("inf")}, "epoch 1"
    )
    return Checkpoint(**{"fits": {"table": "x"}, "threads": 2, "parts": {"clock": Part(), "mlp": part}, **words})


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    """Shapes, types, infinite numbers and the order of the parts; the last two are kept."""
    for number in (1, 2, 3):
        write_checkpoint(tmp_path, number, checkpoint_of(threads=number))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000002.json", "000002.safetensors", "000003.json", "000003.safetensors",
    ]  # fmt: skip
    read, written = read_checkpoint(tmp_path, 3), checkpoint_of(threads=3)
    assert (read.fits, read.threads, list(read.parts)) == (written.fits, 3, ["clock", "mlp"])
    assert (read.detail, read.parts["mlp"].plain) == ("mlp, epoch 1", {"loss": float("inf")})
    for name, array in written.parts["mlp"].arrays.items():
        assert read.parts["mlp"].arrays[name].dtype == array.dtype
        assert np.array_equal(read.parts["mlp"].arrays[name], array)


def test_each_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays first, then the JSON that stands for both; after each, the folder."""
    synced = list[list[str]]()

    def fsync(_: int) -> None:
        synced.append(sorted(path.name for path in tmp_path.iterdir()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_checkpoint(tmp_path, 1, checkpoint_of())
    assert synced == [
        ["000001.safetensors.part"],
        ["000001.safetensors"],
        ["000001.json.part", "000001.safetensors"],
        ["000001.json", "000001.safetensors"],
    ]


def other_byte(content: bytes) -> bytes:
    """The same size, with one other byte at the end."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("suffix", "damage", "reason"),
    [
        (".safetensors", lambda content: content[:-1], r"bytes are left$"),
        (".safetensors", other_byte, "its bytes are not those that were written"),
        (".safetensors", None, "it cannot be read: No such file or directory"),
        (".json", lambda content: content[:50], "it is no checkpoint"),
        (".json", lambda _: b"", "it is no checkpoint"),
        (".json", lambda _: b"[]", "it is no checkpoint"),
        (".json", lambda _: b"\xff\xfe", "it is no checkpoint"),
        (".json", lambda content: content.replace(b'"threads": 2', b'"threads": 3'), "its values are not those"),
    ],
)
def test_damage_is_found(tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes] | None, reason: str) -> None:
    """Whatever is wrong with either file, it is said in words."""
    write_checkpoint(tmp_path, 1, checkpoint_of())
    path = tmp_path / f"000001{suffix}"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Damaged, match=reason):
        read_checkpoint(tmp_path, 1)


def test_another_format_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version of LML wrote may mean something else."""
    monkeypatch.setattr(files, "FORMAT", 2)
    write_checkpoint(tmp_path, 1, checkpoint_of())
    monkeypatch.undo()
    with pytest.raises(Damaged, match="it has format 2, and 1 is read here"):
        read_checkpoint(tmp_path, 1)


def test_a_slow_disk_gets_fewer_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing takes at most a twentieth of the time."""
    now = [0.0]
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: now[0]))
    kept = Keeper(Checkpoints(tmp_path, every_s=10.0), dict, threads=1)

    def slow() -> Part:
        now[0] += 3.0
        return Part({"a": np.zeros(3)})

    kept.keep("mlp", slow)
    now[0] = 9.0
    assert not kept.is_due()
    now[0] = 10.0
    assert kept.is_due()
    assert kept.save()
    now[0] += 59.0
    assert not kept.is_due()
    now[0] += 1.0
    assert kept.is_due()


@pytest.mark.usefixtures("asking")
def test_a_lower_rate_after_an_explosion_survives_an_interruption(tmp_path: Path) -> None:
    """What was changed, and that it was said, is kept; the rate is not lowered a second time."""
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    fold = Fold(torch.arange(200), torch.arange(200, 300))
    data = Data(Task.REGRESSION, 1, Layout(4, 0, 0, 0), x, x[:, :1] + x[:, 1:2], (fold,), Objective(LossName.MSE))
    recipe = Recipe(OptimizerName.SGD, lr=3.0, batch=50, epochs=9, l1=0.0, l2=0.0, patience_updates=99, seed=0)

    def fitted(stop: Stop, *folders: str) -> tuple[Descent, list[str]]:
        kept = Keeper(Checkpoints(tmp_path / folders[0], [tmp_path / one for one in folders[1:]]), dict, threads=1)
        kept.open()
        asked = Progress(lambda _: None, stop, kept)
        return fit_descent(
            lambda: nn.Sequential(Dense(1, 4, 1)),
            data,
            replace(recipe, momentum=0.9),
            model="mlp",
            progress=asked,
            clock=Clock(1e6),
            may_slow_down=True,
        )

    whole, notes = fitted(never, "whole")
    assert notes == ["`mlp`: the loss exploded, so it began again with lr=0.3."]
    folders = list[str]()
    for k in range(1, 40):
        try:
            asked = iter(range(20))
            again, said = fitted(lambda asked=asked: next(asked, None) is None, f"{k}", *folders[::-1])
            break
        except RunStopped:
            folders.append(f"{k}")
    assert len(folders) > 2
    assert said == notes
    assert again.plan == whole.plan
    assert torch.equal(again.body[0].weight, whole.body[0].weight)  # type: ignore[index]


@pytest.mark.usefixtures("asking")
def test_a_candidate_that_failed_is_not_tried_again(
    write: Write, mixed_table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its problem is kept, and told in the end."""
    tried = list[bool]()

    def fail(*_: Any, **__: Any) -> NoReturn:
        tried.append(True)
        raise failed("training_diverged", "The loss must not explode; it did.")

    monkeypatch.setitem(MODELS, ModelName.GBDT, fail)
    runs = Runs(write(mixed_table(rows=120)), tmp_path, {"epochs": 2, "time_s": 600})
    runs.stopped("first", lambda: bool(tried))
    report = runs.attempt("second", resume_from=["first"])
    assert tried == [True]
    assert "`gbdt` could not be trained: The loss must not explode; it did." in report["warnings"]


def test_a_gpu_that_was_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """device=gpu without one is a failure that says what to do, device=auto takes what there is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RunFailed) as raised:
        choose_device(Device.GPU)
    (problem,) = raised.value.problems
    assert problem.code == "gpu_missing"
    assert problem.sentence() == (
        "device=gpu needs a GPU that PyTorch can use; this worker has none. "
        "Say device=auto to train on what there is, or start a worker where there is a GPU."
    )
    assert choose_device(Device.AUTO).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(device).type for device in Device] == ["cuda", "cuda", "cpu"]


def test_a_gpu_that_is_missing_is_said_before_the_table_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a long file to hear that there is no GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    runs = Runs(tmp_path / "no such file", tmp_path, {"device": Device.GPU})
    with pytest.raises(RunFailed, match="device=gpu needs a GPU"):
        runs.attempt("first")
    assert runs.events == []
