"""Whether a run that was done again came out the same, and what had changed since, in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.specs import Device, TrainSpec

WEIGHTS = "weights.safetensors"
MOST_CHANGES = 12
_FIRST = ("lml", "torch", "lightgbm", "numpy", "scipy", "scikit-learn", "polars", "onnx", "onnxruntime")
"""Packages that weights and metrics come out of; they are named before others."""
_COMMIT_DIGITS = 10


@dataclass(frozen=True)
class Replayed:
    """The train run that is done again, as the log holds it."""

    run: int
    result: Mapping[str, Any]
    weights_sha256: str | None
    """Of its file of weights; None where it left none."""
    packages: Sequence[str] | None
    """As its `environment.json` lists them; None where that is gone, or was never written."""

    @property
    def plan(self) -> Mapping[str, Any]:
        """What it did, with every default resolved."""
        plan: Mapping[str, Any] = self.result["plan"]
        return plan

    def asked_as_then(self, spec: TrainSpec) -> TrainSpec:
        """The spec, on the CPU where that run had none but it."""
        return spec.model_copy(update={"device": Device.CPU}) if self.plan["device"] == "cpu" else spec


def replay_facts(
    old: Replayed, result: Mapping[str, Any], *, weights_sha256: str, packages: Sequence[str]
) -> dict[str, Any]:
    """What stands under `replay` in the result of the run that did `old` again.

    `same` says that the weights are equal, bit for bit; `within_interval` whether the headline metric lies in the 95 %
    interval that `old` had for its test rows.
    """
    return {
        "of": old.run,
        "same": old.weights_sha256 == weights_sha256,
        "weights_sha256": [old.weights_sha256, weights_sha256],
        "metrics_same": old.result.get("metrics") == result["metrics"],
        "within_interval": _is_within(old.result, result),
        "changed": list(changes(old.result, result, packages=(old.packages, packages))),
    }


def changes(
    old: Mapping[str, Any], new: Mapping[str, Any], *, packages: tuple[Sequence[str] | None, Sequence[str]]
) -> Iterable[str]:
    """What two runs' results, and their packages, differ in: one short text for each."""
    then, now = old.get("environment") or _of_plan(old["plan"]), new["environment"]
    yield from _package_changes(*packages, then, now)
    yield from _told("Python", then.get("python"), now["python"])
    yield from _code_changes(then, now)
    yield from _told("device", old["plan"].get("device"), new["plan"]["device"])
    yield from _told("threads", old["plan"].get("threads"), new["plan"]["threads"])
    yield from _told("CPU", then.get("cpu"), now["cpu"])
    yield from _told("system", then.get("system"), now["system"])
    if "cuda" in (old["plan"].get("device"), new["plan"]["device"]):
        yield from _told("GPU", _names(then.get("gpus")), _names(now["gpus"]))
        yield from _told("CUDA", then.get("cuda"), now["cuda"])
        yield from _told("driver", then.get("driver"), now["driver"])


def _of_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a run of an earlier version, as far as its plan tells."""
    return {"python": plan.get("versions", {}).get("python"), "torch": plan.get("versions", {}).get("torch")}


def _package_changes(
    old: Sequence[str] | None, new: Sequence[str], then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterable[str]:
    if old is None:
        yield from _told("torch", then.get("torch"), now["torch"])
        known = then.get("packages_sha256")
        if known is not None and known != now["packages_sha256"]:
            yield "packages, whose list is gone"
        return
    before, after = (dict(package.split("==", 1) for package in listed) for listed in (old, new))
    names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    names.sort(key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    for name in names[:MOST_CHANGES]:
        yield f"{name} {before.get(name, '(none)')} -> {after.get(name, '(none)')}"
    if len(names) > MOST_CHANGES:
        yield f"{len(names) - MOST_CHANGES} more packages"


def _code_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    if "commit" not in then:
        return
    yield from _told("code", _commit(then["commit"]), _commit(now["commit"]))
    if then.get("changes_sha256") != now["changes_sha256"]:
        yield "code that is in no commit"


def _commit(commit: str | None) -> str | None:
    return commit and commit[:_COMMIT_DIGITS]


def _names(gpus: Sequence[str] | None) -> str | None:
    return " and ".join(gpus) if gpus else None


def _told(what: str, then: object, now: object) -> Iterable[str]:
    """Nothing where both are the same, or where it was not written down then."""
    if then != now and (then is not None or what in ("GPU", "CUDA", "driver", "code")):
        yield f"{what} {then or '(none)'} -> {now or '(none)'}"


def _is_within(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the new headline metric lies in the old interval; the same number does where there is none."""
    headline = old.get("headline")
    before, after = ((result.get("metrics") or {}).get("test", {}).get(headline) for result in (old, new))
    interval = ((old.get("intervals") or {}).get("test") or {}).get(headline)
    if interval is None or after is None:
        return bool(before == after)
    low, high = interval
    return bool(low <= after <= high or before == after)
