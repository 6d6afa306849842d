"""Answers of verbs: one envelope for machines, the same for every verb, and a card for people."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.empty_logs import empty_log

from bot.answers import envelope, run_envelope, text_answer
from bot.desk import Answer, Desk
from bot.grammar import parse
from bot.terminal.screen import problem_envelope
from shared.access import Principal, Role, Source
from shared.blobs import BlobStore
from shared.errors import Problem, RefusedWords, refused, unavailable
from shared.log import attempts, runs
from shared.log.attempts import Outcome
from shared.log.runs import Artifact, NewRun, RunState
from shared.settings import Settings
from shared.specs import AnySpec, CompareSpec, DescribeSpec, EvaluateSpec, PredictSpec, TrainSpec

PROMISED = {"run", "kind", "state", "artifacts", "error"}
OF_A_RUN = PROMISED | {"name", "words", "attempts", "seed_of", "priority", "device", "timing_s"}
BESIDE = {"tags", "notes", "aliases"}
"""What `show` adds: it stands beside the run."""
SHELL = Principal(team_id="local", user_id="ada", source=Source.SHELL)
SLACK = Principal(team_id="local", user_id="U0ADA", source=Source.SLACK, channel_id="C1", role=Role.TRAINER)
BYTES = b"the model"
SHA256 = hashlib.sha256(BYTES).hexdigest()
RESULTS: dict[str, dict[str, Any]] = {
    "describe": {
        "dataset": {"rows": 3_000, "columns": 9},
        "dialect": {"encoding": "utf-8", "delimiter": ","},
        "target": "churned",
        "task": "binary",
        "columns": [{"name": "age", "kind": "number", "reason": "all cells are numbers", "missing": 0, "used": True}],
        "repairs": [],
        "findings": [],
        "warnings": [],
        "inferred": [],
    },
    "train": {
        "dataset": {"rows": 3_000, "columns": 9},
        "task": "binary",
        "headline": "accuracy",
        "target": "churned",
        "model": "mlp",
        "metrics": {"train": {}, "validation": {}, "test": {"accuracy": 0.85}, "baseline": {"accuracy": 0.73}},
        "timing_s": {"load": 0.1, "train": 2.5, "evaluate": 0.1, "export": 0.3},
        "seed": 0,
        "split_seed": 0,
    },
    "evaluate": {"task": "binary", "headline": "accuracy", "metrics": {"test": {"accuracy": 0.8}}, "rows_scored": 450},
    "predict": {"rows": 10, "rows_unreadable": 0},
    "compare": {"best": 1, "sentence": "Run 1 is better", "rows_shared": 10, "runs": []},
}
SPECS: dict[str, AnySpec] = {
    "describe": DescribeSpec(dataset="in/churn.csv", write="clean.csv"),
    "train": TrainSpec(dataset="in/churn.csv", name="March"),
    "evaluate": EvaluateSpec(run=1, dataset="march.csv"),
    "predict": PredictSpec(run=1, dataset="new.csv"),
    "compare": CompareSpec(runs=(1, 2)),
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The desk of a shell."""
    settings = Settings(home=tmp_path)
    return Desk(
        settings=settings, log=empty_log(settings.log_url), store=BlobStore(settings.store_folder), principal=SHELL
    )


def written(desk: Desk, kind: str = "train", state: RunState = RunState.SUCCEEDED) -> int:
    """A run of a kind, brought to a state."""
    spec = SPECS[kind]
    if state is RunState.GATHERING:
        spec = spec.model_copy(update={"seeds": 3})
    dataset = getattr(spec, "dataset", None)
    new = NewRun(spec=spec, words=f"{kind} ...", principal=SHELL, dataset_name=dataset and Path(dataset).name)
    with desk.log.write() as connection:
        number, _ = runs.create(connection, new)
        if state is RunState.PREPARING:
            return number
        if state is RunState.CANCELLED:
            runs.cancel(connection, number, by="ada")
            return number
        runs.queue(connection, number, dataset_sha256="d" * 64 if dataset else None)
        if state in (RunState.QUEUED, RunState.GATHERING):
            return number
        taken = attempts.claim(connection, worker="w1", lease_s=60)
        assert taken is not None
        if state is RunState.FAILED:
            attempts.fail(connection, taken[0], Problem("diverged", "The loss is no number.", "Lower lr."))
        if state is RunState.SUCCEEDED:
            desk.store.put_chunks([BYTES])
            artifact = Artifact(name="model.onnx", sha256=SHA256, size_bytes=len(BYTES))
            attempts.succeed(connection, taken[0], Outcome(result=RESULTS[kind], metrics={}, artifacts=[artifact]))
    return number


