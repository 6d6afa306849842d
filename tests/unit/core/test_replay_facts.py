"""What is said of a run that was done again: what is the same, and what had changed since."""

from typing import Any

import pytest

from shared.specs import Device, TrainSpec
from workers.core.replay import MOST_CHANGES, Replayed, replay_facts

HERE: dict[str, Any] = {
    "lml": "0.1.0",
    "commit": "a" * 40,
    "dirty": False,
    "changes_sha256": None,
    "python": "3.11.7",
    "torch": "2.13.0",
    "cuda": None,
    "driver": None,
    "system": "Linux x86_64",
    "cpu": "EPYC",
    "cpus": 2,
    "gpus": [],
    "host": "one",
    "packages_sha256": "1" * 64,
}
PACKAGES = ("numpy==2.4.0", "torch==2.13.0", "zstandard==0.25.0")
RESULT: dict[str, Any] = {
    "environment": HERE,
    "plan": {"device": "cpu", "threads": 1, "versions": {"python": "3.11.7", "torch": "2.13.0"}},
    "headline": "accuracy",
    "metrics": {"test": {"accuracy": 0.8}},
    "intervals": {"test": {"accuracy": [0.75, 0.85]}},
}


def facts_of(
    *,
    result: dict[str, Any] | None = None,
    packages: tuple[str, ...] | None = PACKAGES,
    weights: str = "w1",
    **now: Any,
) -> dict[str, Any]:
    """The facts where the old run had this result and these packages, and the new one differs in `now`."""
    old = Replayed(41, RESULT if result is None else result, "w1", packages)
    return replay_facts(old, {**RESULT, **now}, weights_sha256=weights, packages=PACKAGES)


def changed_of(**then: Any) -> list[str]:
    """What is said to have changed since an environment that differed so."""
    changed: list[str] = facts_of(result={**RESULT, "environment": {**HERE, **then}})["changed"]
    return changed


def test_nothing_has_changed() -> None:
    """On the same machine, with the same packages and the same code, the weights are the same and nothing is named."""
    assert facts_of() == {
        "of": 41,
        "same": True,
        "weights_sha256": ["w1", "w1"],
        "metrics_same": True,
        "within_interval": True,
        "changed": [],
    }


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({"python": "3.11.4"}, ["Python 3.11.4 -> 3.11.7"]),
        ({"commit": "b" * 40}, ["code bbbbbbbbbb -> aaaaaaaaaa"]),
        ({"commit": None}, ["code (none) -> aaaaaaaaaa"]),
        ({"dirty": True, "changes_sha256": "c" * 64}, ["code that is in no commit"]),
        ({"cpu": "Xeon", "system": "Darwin arm64"}, ["CPU Xeon -> EPYC", "system Darwin arm64 -> Linux x86_64"]),
        ({"host": "two", "cpus": 64, "driver": "550.1"}, []),  # nothing that weights come out of on a CPU
    ],
)
def test_what_differs_is_named(then: dict[str, Any], said: list[str]) -> None:
    """Python, code and processor, then and now; what weights do not depend on is left out."""
    assert changed_of(**then) == said


def test_packages_are_named_by_their_weight() -> None:
    """Those that weights come out of first; one that came or went says so; a long list ends with a count."""
    assert facts_of(packages=("abc==1", "numpy==2.3.0", "torch==2.12.1", "zstandard==0.25.0"))["changed"] == [
        "torch 2.12.1 -> 2.13.0",
        "numpy 2.3.0 -> 2.4.0",
        "abc 1 -> (none)",
    ]
    many = facts_of(packages=tuple(f"p{k:02d}==1" for k in range(30)))["changed"]
    assert many[:2] == ["torch (none) -> 2.13.0", "numpy (none) -> 2.4.0"]
    assert many[MOST_CHANGES:] == ["21 more packages"]


def test_a_list_of_packages_that_is_gone_is_said() -> None:
    """Without the list, its hash still tells that something differs, and the version of torch is known."""
    assert facts_of(packages=None)["changed"] == []
    then = {**RESULT, "environment": {**HERE, "torch": "2.12.0", "packages_sha256": "2" * 64}}
    assert facts_of(result=then, packages=None)["changed"] == ["torch 2.12.0 -> 2.13.0", "packages, whose list is gone"]


def test_a_run_of_an_earlier_version_tells_what_its_plan_does() -> None:
    """Before environments were written down, the plan named torch and Python."""
    old = {key: value for key, value in RESULT.items() if key != "environment"}
    old["plan"] = {**RESULT["plan"], "versions": {"python": "3.10.1", "torch": "2.13.0"}}
    assert facts_of(result=old, packages=None)["changed"] == ["Python 3.10.1 -> 3.11.7"]


def test_another_device_is_named_with_its_gpu() -> None:
    """What trained on a GPU and is done again on a CPU differs in device, GPU, CUDA and driver."""
    gpu = {**HERE, "gpus": ["H100"], "cuda": "12.8", "driver": "570.1"}
    old = {**RESULT, "environment": gpu, "plan": {**RESULT["plan"], "device": "cuda", "threads": 4}}
    assert facts_of(result=old)["changed"] == [
        "device cuda -> cpu",
        "threads 4 -> 1",
        "GPU H100 -> (none)",
        "CUDA 12.8 -> (none)",
        "driver 570.1 -> (none)",
    ]


@pytest.mark.parametrize(("reached", "within"), [(0.8, True), (0.75, True), (0.86, False), (None, False)])
def test_metrics_are_held_against_the_old_interval(reached: float | None, within: bool) -> None:
    """Other weights with a headline metric inside the old interval are called so, its ends included."""
    facts = facts_of(weights="w2", metrics={"test": {"accuracy": reached}})
    assert (facts["same"], facts["metrics_same"], facts["within_interval"]) == (False, reached == 0.8, within)


def test_without_an_interval_the_same_number_is_within() -> None:
    """A run too small for an interval is held to the number itself."""
    old = {**RESULT, "intervals": None}
    assert facts_of(result=old)["within_interval"] is True
    assert facts_of(result=old, metrics={"test": {"accuracy": 0.81}})["within_interval"] is False


def test_what_a_cpu_trained_is_done_again_on_one() -> None:
    """A worker with a GPU does not take it for a plan of the CPU; a plan of a GPU takes what there is."""
    old, spec = Replayed(41, RESULT, "w1", None), TrainSpec(dataset="data")
    assert old.asked_as_then(spec).device is Device.CPU
    on_gpu = Replayed(41, {**RESULT, "plan": {**RESULT["plan"], "device": "cuda"}}, "w1", None)
    assert on_gpu.asked_as_then(spec) == spec
