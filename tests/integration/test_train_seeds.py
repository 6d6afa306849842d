"""`train seeds=3` by the real command and worker: from the words to a model that predicts, and through what breaks."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from support.deadline import until
from support.place import Place
from support.place_runs import answer_of, begun, run_of

from bot import submit
from bot.grammar import parse
from bot.terminal.commands import open_desk
from shared.errors import RefusedWords
from shared.events import SeedEnded
from shared.log import runs, seeds
from shared.log.runs import RunState

MakePlace = Callable[..., Place]
QUICK = ("model=mlp", "epochs=3", "device=cpu")
SOON_S = 3.0
"""Less than what a lost doorbell waits for the sweep."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small table whose label is hard to tell, so that seeds differ."""
    chance = random.Random(3)
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rows = []
    for _ in range(300):
        a, b = chance.gauss(0, 1), chance.gauss(0, 1)
        rows.append(f"{a:.3f},{b:.3f},{'yes' if a + b + chance.gauss(0, 1.5) > 0 else 'no'}\n")
    path.write_text("a,b,label\n" + "".join(rows))
    return path


def seeds_of(place: Place, number: int) -> list[seeds.Seed]:
    """Its seeds."""
    with open_desk(place.settings).log.read() as connection:
        return seeds.of_run(connection, number)


@pytest.fixture(scope="module")
def trained(place: Place, table: Path) -> dict[str, Any]:
    """A run over three seeds, by the command."""
    code, answer = place.shell.run("train", str(table), "seeds=3", "seed=5", *QUICK)
    assert (code, answer["state"]) == (0, "succeeded")
    return answer


def test_three_seeds_from_words_to_a_model(place: Place, table: Path, trained: dict[str, Any]) -> None:
    """Means, deviations and intervals of what the seeds' own runs reached; the files are those of the best on
    validation, and every verb that takes a model takes them.
    """
    children = [answer_of(place, seed["run"]) for seed in trained["seeds"]]
    assert [seed["seed"] for seed in trained["seeds"]] == [5, 6, 7]
    assert [child["seed_of"] for child in children] == [trained["run"]] * 3
    assert {child["split_sha256"] for child in children} == {trained["split_sha256"]}
    reached = [child["metrics"]["test"]["roc_auc"] for child in children]
    assert len(set(reached)) > 1
    assert trained["metrics"]["test"]["roc_auc"] == pytest.approx(mean(reached))
    assert trained["sd"]["test"]["roc_auc"] == pytest.approx(stdev(reached))
    low, high = trained["intervals"]["test"]["roc_auc"]
    widest = max(child["intervals"]["test"]["roc_auc"][1] for child in children)
    assert low < min(reached) < max(reached) < high <= max(1.0, widest)
    best = min(children, key=lambda child: child["metrics"]["validation"]["log_loss"])
    assert trained["kept"]["run"] == best["run"]
    files = [{file["name"]: file["sha256"] for file in answer["artifacts"]} for answer in (trained, best)]
    assert set(files[0]) == set(files[1])
    assert {name for name in files[0] if files[0][name] != files[1][name]} == {"report.json", "model_card.md"}
    assert run_of(place, trained["run"]).score == pytest.approx(mean(reached))
    for verb in ("evaluate", "predict"):
        assert place.shell.run(verb, str(trained["run"]), str(table))[0] == 0
    code, compared = place.shell.run("compare", str(trained["run"]), str(children[0]["run"]))
    assert code == 0
    entry, other = compared["runs"]
    assert entry["over_seeds"]["sd"]["roc_auc"] == trained["sd"]["test"]["roc_auc"]
    assert entry["metrics"]["roc_auc"] == pytest.approx(best["metrics"]["test"]["roc_auc"])
    assert "over_seeds" not in other
    assert entry["parameters"] == best["parameters"] > 0
    assert f"Run {trained['run']} stands for 3 seeds" in compared["warnings"][0]


