"""`make chaos`: short runs on two workers and a bot, while something breaks every few seconds.

Every run must end as succeeded, once, with the weights of a run that nothing disturbed, its files complete, its card
posted once. The faults are drawn with a seed; what was done and what came of it is printed as a table.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select
from support.chaos import FAULTS, LEASE_S, Stage, files_of, left_of, submit, wait_for, write_table
from support.fake_slack import FakeSlack
from tabulate import tabulate

from bot.terminal.redis_server import start_redis
from shared.log import runs, tables
from shared.log.engine import open_log
from shared.settings import Settings
from shared.specs import TrainSpec

SEEDS = 5
TERMINAL = ("succeeded", "failed", "cancelled")


def judged(stage: Stage, numbers: list[int], undisturbed: dict[int, dict[str, str]]) -> Counter[str]:
    """What came of every run, in words that are counted."""
    found: Counter[str] = Counter()
    cards = Counter(str(message.get("text", "")).split(" · ")[0].strip("*") for message in stage.slack.posted())
    for number in numbers:
        with stage.log.read() as connection:
            run = runs.get(connection, number)
            kinds = [event.kind for _, event in runs.events_after(connection, number)]
        seed = run.spec.seed if isinstance(run.spec, TrainSpec) else -1
        mine, theirs = files_of(stage, number), undisturbed[seed]
        found[f"state {run.state.value}"] += 1
        found["ended exactly once"] += sum(kind in TERMINAL for kind in kinds) == 1
        found["with all files"] += set(mine) == set(theirs)
        found["with the weights of an undisturbed run"] += bool(mine) and all(
            mine[name] == sha256 for name, sha256 in theirs.items() if name.endswith((".safetensors", ".onnx"))
        )
        found["card posted once"] += cards[f"Run {number}"] == 1
        found["more than one attempt"] += run.attempts > 1
        found["attempts"] += run.attempts
        found["hit while training"] += _hit_while_training(kinds)
        found["gone on from a checkpoint"] += "resumed" in kinds
    return found


def _hit_while_training(kinds: list[str]) -> bool:
    """Whether an attempt that had begun to train did not end the run."""
    trains = False
    for kind in kinds:
        trains = kind == "epoch_done" or (trains and kind != "started")
        if trains and kind == "released":
            return True
    return False


def main() -> int:
    """Begin, break, wait, judge, print; 0 when every run is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two faults")
    parser.add_argument("--keep", action="store_true", help="leave the folder for a look")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lml-chaos-"))
    with FakeSlack() as slack:
        redis, redis_url = start_redis(folder / "redis", folder / "redis.log")
        settings = Settings(home=folder / "home", redis_url=redis_url, lease_s=LEASE_S, team_id="T0TEAM")  # type: ignore[arg-type]
        stage = Stage(folder, settings, open_log(settings.log_url), slack, redis, redis_url)
        try:
            ok = _play(stage, runs_wanted=asked.runs, chance=random.Random(asked.seed), every_s=asked.every)
        finally:
            for worker in stage.workers:
                worker.child.stop(grace_s=5)
            for child in (stage.bot, stage.redis):
                if child is not None:
                    child.stop(grace_s=5)
    if asked.keep or not ok:
        print(f"The logs lie in {folder}.")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if ok else 1


def _play(stage: Stage, *, runs_wanted: int, chance: random.Random, every_s: float) -> bool:
    dataset = stage.folder / "table.csv"
    write_table(dataset)
    for index in range(2):
        stage.start_worker(index)
    stage.start_bot()
    for worker in stage.workers:
        worker.wait_until_ready()
    quiet = [submit(stage, dataset, seed, f"quiet-{seed}") for seed in range(SEEDS)]
    if wait_for(stage, quiet, within_s=300):
        print("The undisturbed runs did not end.")
        return False
    undisturbed = dict(enumerate(files_of(stage, number) for number in quiet))
    began = time.monotonic()
    numbers = [submit(stage, dataset, index % SEEDS, f"run-{index}") for index in range(runs_wanted)]
    done: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    words, weights = list(FAULTS), [weight for weight, _ in FAULTS.values()]
    while left_of(stage, numbers) and time.monotonic() - began < 20 * runs_wanted + 120:
        (word,) = chance.choices(words, weights)
        said = FAULTS[word][1](stage, chance)
        (missed if said else done)[word] += 1
        time.sleep(every_s * chance.uniform(0.5, 1.5))
    left = wait_for(stage, numbers, within_s=120)
    _wait_for_cards(stage, numbers)
    print(tabulate([(word, done[word], missed[word]) for word in words], headers=("fault", "done", "found nobody")))
    print(f"\n{sum(done.values())} faults in {time.monotonic() - began:.0f} s\n")
    found = judged(stage, numbers, undisturbed)
    print(tabulate(sorted(found.items()), headers=("of the runs", "count")))
    must = ("state succeeded", "ended exactly once", "with all files", "with the weights of an undisturbed run")
    wrong = [name for name in (*must, "card posted once") if found[name] != runs_wanted]
    if found["hit while training"] < 0.3 * runs_wanted:
        wrong.append("hit while training")
    print(f"\n{'Everything is as it should be.' if not wrong and not left else 'WRONG: ' + ', '.join(wrong)}")
    return not wrong and not left


def _wait_for_cards(stage: Stage, numbers: list[int]) -> None:
    """Give the bot time to show every end: it may post one message a second in a channel."""
    deadline = time.monotonic() + 2.0 * len(numbers) + 30
    cards: Any = tables.cards.c
    while time.monotonic() < deadline:
        with stage.log.read() as connection:
            behind = connection.execute(
                select(cards.run_id)
                .join(tables.runs, tables.runs.c.id == cards.run_id)
                .where(cards.shown_event < tables.runs.c.last_event)
            ).first()
        if behind is None:
            return
        time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
