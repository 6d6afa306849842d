"""`make chaos`: short runs on two workers and a bot, while something breaks every few seconds.

Every run must end as succeeded, once, with the weights of a run that nothing disturbed, its files complete, its card
posted once, and no process may outlive its worker. The faults are drawn with a seed, each aimed at a run that goes on;
once in the middle the log is locked for a minute. What was done and what came of it is printed as tables.

The settings are the product's own, but for a short lease and frequent checkpoints. So a run whose process was killed as
often as `LML_MAX_CRASHES` allows is not aimed at any more by a fault that counts as its own crash.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from support.chaos import TERMINAL, Stage, files_of, left_of, models_of, stage_in, submit, train_spec, wait_for
from support.faults import FAULTS, MINUTE, NOBODY

from shared.log import runs, tables
from shared.log.runs import RunState
from shared.specs import TrainSpec

SEEDS, EPOCHS = 5, 60
HIT_SHARE = 0.3


@dataclass
class Played:
    """What was done to the runs."""

    numbers: list[int]
    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Begin, break, wait, judge, print; 0 when every run is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two faults")
    parser.add_argument("--keep", action="store_true", help="leave the folder for a look")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lml-chaos-"))
    with stage_in(folder) as stage:
        ok = _play(stage, runs_wanted=asked.runs, chance=random.Random(asked.seed), every_s=asked.every)
    if asked.keep or not ok:
        print(f"The logs lie in {folder}.")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if ok else 1


def _play(stage: Stage, *, runs_wanted: int, chance: random.Random, every_s: float) -> bool:
    stage.start()
    quiet = [submit(stage, train_spec(stage, seed, epochs=EPOCHS), f"quiet-{seed}") for seed in range(SEEDS)]
    if wait_for(stage, quiet, within_s=300):
        print("The undisturbed runs did not end.")
        return False
    undisturbed = dict(enumerate(files_of(stage, number) for number in quiet))
    began = time.monotonic()
    played = Played(
        [submit(stage, train_spec(stage, index % SEEDS, epochs=EPOCHS), f"run-{index}") for index in range(runs_wanted)]
    )
    _break(stage, played, chance, every_s=every_s)
    left = wait_for(stage, played.numbers, within_s=120)
    wrong = ["some runs did not end"] if left else []
    try:
        stage.wait_for_cards(played.numbers, within_s=2.0 * runs_wanted + 30)
    except AssertionError:
        wrong.append("some cards do not show the end")
    table = [(word, fault.ends or "none", played.done[word], played.missed[word]) for word, fault in FAULTS.items()]
    print(_table(table, headers=("fault", "ends the attempt as", "done", "found nobody")))
    print(f"\n{sum(played.done.values())} faults in {time.monotonic() - began:.0f} s\n")
    found = _judged(stage, played.numbers, undisturbed)
    print(_table(sorted(found.items()), headers=("of the runs", "count")))
    print(f"\n{stage.orphans} processes outlived their worker by more than five seconds.")
    wrong += _wrong(found, runs_wanted) + (["a process outlived its worker"] if stage.orphans else [])
    print(f"\n{'Everything is as it should be.' if not wrong else 'WRONG: ' + ', '.join(wrong)}")
    return not wrong


def _break(stage: Stage, played: Played, chance: random.Random, *, every_s: float) -> None:
    """One fault after another until all runs have ended."""
    words, weights = list(FAULTS), [fault.weight for fault in FAULTS.values()]
    wanted = len(played.numbers)
    deadline = time.monotonic() + 20 * wanted + 180
    while (left := left_of(stage, played.numbers)) and time.monotonic() < deadline:
        (word,) = chance.choices(words, weights)
        if left <= wanted // 2 and not played.done[MINUTE]:
            word = MINUTE
        number = _aim(stage, played.numbers, chance, may_crash=FAULTS[word].ends != "crashed")
        said = NOBODY if number is None else FAULTS[word].act(stage, number)
        (played.missed if said else played.done)[word] += 1
        time.sleep(every_s * chance.uniform(0.5, 1.5))


def _aim(stage: Stage, numbers: list[int], chance: random.Random, *, may_crash: bool) -> int | None:
    """A run that goes on; one that may crash once more, unless the fault does not count as the run's own crash."""
    columns = tables.runs.c
    with stage.log.read() as connection:
        rows = connection.execute(
            select(columns.id, columns.crashes)
            .where(columns.id.in_(numbers), columns.state == RunState.RUNNING.value)
            .order_by(columns.id)
        ).all()
    open_to = [row.id for row in rows if may_crash or row.crashes < stage.settings.max_crashes]
    return chance.choice(open_to) if open_to else None


def _table(rows: Sequence[Sequence[object]], *, headers: Sequence[str]) -> str:
    """Rows of words and numbers, in columns."""
    lines = [tuple(map(str, line)) for line in (headers, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _judged(stage: Stage, numbers: list[int], undisturbed: dict[int, dict[str, str]]) -> Counter[str]:
    """What came of every run, in words that are counted."""
    found: Counter[str] = Counter()
    for number in numbers:
        with stage.log.read() as connection:
            run = runs.get(connection, number)
        kinds, outcomes = stage.kinds(number), stage.outcomes(number)
        seed = run.spec.seed if isinstance(run.spec, TrainSpec) else -1
        mine, theirs = files_of(stage, number), undisturbed[seed]
        found[f"state {run.state.value}"] += 1
        found["ended exactly once"] += sum(kind in TERMINAL for kind in kinds) == 1
        found["with all files"] += set(mine) == set(theirs)
        found["with the weights of an undisturbed run"] += bool(mine) and models_of(mine) == models_of(theirs)
        found["card posted once"] += stage.cards(number) == 1
        found["more than one attempt"] += run.attempts > 1
        found["attempts"] += run.attempts
        found["hit while training"] += _hit_while_training(kinds)
        found["gone on from a checkpoint"] += "resumed" in kinds
        found.update(f"attempts that ended as {outcome}" for outcome in outcomes)
    return found


def _hit_while_training(kinds: list[str]) -> bool:
    """Whether an attempt that had begun to train did not end the run."""
    trains = False
    for kind in kinds:
        trains = kind == "epoch_done" or (trains and kind != "started")
        if trains and kind == "released":
            return True
    return False


def _wrong(found: Counter[str], runs_wanted: int) -> list[str]:
    must = ("state succeeded", "ended exactly once", "with all files", "with the weights of an undisturbed run")
    wrong = [name for name in (*must, "card posted once") if found[name] != runs_wanted]
    return wrong + (["hit while training"] if found["hit while training"] < HIT_SHARE * runs_wanted else [])


if __name__ == "__main__":
    sys.exit(main())
