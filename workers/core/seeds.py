"""What several seeds of one training reach together: mean, standard deviation and interval of every score.

The seeds are trained on the same rows and tested on the same rows. So a score is off for two reasons, and its interval
holds both. Chance in the training: the seeds differ, and the mean of `n` of them is off by Student's
`t * sd / sqrt(n)`. Chance in the test rows: all seeds share it, and no number of seeds makes it smaller; it is as large
as in the seeds' own intervals, on average. The two are independent, so each end lies
`sqrt(seeds^2 + rows^2)` from the mean (Zou & Donner 2008 put intervals together in this way, each end by itself), and
never beyond what the score can be.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from shared.errors import Problem, RunFailed
from shared.metric_names import LOWER_IS_BETTER
from workers.core.report import put_report

LEVEL = 0.95
LEAST = 2
"""One seed has no spread."""
_SUMMED = ("gpu_seconds", "gpu_energy_j")
_RANGES = {
    **dict.fromkeys(("accuracy", "precision", "recall", "f1", "roc_auc", "coverage"), (0.0, 1.0)),
    **dict.fromkeys(("log_loss", "rmse", "mse", "mae", "huber", "pinball"), (0.0, np.inf)),
    "r2": (-np.inf, 1.0),
}
_OF_ONE = ("verdict", "choice")
"""Sentences of a report that are about one model."""


@dataclass(frozen=True)
class SeedRun:
    """The run of a seed as it ended."""

    run: int
    seed: int
    state: str
    report: Mapping[str, Any] | None = None
    """Of one that succeeded."""
    problem: Problem | None = None
    """Of one that failed."""


def gather(
    seeds: Sequence[SeedRun],
    *,
    out: Path,
    lay_out: Callable[[int], None],
    replays: tuple[int, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The report of the run that `seeds` belong to, written into `out` beside the files of one of them.

    That one is the best on the validation rows, never on the test rows; `lay_out` puts the files of a run into `out`.
    `replays` is the run that is done again, with its report. Raises RunFailed `seeds_failed` when fewer than two
    succeeded.
    """
    told = [(seed, seed.report) for seed in seeds if seed.report is not None]
    if len(told) < LEAST:
        raise RunFailed(_too_few(seeds, len(told)))
    kept, report = _best(told)
    lay_out(kept.run)
    reports = [one for _, one in told]
    facts = {
        **report,
        **summary(reports),
        **{name: f"Seed {kept.seed}: {report[name]}" for name in _OF_ONE if report.get(name)},
        "seeds": [_entry(seed) for seed in seeds],
        "kept": {"seed": kept.seed, "run": kept.run, "by": _judge(report), "validation": _validation(report)},
        "warnings": [*_said_of_lost(seeds), *_in_any(reports, "warnings")],
        "timing_s": _summed(one.get("timing_s") or {} for one in reports),
        **{name: value for name, value in _summed(reports).items() if name in _SUMMED},
    }
    facts.pop("replay", None)
    if replays is not None:
        facts["replay"] = _replayed(*replays, seeds, facts)
    return put_report(out, facts)


def summary(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`metrics` (the means), `sd` and `intervals` of the reports of runs that differ in their seed only, by part.

    There is an interval where the runs have one, which is on the test rows. None where no run has the number.
    """
    names = {
        part: dict.fromkeys(name for one in reports for name in one["metrics"].get(part) or {})
        for part in dict.fromkeys(part for one in reports for part in one["metrics"])
    }
    found: dict[str, dict[str, dict[str, Any]]] = {"metrics": {}, "sd": {}, "intervals": {}}
    for part, listed in names.items():
        values = {name: [(one["metrics"].get(part) or {}).get(name) for one in reports] for name in listed}
        known = {name: [value for value in some if value is not None] for name, some in values.items()}
        found["metrics"][part] = {name: float(np.mean(some)) if some else None for name, some in known.items()}
        found["sd"][part] = {name: standard_deviation(some) for name, some in known.items()}
        rows = [(one.get("intervals") or {}).get(part) or {} for one in reports]
        if any(rows):
            found["intervals"][part] = {
                name: interval(some, [one.get(name) for one in rows], name=name) for name, some in values.items()
            }
    return found


def standard_deviation(values: Sequence[float]) -> float | None:
    """Over seeds; None of fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) >= LEAST else None