def test_the_seeds_of_one_bell_all_begin_at_once(place: Place, table: Path) -> None:
    """Each rings for the next and the last one for its run: nothing waits for the sweep."""
    number = begun(place, "train", str(table), "seeds=2", "model=linear", "device=cpu")
    answer = answer_of(place, number)
    assert answer["timing_s"]["queued"] < SOON_S
    moments = [run_of(place, seed.run) for seed in seeds_of(place, number)]
    waits = [(run.started_at - run.queued_at).total_seconds() for run in moments if run.started_at and run.queued_at]
    runs_s = (moments[0].ended_at - moments[0].started_at).total_seconds()  # type: ignore[operator]
    assert max(waits) < runs_s + SOON_S


def test_a_replay_is_the_same_seed_by_seed(place: Place, trained: dict[str, Any]) -> None:
    """Each seed follows the plan of the old one, and the whole is the same only since all are."""
    answer = answer_of(place, begun(place, "replay", str(trained["run"])))
    replay = answer["replay"]
    assert (replay["of"], replay["same"], replay["metrics_same"]) == (trained["run"], True, True)
    assert [one["of"] for one in replay["seeds"]] == [seed["run"] for seed in trained["seeds"]]
    assert answer["metrics"] == trained["metrics"]


def test_seeds_that_all_fail_fail_their_run(place: Place, tmp_path: Path) -> None:
    """With one problem that has the reason once; `retry` does all again, `resume` is refused."""
    broken = tmp_path / "broken.csv"
    broken.write_text("a,y\n" + "".join(f"{n},yes\n" for n in range(60)))
    code, answer = place.shell.run("train", str(broken), "seeds=2", *QUICK)
    assert (code, answer["error"]["code"]) == (1, "seeds_failed")
    first, second = (seed["run"] for seed in answer["seeds"])
    assert f"0 of 2 did. Seed 0 (run {first}), 1 (run {second}): Failed: " in answer["error"]["message"]
    assert [seed["problem"] for seed in answer["seeds"]] == ["target_one_class"] * 2
    again = answer_of(place, begun(place, "retry", str(answer["run"])))
    assert again["error"]["code"] == "seeds_failed"
    assert len({seed["run"] for seed in (*again["seeds"], *answer["seeds"])}) == 4
    with pytest.raises(RefusedWords) as refused:
        submit.write(open_desk(place.settings), parse(("resume", str(answer["run"]))))
    assert refused.value.code == "seeds_not_resumed"


def test_a_seed_that_was_stopped_is_left_out(place: Place, table: Path) -> None:
    """The run goes on with the others and says so; cancelling the run stops all of them within seconds."""
    number = begun(place, "train", str(table), "seeds=3", *QUICK)
    place.shell.run("cancel", str(seeds_of(place, number)[-1].run))
    answer = answer_of(place, number)
    assert answer["state"] == "succeeded"
    assert answer["warnings"][0].startswith("2 of 3 seeds count. Seed 2")
    long = begun(place, "train", str(table), "seeds=3", "model=mlp", "epochs=100000", "patience=100000", "time=5m")
    until(lambda: seeds_of(place, long)[0].state is RunState.RUNNING, what="a seed runs")
    assert place.shell.run("cancel", str(long))[1]["state"] == "cancelled"
    until(lambda: all(seed.state is RunState.CANCELLED for seed in seeds_of(place, long)), what="all are stopped")


def test_a_worker_that_is_killed_between_seeds_costs_nothing(
    make_place: MakePlace, postgres_url: str, table: Path
) -> None:
    """kill -9 of the whole worker on Postgres, once a seed has ended: the next worker goes on with the others."""
    place = make_place(postgres_url, lease_s=2)
    worker = place.start_worker()
    number = begun(place, "train", str(table), "seeds=3", "model=mlp", "epochs=10", "device=cpu")
    log = open_desk(place.settings).log

    def one_has_ended() -> bool:
        with log.read() as connection:
            return any(isinstance(event, SeedEnded) for _, event in runs.events_after(connection, number))

    until(one_has_ended, what="a seed has ended", within_s=60)
    os.killpg(worker.child.process.pid, signal.SIGKILL)
    first = next(seed for seed in seeds_of(place, number) if seed.state.ended)
    place.start_worker()
    answer = answer_of(place, number)
    assert (answer["state"], len(answer["seeds"])) == ("succeeded", 3)
    assert run_of(place, first.run).attempts == 1
    with log.read() as connection:
        told = [event.ended for _, event in runs.events_after(connection, number) if isinstance(event, SeedEnded)]
    assert told == [1, 2, 3]
