"""One fault each, while a run trains: it ends once and well, with the weights of an undisturbed run, told once."""

import random
from collections.abc import Iterator

import pytest
from support.chaos import FAULTS, LEASE_S, Stage, files_of, submit, wait_for, write_table
from support.deadline import until
from support.fake_slack import FakeSlack

from bot.terminal.redis_server import start_redis
from shared.log import runs
from shared.log.engine import open_log
from shared.settings import Settings

TERMINAL = ("succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two workers and a bot."""
    folder = tmp_path_factory.mktemp("chaos")
    with FakeSlack() as slack:
        redis, url = start_redis(folder / "redis", folder / "redis.log")
        settings = Settings(home=folder / "home", redis_url=url, lease_s=LEASE_S, team_id="T0TEAM")
        made = Stage(folder, settings, open_log(settings.log_url), slack, redis, url)
        write_table(folder / "table.csv")
        made.start_worker(0)
        made.start_worker(1)
        made.start_bot()
        for worker in made.workers:
            worker.wait_until_ready()
        yield made
        for child in (*(worker.child for worker in made.workers), made.bot, made.redis):
            if child is not None:
                child.stop(grace_s=5)


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> dict[str, str]:
    """The files of a run that nothing disturbs."""
    number = submit(stage, stage.folder / "table.csv", 0, "undisturbed")
    assert wait_for(stage, [number], within_s=120) == 0
    files = files_of(stage, number)
    assert any(name.endswith(".safetensors") for name in files)
    return files


def kinds_of(stage: Stage, number: int) -> list[str]:
    """What has happened to a run."""
    with stage.log.read() as connection:
        return [event.kind for _, event in runs.events_after(connection, number)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_a_run_nothing_but_time(stage: Stage, undisturbed: dict[str, str], fault: str) -> None:
    """Exactly one end, all files with the same hashes, and one message in the channel."""
    number = submit(stage, stage.folder / "table.csv", 0, fault)
    until(lambda: kinds_of(stage, number).count("epoch_done") > 0, what="the run trains", within_s=60)
    chance = random.Random(fault)
    for _ in range(4):  # of two workers the fault meets the one that has the run, sooner or later
        if not FAULTS[fault][1](stage, chance):
            break
    assert wait_for(stage, [number], within_s=120) == 0
    kinds = kinds_of(stage, number)
    assert [kind for kind in kinds if kind in TERMINAL] == ["succeeded"]
    models = {name: sha256 for name, sha256 in undisturbed.items() if name.endswith((".safetensors", ".onnx"))}
    met = files_of(stage, number)
    assert {name: met.get(name) for name in models} == models
    assert set(met) == set(undisturbed)
    until(lambda: cards_of(stage, number) == 1, what="its card is there", within_s=60)


def cards_of(stage: Stage, number: int) -> int:
    """How many messages the channel has of a run."""
    return sum(str(message.get("text", "")).startswith(f"Run {number} ") for message in stage.slack.posted())
