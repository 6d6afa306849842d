"""What several seeds reach together, against the same arithmetic by hand."""

import json
import math
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from scipy.stats import t

from shared.errors import Problem, RunFailed
from workers.core.seeds import SeedRun, gather, interval, standard_deviation, summary

AREAS = (0.90, 0.92, 0.94)
ROWS = ([0.88, 0.93], [0.90, 0.95], [0.91, 0.96])


def report(area: float | None, ends: list[float] | None, *, validation: float = 0.3, **more: Any) -> dict[str, Any]:
    """The report of a run with this area under the curve on its test rows."""
    return {
        "kind": "train",
        "model": "mlp",
        "headline": "roc_auc",
        "chosen_by": "log_loss",
        "metrics": {
            "test": {"roc_auc": area, "log_loss": 0.4},
            "validation": {"roc_auc": 0.9, "log_loss": validation},
            "baseline": {"roc_auc": 0.5},
        },
        "intervals": {"test": {"roc_auc": ends, "log_loss": [0.3, 0.6]}},
        "warnings": ["`id` was left out."],
        "timing_s": {"train": 2.0},
        "parameters": 7,
        **more,
    }


def seeds_of(*reports: dict[str, Any] | None, problem: Problem | None = None) -> list[SeedRun]:
    """A run for each seed from 3 on; one without a report failed with the problem, or was cancelled."""
    lost = "cancelled" if problem is None else "failed"
    return [
        SeedRun(40 + k, 3 + k, "succeeded" if told else lost, told, None if told else problem)
        for k, told in enumerate(reports)
    ]


def gathered(seeds: list[SeedRun], out: Path, **more: Any) -> dict[str, Any]:
    """The report, and which run's files were asked for, under `laid_out`."""
    laid_out: list[int] = []
    found = gather(seeds, out=out, lay_out=laid_out.append, **more)
    assert json.loads((out / "report.json").read_text()) == found
    return {**found, "laid_out": laid_out}


def test_the_numbers_are_those_of_hand_and_scipy() -> None:
    """Mean, standard deviation with n - 1, and Student's interval together with that of the rows, each end alone."""
    found = summary([report(area, ends) for area, ends in zip(AREAS, ROWS, strict=True)])
    assert found["metrics"]["test"]["roc_auc"] == pytest.approx(mean(AREAS))
    assert found["sd"]["test"]["roc_auc"] == pytest.approx(stdev(AREAS))
    half = t.ppf(0.975, 2) * stdev(AREAS) / math.sqrt(3)
    below = mean(area - ends[0] for area, ends in zip(AREAS, ROWS, strict=True))
    above = mean(ends[1] - area for area, ends in zip(AREAS, ROWS, strict=True))
    low, high = found["intervals"]["test"]["roc_auc"]
    assert low == pytest.approx(0.92 - math.hypot(half, below))
    assert high == pytest.approx(0.92 + math.hypot(half, above))
    assert found["sd"]["baseline"] == {"roc_auc": 0.0}
    assert set(found["intervals"]) == {"test"}


def test_more_seeds_do_not_shrink_the_chance_in_the_rows() -> None:
    """Of seeds that all reach the same, the interval is that of the rows, however many there are."""
    for count in (2, 20):
        assert interval([0.9] * count, [[0.85, 0.93]] * count, name="f1") == pytest.approx([0.85, 0.93])