def interval(
    values: Sequence[float | None], of_rows: Sequence[Sequence[float] | None], *, name: str
) -> list[float] | None:
    """The 95 % interval of the mean of `values`, one for each seed, each with the interval that its test rows give it.

    A seed whose rows give it none (all were right, for example) counts with its value only. None where no seed's rows
    do, or fewer than two have a value.

    >>> [round(end, 4) for end in interval([0.90, 0.92], [[0.88, 0.92], [0.90, 0.94]], name="roc_auc")]
    [0.7814, 1.0]
    >>> [round(end, 4) for end in interval([0.91, 0.91], [[0.88, 0.93], [0.88, 0.93]], name="roc_auc")]
    [0.88, 0.93]
    """
    known = [value for value in values if value is not None]
    away = [
        (max(0.0, value - ends[0]), max(0.0, ends[1] - value))
        for value, ends in zip(values, of_rows, strict=True)
        if value is not None and ends is not None and None not in ends
    ]
    sd = standard_deviation(known)
    if sd is None or not away:
        return None
    seeds = float(student.ppf((1 + LEVEL) / 2, len(known) - 1)) * sd / len(known) ** 0.5
    below, above = (float(np.hypot(seeds, np.mean(side))) for side in zip(*away, strict=True))
    mean, (least, most) = float(np.mean(known)), _RANGES.get(name, (-np.inf, np.inf))
    return [float(max(mean - below, least)), float(min(mean + above, most))]


def _best(told: Sequence[tuple[SeedRun, Mapping[str, Any]]]) -> tuple[SeedRun, Mapping[str, Any]]:
    """The first of those that reached most on the validation rows, by what candidates are chosen by."""

    def key(one: tuple[SeedRun, Mapping[str, Any]]) -> float:
        reached = _validation(one[1])
        if reached is None:
            return -np.inf
        return -reached if _judge(one[1]) in LOWER_IS_BETTER else reached

    return max(told, key=key)  # of equal ones the first


def _judge(report: Mapping[str, Any]) -> str:
    chosen_by = str(report.get("chosen_by"))
    return chosen_by if (report["metrics"].get("validation") or {}).get(chosen_by) is not None else report["headline"]


def _validation(report: Mapping[str, Any]) -> float | None:
    value: float | None = (report["metrics"].get("validation") or {}).get(_judge(report))
    return value


def _entry(seed: SeedRun) -> dict[str, Any]:
    report = seed.report or {}
    return {
        "seed": seed.seed,
        "run": seed.run,
        "state": seed.state,
        "model": report.get("model"),
        "score": ((report.get("metrics") or {}).get("test") or {}).get(report.get("headline")),
        "metrics": report.get("metrics") or {},
        "train_s": (report.get("timing_s") or {}).get("train"),
        "parameters": report.get("parameters"),
        "problem": None if seed.problem is None else seed.problem.code,
    }


def _said_of_lost(seeds: Sequence[SeedRun]) -> list[str]:
    """A sentence where not all seeds count."""
    lost = [seed for seed in seeds if seed.report is None]
    if not lost:
        return []
    return [f"{len(seeds) - len(lost)} of {len(seeds)} seeds count. {' '.join(_reasons(lost))}"]


def _too_few(seeds: Sequence[SeedRun], succeeded: int) -> Problem:
    lost = [seed for seed in seeds if seed.report is None]
    return Problem(
        code="seeds_failed",
        message=f"A mean over seeds needs {LEAST} that succeeded; {succeeded} of {len(seeds)} did. "
        + " ".join(_reasons(lost)),
        hint=" ".join(dict.fromkeys(seed.problem.hint for seed in lost if seed.problem and seed.problem.hint))
        or "`retry` does all of them again.",
    )


def _reasons(lost: Iterable[SeedRun]) -> list[str]:
    """Why seeds do not count, those with the same reason together."""
    why: defaultdict[str, list[SeedRun]] = defaultdict(list)
    for seed in lost:
        why[f"Failed: {seed.problem.message}" if seed.problem else f"{seed.state.capitalize()}."].append(seed)
    return [f"Seed {', '.join(f'{one.seed} (run {one.run})' for one in some)}: {text}" for text, some in why.items()]


def _in_any(reports: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(text for one in reports for text in one.get(name) or ()))


def _summed(of: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for one in of:
        for name, value in one.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                total[name] += value
    return {name: round(value, 3) for name, value in total.items()}


def _replayed(
    number: int, old: Mapping[str, Any], seeds: Sequence[SeedRun], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """What stands under `replay`: it is the same where each seed that had succeeded then is."""
    again = {seed.seed: (seed.report or {}).get("replay") or {} for seed in seeds if seed.report is not None}
    before = {one["seed"]: one["run"] for one in old.get("seeds") or () if one["state"] == "succeeded"}
    of_each = [
        {"seed": seed.seed, "run": seed.run, "of": before.get(seed.seed), "same": again.get(seed.seed, {}).get("same")}
        for seed in seeds
    ]
    same = set(again) == set(before) and all(one.get("same") for one in again.values())
    ends = ((old.get("intervals") or {}).get("test") or {}).get(facts["headline"])
    reached = facts["metrics"]["test"].get(facts["headline"])
    within = ends is not None and None not in (*ends, reached) and ends[0] <= reached <= ends[1]
    return {
        "of": number,
        "same": same,
        "metrics_same": old.get("metrics") == facts["metrics"],
        "within_interval": within or same,
        "changed": list(dict.fromkeys(text for one in again.values() for text in one.get("changed") or ())),
        "seeds": of_each,
    }