def answered(desk: Desk, *words: str) -> Answer:
    """What a verb that answers at once says."""
    command = parse(words)
    assert command.verb.answer is not None
    answer = command.verb.answer(desk, command.request)
    assert json.loads(json.dumps(answer.envelope, allow_nan=False)) == answer.envelope
    return answer


def test_the_envelope_has_what_is_promised() -> None:
    """Every answer has the same five keys, no error unless there is one, and all problems of one in its error."""
    assert envelope("help", "succeeded") == {
        "run": None,
        "kind": "help",
        "state": "succeeded",
        "artifacts": [],
        "error": None,
    }
    problems = [Problem("a", "Wrong.", "Do so."), Problem("b", "Bad.")]
    assert envelope("train", "failed", run=1, problems=problems, extra=2) == {
        "run": 1,
        "kind": "train",
        "state": "failed",
        "artifacts": [],
        "error": {"code": "a", "message": "Wrong.\nBad.", "hint": "Do so."},
        "extra": 2,
    }


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("train", {"dataset", "task", "headline", "target", "model", "metrics", "seed", "split_seed"}),
        (
            "describe",
            {"dataset", "dialect", "target", "task", "columns", "repairs", "findings", "warnings", "inferred"},
        ),
        ("evaluate", {"dataset", "task", "headline", "metrics", "rows_scored"}),
        ("predict", {"dataset", "rows", "rows_unreadable"}),
        ("compare", {"best", "sentence", "rows_shared", "runs"}),
    ],
)
def test_the_envelope_of_each_kind(desk: Desk, kind: str, keys: set[str]) -> None:
    """A run that ended well has the promised keys, what its kind found out, and no other."""
    met = answered(desk, "show", str(written(desk, kind))).envelope
    assert set(met) == OF_A_RUN | BESIDE | keys
    assert (met["kind"], met["state"], met["error"], met["attempts"]) == (kind, "succeeded", None, 1)
    assert {"queued", "total"} <= set(met["timing_s"])
    assert met["timing_s"]["queued"] >= 0
    assert met["timing_s"]["total"] >= 0


def test_a_train_run_has_everything_that_the_readme_promises(desk: Desk) -> None:
    """The envelope of a train run names its dataset by hash and its times by stage."""
    met = answered(desk, "show", str(written(desk))).envelope
    assert met["dataset"] == {"name": "churn.csv", "sha256": "d" * 64, "rows": 3_000, "columns": 9}
    assert set(met["timing_s"]) == {"queued", "load", "train", "evaluate", "export", "total"}
    assert set(met["metrics"]) == {"train", "validation", "test", "baseline"}
    assert (met["name"], met["words"]) == ("March", "train ...")


@pytest.mark.parametrize("state", RunState)
def test_the_envelope_in_each_state(desk: Desk, state: RunState) -> None:
    """Wherever a run stands, its envelope has the promised keys, and an error if and only if it failed."""
    number = written(desk, state=state)
    met = answered(desk, "show", str(number)).envelope
    assert set(met) >= OF_A_RUN | {"dataset"}
    assert (met["run"], met["state"]) == (number, state.value)
    problem = {"code": "diverged", "message": "The loss is no number.", "hint": "Lower lr."}
    assert met["error"] == (problem if state is RunState.FAILED else None)
    assert (met["timing_s"]["total"] is None) is not state.ended
    seeds = [(one["seed"], one["state"]) for one in met.get("seeds", ())]
    assert seeds == ([(0, "queued"), (1, "queued"), (2, "queued")] if state is RunState.GATHERING else [])


def test_artifacts_lie_where_a_shell_can_open_them(desk: Desk) -> None:
    """A shell gets each artifact as a readable file; its bytes are the ones whose hash is named."""
    number = written(desk)
    (artifact,) = answered(desk, "show", str(number)).envelope["artifacts"]
    path = desk.settings.home_folder / "runs" / str(number) / "model.onnx"
    assert artifact == {"name": "model.onnx", "path": str(path), "sha256": SHA256, "size_bytes": len(BYTES)}
    assert path.read_bytes() == BYTES


def test_a_chat_gets_no_paths(desk: Desk) -> None:
    """In a chat no file is laid out, and the card still names the artifacts."""
    number = written(desk)
    in_chat = Desk(settings=desk.settings, log=desk.log, store=desk.store, principal=SLACK, prefix="/lml")
    answer = answered(in_chat, "show", str(number))
    assert answer.envelope["artifacts"] == []
    assert answer.card.files == ("model.onnx",)
    assert answer.card.more[0] == f"/lml predict {number} DATASET"
    assert not (desk.settings.home_folder / "runs").exists()