@pytest.mark.parametrize(
    ("name", "values", "rows", "expected"),
    [
        ("roc_auc", [0.5, 0.99], [[0.4, 0.6], [0.98, 1.0]], [0.0, 1.0]),
        ("rmse", [1.0, 9.0], [[0.9, 1.1], [8.0, 10.0]], [0.0, None]),
        ("r2", [0.2, 0.9], [[0.1, 0.3], [0.8, 0.95]], [None, 1.0]),
    ],
)
def test_no_interval_leaves_the_range_of_its_score(
    name: str, values: list[float], rows: list[list[float]], expected: list[float | None]
) -> None:
    """A share stays between 0 and 1, an error above 0, R2 below 1."""
    found = interval(values, rows, name=name)
    assert found is not None
    for end, bound in zip(found, expected, strict=True):
        assert bound is None or end == bound


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    """One value has no spread; without any interval of rows there is none; a seed whose rows give none still counts."""
    assert standard_deviation([0.9]) is None
    assert interval([0.9, None], [[0.8, 0.95], None], name="f1") is None
    assert interval([0.9, 0.9], [None, None], name="f1") is None
    assert interval([1.0, 1.0], [None, [0.9, 1.0]], name="f1") == pytest.approx([0.9, 1.0])
    assert summary([report(None, None), report(None, None)])["metrics"]["test"]["roc_auc"] is None


def test_the_files_are_those_of_the_best_on_validation(tmp_path: Path) -> None:
    """By what candidates are chosen by, a loss here, and never by the test rows; the first of equal ones."""
    told = [report(0.99, [0.9, 1.0], validation=0.5), report(0.7, [0.6, 0.8], validation=0.2, verdict="Healthy.")]
    told.append(report(0.8, [0.7, 0.9], validation=0.2))
    found = gathered(seeds_of(*told), tmp_path)
    assert found["laid_out"] == [41]
    assert found["kept"] == {"seed": 4, "run": 41, "by": "log_loss", "validation": 0.2}
    assert found["verdict"] == "Seed 4: Healthy."
    assert [one["seed"] for one in found["seeds"]] == [3, 4, 5]
    assert found["seeds"][0]["score"] == 0.99
    assert found["timing_s"] == {"train": 6.0}
    assert found["warnings"] == ["`id` was left out."]


def test_a_seed_that_failed_is_said_and_the_others_count(tmp_path: Path) -> None:
    """The mean is that of two; a sentence names the third with its reason."""
    problem = Problem("training_diverged", "The loss is no number.", "Lower lr.")
    found = gathered(seeds_of(report(0.9, ROWS[0]), None, report(0.94, ROWS[2]), problem=problem), tmp_path)
    assert found["metrics"]["test"]["roc_auc"] == pytest.approx(0.92)
    assert found["warnings"][0] == "2 of 3 seeds count. Seed 4 (run 41): Failed: The loss is no number."
    assert [one["problem"] for one in found["seeds"]] == [None, "training_diverged", None]


def test_fewer_than_two_fail_with_every_reason(tmp_path: Path) -> None:
    """One problem that names each seed's reason, the same reasons together, and writes nothing."""
    problem = Problem("training_diverged", "The loss is no number.", "Lower lr.")
    lost = seeds_of(report(0.9, ROWS[0]), None, None, problem=problem)
    with pytest.raises(RunFailed) as met:
        gathered([*lost, SeedRun(43, 6, "cancelled")], tmp_path)
    assert met.value.problems == (
        Problem(
            "seeds_failed",
            "A mean over seeds needs 2 that succeeded; 1 of 4 did. "
            "Seed 4 (run 41), 5 (run 42): Failed: The loss is no number. Seed 6 (run 43): Cancelled.",
            "Lower lr.",
        ),
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("second", "same"), [(True, True), (False, False), (None, False)])
def test_a_replay_is_the_same_where_all_seeds_are(tmp_path: Path, second: bool | None, same: bool) -> None:
    """One seed that came out differently, or ended badly now, is enough for it not to be."""
    facts = {"same": True, "changed": ["torch 1 -> 2"]}
    told = [report(area, ends, replay=facts) for area, ends in zip(AREAS, ROWS, strict=True)]
    old = gathered(seeds_of(*told), tmp_path)
    again = [told[0], None if second is None else {**told[1], "replay": {"same": second, "changed": []}}, told[2]]
    found = gathered(seeds_of(*again), tmp_path, replays=(39, old))["replay"]
    assert (found["of"], found["same"], found["changed"]) == (39, same, ["torch 1 -> 2"])
    assert found["metrics_same"] is (second is not None)
    assert [one["of"] for one in found["seeds"]] == [40, 41, 42]
