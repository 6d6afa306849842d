"""The loss of a train run over its epochs, as few points as a chat can draw. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.events import AnyEvent, EpochDone

MOST_POINTS = 20
LEAST_POINTS = 3
_SIGNIFICANT = 5
_MOST_LOSS = 1e300
"""What is not below it, NaN included, is not drawn: rounded it may be infinite."""

Loss = tuple[int, float | None, float | None]
"""An epoch, and what the loss was on the train and on the validation part."""


@dataclass(frozen=True)
class Line:
    """A line of a chart: a finite value for each of its labels."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """Lines over the same labels, which are all different."""

    title: str
    x: str
    y: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]


def loss_chart(events: Sequence[AnyEvent], result: dict[str, Any]) -> Chart | None:
    """The loss of the model that was kept, else of the last one; None where too little was trained to draw.

    The first, the best and the last epoch are always there once the run has its result; before, what was told of it.
    """
    epochs = [event for event in events if isinstance(event, EpochDone)]
    model = _model_of(epochs, result)
    points = _of_result(result, model) or _told(epochs, model)
    shown = _lines_of(points)
    whole = [point for point in points if all(_finite(point[at]) for at in shown.values())]
    if not shown or len(whole) < LEAST_POINTS:
        return None
    few = _downsampled(whole, by=shown.get("validation", 1))
    lines = tuple(Line(name, tuple(_short(point[at]) for point in few)) for name, at in shown.items())
    return Chart(f"Loss of {model}", "epoch", "loss", tuple(str(point[0]) for point in few), lines)


def _of_result(result: dict[str, Any], model: str) -> list[Loss]:
    """What the report keeps of a candidate's curve."""
    curve = ((result.get("candidates") or {}).get(model) or {}).get("curve") or []
    return [(int(epoch), train, validation) for epoch, train, validation in curve]


def _told(epochs: Sequence[EpochDone], model: str) -> list[Loss]:
    """What was told while it trained; epochs that a later attempt did again count as that one told them."""
    known: dict[int, Loss] = {
        event.epoch: (event.epoch, event.train_loss, event.validation_loss) for event in epochs if event.model == model
    }
    return [known[epoch] for epoch in sorted(known)]


def _model_of(epochs: Sequence[EpochDone], result: dict[str, Any]) -> str:
    """The model that was kept; of a blend, the one that weighs most; else the one that was trained last."""
    candidates = result.get("candidates") or {}
    trained = list(dict.fromkeys([*(event.model for event in epochs), *candidates]))
    if result.get("model") in trained:
        return str(result["model"])
    weights = {name: (candidates.get(name) or {}).get("weight") or 0.0 for name in trained}
    heaviest = max(trained, key=lambda name: weights[name], default="")
    return heaviest if weights.get(heaviest) else trained[-1] if trained else ""


def _lines_of(points: Sequence[Loss]) -> dict[str, int]:
    """The losses that are known for nearly all points, and where in a point each stands."""
    named = {"train": 1, "validation": 2}
    counts = {name: sum(_finite(point[at]) for point in points) for name, at in named.items()}
    enough = max(counts.values(), default=0) * 0.8
    return {name: at for name, at in named.items() if counts[name] >= max(enough, 1)}


def _downsampled(points: Sequence[Loss], *, by: int) -> list[Loss]:
    """At most `MOST_POINTS` of them, evenly spread, with the first, the best and the last."""
    if len(points) <= MOST_POINTS:
        return list(points)
    last = len(points) - 1
    best = min(range(len(points)), key=lambda at: points[at][by] or 0.0)
    spread = {round(step * last / (MOST_POINTS - 2)) for step in range(MOST_POINTS - 1)}
    return [points[at] for at in sorted(spread | {best})]


def _finite(value: float | None) -> bool:
    return value is not None and abs(value) < _MOST_LOSS


def _short(value: float | None) -> float:
    return float(f"{value or 0.0:.{_SIGNIFICANT}g}")
