"""The candidates of a run: the model asked for, or several inside one time budget, and what is kept of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from shared.errors import Problem, RunFailed
from shared.specs import LossName, ModelName, Norm, TrainSpec
from workers.core.blend import Choice, choose
from workers.core.checkpoints import Part
from workers.core.loop import Data
from workers.core.memory import memory_needed_by
from workers.core.models import MODELS
from workers.core.models.candidate import Candidate, Followed
from workers.core.progress import Clock, Progress

# In the order in which they are tried: cheap ones first, so that a short time still gives a model.
CPU_CANDIDATES = (ModelName.LINEAR, ModelName.GBDT, ModelName.MLP_PLE, ModelName.MLP)
GPU_CANDIDATES = (ModelName.LINEAR, ModelName.GBDT, ModelName.TABM, ModelName.MLP_PLE)
NETWORKS = (ModelName.MLP, ModelName.MLP_PLE, ModelName.TABM)

# Networks learn all folds at once up to here, else the first one alone: on a CPU each fold costs the same again.
FOLDED_ROWS, GPU_FOLDED_ROWS = 8_000, 50_000
LINEAR_ROWS = 100_000
# Of the time that is left, the share that a candidate may take while others wait.
SHARES = {ModelName.LINEAR: 0.3, ModelName.GBDT: 0.6}
LEAST_S, MOST_S = 8.0, 600.0
LEAST_CELLS = 200_000

# What speaks of epochs, layers or steps is for networks, when nothing but `auto` was asked for.
_OF_NETWORKS = ("epochs", "lr", "batch", "optimizer", "momentum", "nesterov", "schedule", "warmup", "restarts", "clip",
                "patience", "depth", "width", "activation", "dropout", "norm", "smoothing")  # fmt: skip
_OF_PENALTIES = ("l1", "l2")

_CLOCK = "clock"  # the name under which checkpoints keep the time that all candidates took


@dataclass
class Fitted:
    """The candidates, and what was decided about them."""

    candidates: dict[ModelName, Candidate]
    seconds: dict[ModelName, float]
    choice: Choice
    plan: dict[str, Any]
    """For each candidate: its own plan, and the questions that its clock answered with yes."""
    notes: list[str] = field(default_factory=list)


def default_time_s(cells: int, classes: int) -> float:
    """The time budget for a table of so many cells, when none was asked for; more classes take longer."""
    cells = cells * max(2, classes) // 2
    return round(min(MOST_S, LEAST_S * float(max(1.0, cells / LEAST_CELLS) ** 0.7)), 1)


def fit_candidates(
    data: Data, spec: TrainSpec, *, progress: Progress, time_s: float, threads: int, follow: Mapping[str, Any] | None
) -> Fitted:
    """Fit what `spec` asks for inside the time, and choose; with `follow`, the plan of an earlier run, its candidates
    are fitted as they were there and as far as they were, and blended so, and the clock counts for nothing.

    Raises RunFailed with every problem when no candidate could be fitted, or not all that the plan blends; RunStopped.
    """
    plans = None if follow is None else follow["candidates"]
    wanted = _wanted(data, spec, plans)
    whole = Clock(time_s)
    if (kept := progress.kept(_CLOCK)) is not None:
        whole.go_on(kept.plain["clock"])
    progress.keep(_CLOCK, lambda: Part(plain={"clock": whole.mark()}))
    fitted, seconds, plan = dict[ModelName, Candidate](), dict[ModelName, float](), dict[str, Any]()
    notes, problems = _left_out(spec, wanted), list[Problem]()
    for k, name in enumerate(wanted):
        progress.check_now_and_then()
        left = time_s - whole.seconds()
        kept = progress.kept(name)
        if fitted and left <= 0 and follow is None and kept is None:
            notes.append(f"The time was over before `{name.value}` could be trained; give more with time=...")
            continue
        share = SHARES.get(name, 0.6) if k < len(wanted) - 1 else 1.0
        told = None if plans is None else plans[name.value]
        clock = Clock(left * share, follow=None if told is None else told["clock"])
        try:
            if kept is not None and "failed" in kept.plain:
                raise RunFailed(*(Problem(**problem) for problem in kept.plain["failed"]))
            learnt, words = _folded(data, name, told, alone=len(wanted) == 1), _words_for(spec, name)
            with memory_needed_by(f"`{name.value}`"):
                candidate = MODELS[name](learnt, words, progress=progress, clock=clock, threads=threads, follow=told)
        except RunFailed as error:  # another candidate may do better
            problems += error.problems
            notes.append(f"`{name.value}` could not be trained: {error}")
            progress.keep(name, Part(plain={"failed": [asdict(problem) for problem in error.problems]}))
            continue
        fitted[name], seconds[name] = candidate, clock.seconds()
        facts = {**data.objective.as_plain(), "folds": len(learnt.folds), "threads": threads}
        plan[name.value] = {**facts, **candidate.plan, "clock": clock.over_at}
        notes += _notes(candidate) + _passed_over(spec, words, name)
    needed = set() if follow is None else {ModelName(name) for name in follow["weights"]}
    if not fitted or not needed <= set(fitted):
        raise RunFailed(*problems)
    choice = choose(
        {name: candidate.outputs for name, candidate in fitted.items()}, data.y.cpu().numpy(), data.objective
    )
    return Fitted(fitted, seconds, choice if follow is None else _followed(choice, fitted, follow), plan, notes)


def blended_outputs(fitted: Fitted) -> np.ndarray:
    """What the kept candidates say together of rows that had not taught them, before the temperature: [rows, O]."""
    weighted = [weight * fitted.candidates[name].outputs for name, weight in fitted.choice.weights.items()]
    return np.asarray(sum(weighted), dtype=np.float32)


def _wanted(data: Data, spec: TrainSpec, follow: Mapping[str, Any] | None) -> Sequence[ModelName]:
    if follow is not None:
        return [ModelName(name) for name in follow]
    if spec.model is not ModelName.AUTO:
        return [spec.model]
    candidates = GPU_CANDIDATES if data.x.is_cuda else CPU_CANDIDATES
    return [name for name in candidates if name is not ModelName.GBDT or data.objective.name is not LossName.FOCAL]


def _folded(data: Data, name: ModelName, told: Followed, *, alone: bool) -> Data:
    """The data with all of its folds, or with the first one for a network that could not afford them; a linear model
    that does not stand `alone` learns from a sample, since more rows would hardly move its few weights.
    """
    if name is ModelName.LINEAR and not alone:
        step = -(-len(data.x) // LINEAR_ROWS)
        return replace(data, folds=tuple(replace(fold, train=fold.train[::step]) for fold in data.folds))
    if told is not None:
        return replace(data, folds=data.folds[: told["folds"]])
    most = GPU_FOLDED_ROWS if data.x.is_cuda else FOLDED_ROWS
    return replace(data, folds=data.folds[:1]) if name in NETWORKS and len(data.x) > most else data


def _words_for(spec: TrainSpec, name: ModelName) -> TrainSpec:
    """What a candidate of `auto` takes of the words."""
    if spec.model is not ModelName.AUTO or name in NETWORKS:
        return spec
    passed_over = _OF_NETWORKS if name is ModelName.LINEAR else _OF_NETWORKS + _OF_PENALTIES
    return spec.model_copy(update={word: TrainSpec.model_fields[word].default for word in passed_over})


def _left_out(spec: TrainSpec, wanted: Sequence[ModelName]) -> list[str]:
    """The candidate that `auto` would have tried with another loss."""
    if spec.model is not ModelName.AUTO or ModelName.GBDT in wanted or spec.loss is not LossName.FOCAL:
        return []
    return ["`gbdt` was left out, for it trains with every loss but focal; say loss=cross_entropy to have it tried."]


def _passed_over(spec: TrainSpec, words: TrainSpec, name: ModelName) -> list[str]:
    """What a person asked for that does not concern a candidate of `auto`."""
    met = [
        f"{word}={_typed(asked)}"
        for word, asked in ((word, getattr(spec, word)) for word in (*_OF_NETWORKS, *_OF_PENALTIES))
        if asked != getattr(words, word) and asked is not False and asked is not Norm.NONE
    ]
    if not met:
        return []
    whose = "steps and layers" if name is ModelName.LINEAR else "steps, layers and penalties"
    return [
        f"In `auto`, words of {whose} do not concern `{name.value}`; it was trained without {' '.join(met)}. "
        "With model=mlp they rule the whole run."
    ]


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _followed(choice: Choice, fitted: Mapping[ModelName, Candidate], plan: Mapping[str, Any]) -> Choice:
    """The blend and the temperature of the plan. Chosen anew they would be the same, unless a default or the choice
    itself has changed since.
    """
    weights = {name: float(plan["weights"][name.value]) for name in fitted if name.value in plan["weights"]}
    same = weights == choice.weights and plan["temperature"] == choice.temperature
    sentence = choice.sentence if same else "Model: what the plan that was repeated says."
    return replace(choice, weights=weights, temperature=float(plan["temperature"]), sentence=sentence)


def _notes(candidate: Candidate) -> list[str]:
    """What a person should know of a candidate."""
    notes, name = list(candidate.notes), candidate.name.value
    if candidate.plan["ended_by"] == "time":
        notes.append(f"`{name}` was stopped by the time budget; give more with time=...")
    if candidate.plan["ended_by"] == "diverged":
        notes.append(f"The loss of `{name}` exploded, so an epoch before that was kept; give a smaller lr=.")
    return notes
