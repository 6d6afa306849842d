"""Runs that are done again from their log, by the real command and worker."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from support.place import Place
from support.place_runs import answer_of, begun, ended, run_of

from bot import submit
from bot.delivery.doorbell import Doorbell
from bot.grammar import parse
from bot.terminal.commands import open_desk
from shared.errors import RefusedWords
from shared.log import tables

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose target is a number, with words and gaps."""
    chance = random.Random(5)
    path = tmp_path_factory.mktemp("data") / "numbers.csv"
    rows = []
    for _ in range(300):
        a, b, word = chance.gauss(0, 1), chance.gauss(0, 2), chance.choice(("red", "green", ""))
        rows.append(f"{a:.3f},{b if chance.random() > 0.1 else ''},{word},{a * 2 - b + (word == 'red'):.4f}\n")
    path.write_text("a,b,word,y\n" + "".join(rows))
    return path


def done(place: Place, *words: str) -> dict[str, Any]:
    """A run, from its words to its end, as `--json` shows it."""
    return answer_of(place, begun(place, *words))


@pytest.fixture(scope="module")
def trained(place: Place, numbers: Path) -> dict[str, Any]:
    """The answer of a train run on that table."""
    return done(place, "train", str(numbers), "model=linear", "device=cpu")


def said(answer: dict[str, Any]) -> dict[str, Any]:
    """What a replay says, without the code: someone may be at work in the checkout that the tests run from."""
    changed = [text for text in answer["replay"]["changed"] if not text.startswith("code ")]
    return {**answer["replay"], "changed": changed}


def refusal(place: Place, answer: dict[str, Any]) -> RefusedWords:
    """What is said where that run is to be replayed."""
    with pytest.raises(RefusedWords) as refused:
        submit.write(open_desk(place.settings), parse(("replay", str(answer["run"]))))
    return refused.value


def weights_of(answer: dict[str, Any]) -> str:
    """The hash of the weights among a run's artifacts."""
    return next(str(file["sha256"]) for file in answer["artifacts"] if file["name"] == "weights.safetensors")


def test_replays_have_the_same_weights(place: Place, numbers: Path) -> None:
    """Five runs on three tables, one of them cut short by its time: each done again is the same, bit for bit."""
    asked = (
        (EXAMPLES / "wine.csv", ("time=1s",)),
        (EXAMPLES / "churn.csv", ("model=linear",)),
        (numbers, ("model=mlp", "epochs=8")),
        (EXAMPLES / "wine.csv", ("model=gbdt", "epochs=40")),
        (numbers, ("model=tabm", "epochs=4")),
    )
    for table, words in asked:
        first = done(place, "train", str(table), *words)
        again = done(place, "replay", str(first["run"]))
        assert said(again) == {
            "of": first["run"],
            "same": True,
            "weights_sha256": [weights_of(first), weights_of(again)],
            "metrics_same": True,
            "within_interval": True,
            "changed": [],
        }
        assert weights_of(first) == weights_of(again)
        assert again["words"] == f"replay {first['run']}"
        assert run_of(place, again["run"]).replays == first["run"]
        assert again["split_sha256"] == first["split_sha256"]
        assert again["dataset"]["content_sha256"] == first["dataset"]["content_sha256"]


def test_a_replay_reads_the_data_by_its_hash(place: Place, numbers: Path, trained: dict[str, Any]) -> None:
    """The file may be gone or say something else: the bytes of the old run are read; a replay can be replayed too."""
    kept = numbers.read_text()
    numbers.write_text("a,y\n1,2\n")
    try:
        code, again = place.shell.run("replay", str(trained["run"]))
        third = done(place, "replay", str(again["run"]))
    finally:
        numbers.write_text(kept)
    assert (code, again["replay"]["same"], third["replay"]["same"]) == (0, True, True)
    assert third["replay"]["of"] == again["run"]
    assert third["dataset"]["sha256"] == trained["dataset"]["sha256"]