def test_status_lists_what_has_not_ended(desk: Desk) -> None:
    """`status` lists the runs that wait or run, with the position of those in the queue."""
    running = written(desk, state=RunState.RUNNING)
    first, second = (written(desk, state=RunState.QUEUED) for _ in range(2))
    written(desk, state=RunState.CANCELLED)
    met = answered(desk, "status").envelope
    assert set(met) == PROMISED | {"items"}
    assert (met["run"], met["kind"], met["state"]) == (None, "status", "succeeded")
    assert [(item["run"], item["state"], item["position"]) for item in met["items"]] == [
        (second, "queued", 2),
        (first, "queued", 1),
        (running, "running", None),
    ]
    assert all(set(item) >= OF_A_RUN | {"position"} for item in met["items"])
    one = answered(desk, "status", str(first))
    assert [item["run"] for item in one.envelope["items"]] == [first]
    assert one.card.tables[0].rows[0][2] == "queued, number 1, starts in a moment"


def test_log_lists_what_fits(desk: Desk) -> None:
    """`log` lists runs newest first, under its filters."""
    train, failed = written(desk), written(desk, state=RunState.FAILED)
    compare = written(desk, "compare")

    def listed(*filters: str) -> list[int]:
        return [item["run"] for item in answered(desk, "log", *filters).envelope["items"]]

    assert listed() == [compare, failed, train]
    assert listed("limit=1") == [compare]
    assert listed("kind=train") == [failed, train]
    assert listed("state=failed") == [failed]
    assert listed("name=March", "state=succeeded") == [train]
    assert listed("dataset=churn") == [failed, train]
    assert listed("dataset=%") == []
    assert listed("by=ben") == []
    rows = answered(desk, "log").card.tables[0].rows
    assert [row[3] for row in rows] == ["", "diverged", "accuracy 0.8500"]
    assert answered(desk, "log", "by=ben").card.notes == ("No run fits. `help log` shows what can be asked for.",)


def test_lists_of_nothing_say_what_to_do(desk: Desk) -> None:
    """An empty list is a success with no items, and a sentence for people."""
    met = answered(desk, "log")
    assert (met.envelope["items"], met.envelope["state"]) == ([], "succeeded")
    assert met.card.notes == ("There are no runs yet. Begin with `train DATASET`.",)
    assert answered(desk, "status").card.notes == ("Nothing waits and nothing runs. `log` lists what ended.",)


def test_cancel_answers_with_the_run(desk: Desk) -> None:
    """`cancel` answers with the run as it is then; one that has ended is refused."""
    waiting, running = written(desk, state=RunState.QUEUED), written(desk, state=RunState.PREPARING)
    assert answered(desk, "cancel", str(waiting)).envelope["state"] == "cancelled"
    assert answered(desk, "cancel", str(running)).envelope["state"] == "cancelled"
    with pytest.raises(RefusedWords) as met:
        answered(desk, "cancel", str(waiting))
    assert met.value.code == "run_ended"
    assert str(met.value) == (
        f"A run can be cancelled while it waits or runs; run {waiting} has cancelled. `show {waiting}` shows it."
    )


def test_cancel_of_a_running_run_answers_while_it_stops(desk: Desk) -> None:
    """A run that a worker has is asked to stop, and the answer says that it still runs."""
    number = written(desk, state=RunState.RUNNING)
    assert answered(desk, "cancel", str(number)).envelope["state"] == "running"
    with desk.log.read() as connection:
        assert runs.get(connection, number).cancel_requested


def test_help_answers_with_its_text(desk: Desk) -> None:
    """`help` answers with the text in its envelope, and the same text on its card."""
    met = answered(desk, "help", "train")
    assert set(met.envelope) == PROMISED | {"text"}
    assert met.envelope["text"].startswith(met.card.title + "\n")
    assert met.card.notes[0] in met.envelope["text"]
    assert text_answer("help", "one line").card.title == "one line"


def test_what_went_wrong_before_there_was_a_run() -> None:
    """Refused words and services that are away have the same envelope, with different states."""
    words = problem_envelope("train", refused("unknown_key", "No such key.", "Ask help."))
    assert words == envelope("train", "refused", problems=[Problem("unknown_key", "No such key.", "Ask help.")])
    away = problem_envelope("train", unavailable("redis_unavailable", "Redis is away."))
    assert (away["state"], away["error"]["code"]) == ("failed", "redis_unavailable")
    assert set(words) == set(away) == PROMISED
    assert problem_envelope("train", unavailable("redis_unavailable", "Redis is away."), run=7)["run"] == 7


def test_a_result_cannot_hide_the_dataset_of_the_run(desk: Desk) -> None:
    """Name and hash of the dataset come from the log; what the worker found out about it is added."""
    number = written(desk, "predict")
    with desk.log.read() as connection:
        run = runs.get(connection, number)
    assert run_envelope(run)["dataset"] == {"name": "new.csv", "sha256": "d" * 64}
    assert run_envelope(run)["artifacts"] == []