def test_only_a_train_run_that_succeeded_is_replayed(
    place: Place, numbers: Path, trained: dict[str, Any], tmp_path: Path
) -> None:
    """Another kind, a run that failed, or one whose data is gone from the store: refused, with what to do instead."""
    described = done(place, "describe", str(numbers))
    refused = refusal(place, described)
    assert refused.code == "not_replayable"
    assert refused.problems[0].message.endswith(f"run {described['run']} is describe.")
    one_class = tmp_path / "one.csv"
    one_class.write_text("a,y\n" + "".join(f"{n},yes\n" for n in range(60)))
    failed = done(place, "train", str(one_class))
    refused = refusal(place, failed)
    assert refused.code == "not_replayable"
    assert refused.problems[0].hint == f"`retry {failed['run']}` does it again."
    place_of = open_desk(place.settings).store.path_of(trained["dataset"]["sha256"])
    erased = place_of.rename(tmp_path / "erased")
    code, refused = place.shell.run("replay", str(trained["run"]))
    erased.rename(place_of)
    assert (code, refused["error"]["code"]) == (2, "dataset_gone")
    assert trained["dataset"]["sha256"] in refused["error"]["message"]


def test_data_that_is_gone_at_the_worker_ends_a_replay(place: Place, trained: dict[str, Any], tmp_path: Path) -> None:
    """It fails with a code; retried when the bytes are back, it is still a replay of that run."""
    desk = open_desk(place.settings)
    bytes_of_it = desk.store.path_of(trained["dataset"]["sha256"])
    number, _ = submit.write(desk, parse(("replay", str(trained["run"]))))
    assert submit.prepare(desk, number)
    erased = bytes_of_it.rename(tmp_path / "erased")
    Doorbell(place.settings).ring(run_of(place, number))
    problem = ended(place, number).problem
    erased.rename(bytes_of_it)
    assert problem is not None
    assert problem.code == "blob_missing"
    again = done(place, "retry", str(number))
    assert (again["state"], said(again)["of"], said(again)["same"]) == ("succeeded", trained["run"], True)


def test_what_has_changed_since_is_named(place: Place, trained: dict[str, Any]) -> None:
    """Packages, Python, processor and code of then and now are told apart, and other weights are called so."""
    desk = open_desk(place.settings)
    result = run_of(place, trained["run"]).result
    assert result is not None
    listed = next(file for file in trained["artifacts"] if file["name"] == "environment.json")
    environment = json.loads(Path(listed["path"]).read_text())
    older = ["torch==2.0" if package.startswith("torch==") else package for package in environment["packages"]]
    blob = desk.store.put_chunks([json.dumps({**environment, "packages": older}).encode()])
    then = {**result["environment"], "python": "3.9.1", "cpu": "Abacus", "commit": "a" * 40, "changes_sha256": None}
    artifacts = tables.artifacts.c
    with desk.log.write() as connection:  # as if another machine had done it
        told = {**result, "environment": then}
        connection.execute(update(tables.runs).where(tables.runs.c.id == trained["run"]).values(result=told))
        for name, sha256 in (("environment.json", blob.sha256), ("weights.safetensors", "0" * 64)):
            file = (artifacts.run_id == trained["run"]) & (artifacts.name == name)
            connection.execute(update(tables.artifacts).where(file).values(sha256=sha256))
    again = done(place, "replay", str(trained["run"]))
    replay, now = again["replay"], result["environment"]
    assert (replay["same"], replay["metrics_same"], replay["within_interval"]) == (False, True, True)
    assert replay["changed"][:2] == [f"torch 2.0 -> {now['torch']}", f"Python 3.9.1 -> {now['python']}"]
    assert f"CPU Abacus -> {now['cpu']}" in replay["changed"]
    if now["commit"] is not None:
        assert f"code aaaaaaaaaa -> {now['commit'][:10]}" in replay["changed"]
