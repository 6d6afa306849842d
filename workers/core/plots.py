"""The plots of a run, as PNG files. Drawn on figures of their own: no global state, no display."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from shared.specs import Task

_DPI = 110
_MOST_CLASSES = 20  # more are drawn as the most frequent ones and the rest
_MOST_NUMBERS = 12  # more than that many classes leave no room for numbers in the squares
_MOST_POINTS = 5_000
_PANELS_IN_A_ROW = 3


@dataclass(frozen=True)
class Curve:
    """How the loss of a candidate fell."""

    losses: Sequence[tuple[float, float]]
    """Training and validation loss after each step of `counted`."""
    loss: str = "Loss"
    """What it is called."""
    counted: str = "Epoch"


def loss_curve(path: Path, curves: Mapping[str, Curve]) -> None:
    """Training and validation loss of every candidate, one panel each: their epochs differ in number and meaning."""
    columns = min(len(curves), _PANELS_IN_A_ROW)
    lines = -(-len(curves) // columns)
    figure = Figure(figsize=(5.2 * columns, 4.2 * lines), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        axes.set_title(plain(f"Loss of {name}"))
        if len(curve.losses) < 2:
            _say_losses(axes, curve)
            continue
        steps = np.arange(1, len(curve.losses) + 1)
        for k, part in enumerate(("training", "validation")):
            axes.plot(steps, [losses[k] for losses in curve.losses], label=part, linewidth=1.6)
        axes.set_xlabel(plain(curve.counted))
        axes.set_ylabel(plain(curve.loss))
        axes.xaxis.get_major_locator().set_params(integer=True)
        if _spans_decades(curve.losses):
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        axes.legend()
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    save(figure, path)


def outcome(
    out: Path, task: Task, actual: np.ndarray, outputs: np.ndarray, classes: Sequence[str], target: str
) -> None:
    """`confusion_matrix.png` or `predicted_vs_true.png`, after the task."""
    if task is Task.REGRESSION:
        predicted_vs_true(out / "predicted_vs_true.png", actual, outputs, target)
    else:
        confusion(out / "confusion_matrix.png", actual, outputs.argmax(axis=1), classes, target)


def measures(
    out: Path, measured: Mapping[str, Any], actual: np.ndarray, outputs: np.ndarray, classes: Sequence[str], target: str
) -> None:
    """`reliability.png` or `residuals.png`, after the task."""
    if measured.get("calibration") is not None:
        reliability(out / "reliability.png", measured["calibration"], classes, target)
    else:
        residuals(out / "residuals.png", actual, outputs, target)


def predicted_vs_true(path: Path, actual: np.ndarray, predicted: np.ndarray, target: str) -> None:
    """Each test row as a point, over the diagonal where a perfect model's would lie."""
    step = max(1, len(actual) // _MOST_POINTS)
    shown, guessed = actual[::step], predicted[::step]
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(
        shown, guessed, s=12 if len(shown) > 200 else 30, alpha=0.5 if len(shown) < 1000 else 0.25, edgecolors="none"
    )
    low, high = min(shown.min(), guessed.min()), max(shown.max(), guessed.max())
    axes.plot([low, high], [low, high], color="black", linewidth=1, linestyle="--", label="perfect")
    axes.set_title(plain(f"Predicted and true {short(target, 40)}, {len(actual):,} test rows"))
    axes.set_xlabel(plain(f"True {short(target, 40)}"))
    axes.set_ylabel(plain(f"Predicted {short(target, 40)}"))
    axes.tick_params(axis="x", labelrotation=30)
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, path)


def confusion(path: Path, actual: np.ndarray, predicted: np.ndarray, classes: Sequence[str], target: str) -> None:
    """Rows of each true class by the class predicted; the shade is the share of the true class."""
    names, actual, predicted = _frequent(classes, actual, predicted)
    counts = confusion_matrix(actual, predicted, labels=np.arange(len(names)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 3.2 + 0.42 * len(names)
    figure = Figure(figsize=(size + 1.2, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, fraction=0.046)
    bar.set_label("Share of the true class")
    labels = [plain(_without_middle(name, 20)) for name in names]
    axes.set_xticks(
        range(len(names)), labels, rotation=0 if max(map(len, labels)) < 8 and len(names) < 6 else 45, ha="center"
    )
    if axes.get_xticklabels()[0].get_rotation():
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")
    axes.set_yticks(range(len(names)), labels)
    if len(names) <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=color)
    axes.set_title(plain(f"Confusion matrix of {short(target, 24)},\n{len(actual):,} test rows"))
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    save(figure, path)


def reliability(path: Path, measured: Mapping[str, Any], classes: Sequence[str], target: str) -> None:
    """What `calibration.calibration` measured: the observed share of each bin, with its 95 % interval, over the
    probability that was predicted; a probability that means what it says lies on the diagonal.
    """
    bins = measured["bins"]
    predicted, observed = ([one[key] for one in bins] for key in ("predicted", "observed"))
    below, above = ([one["interval"][end] for one in bins] for end in (0, 1))
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="perfect")
    axes.vlines(predicted, below, above, color="tab:blue", alpha=0.4, linewidth=3, label="95 % interval")
    axes.plot(predicted, observed, marker="o", markersize=5, linewidth=1.2, color="tab:blue", label="observed")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    rows = sum(one["count"] for one in bins)
    measures = "" if not bins else f"\ncalibration error {measured['ece']:.3f}, Brier score {measured['brier']:.3f}"
    axes.set_title(plain(f"Reliability of {short(target, 30)}, {rows:,} test rows{measures}"))
    what = f"“{_without_middle(classes[1], 30)}”" if len(classes) == 2 else "the class that is named"
    axes.set_xlabel(plain(f"Predicted probability of {what}"))
    axes.set_ylabel("Share of rows where it was so")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    save(figure, path)


def residuals(path: Path, actual: np.ndarray, predicted: np.ndarray, target: str) -> None:
    """The error of each test row over its prediction, and how often each error occurs."""
    errors = predicted.astype(np.float64) - actual
    step = max(1, len(actual) // _MOST_POINTS)
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes, counts = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    axes.scatter(
        predicted[::step],
        errors[::step],
        s=12 if len(errors) > 200 else 30,
        alpha=0.5 if len(errors) < 1000 else 0.25,
        edgecolors="none",
    )
    figure.suptitle(plain(f"Errors in {short(target, 40)}, {len(actual):,} test rows"), fontsize="large")
    axes.set_xlabel(plain(f"Predicted {short(target, 40)}"))
    axes.set_ylabel("Error: predicted minus true")
    axes.tick_params(axis="x", labelrotation=30)
    counts.hist(errors, bins=min(50, max(5, int(len(errors) ** 0.5))), orientation="horizontal")
    counts.set_xlabel("Rows")
    for panel in (axes, counts):
        panel.axhline(0, color="black", linewidth=1, linestyle="--")
        panel.grid(alpha=0.3)
    save(figure, path)


def _frequent(
    classes: Sequence[str], actual: np.ndarray, predicted: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The classes that are drawn, and both columns in their numbers; what is not drawn is one class, `others`."""
    if len(classes) <= _MOST_CLASSES:
        return list(classes), actual, predicted
    counts = np.bincount(actual, minlength=len(classes))
    shown = np.sort(np.argsort(-counts, kind="stable")[: _MOST_CLASSES - 1])
    place = np.full(len(classes), len(shown))
    place[shown] = np.arange(len(shown))
    return [*(classes[k] for k in shown), f"{len(classes) - len(shown)} others"], place[actual], place[predicted]


def _say_losses(axes: Axes, curve: Curve) -> None:
    """One point is no curve: its numbers say more."""
    axes.set_axis_off()
    text = "No loss was noted"
    if curve.losses:
        learning, watching = curve.losses[0]
        text = f"{curve.loss} after one {curve.counted.lower()}\ntraining {learning:.4g}\nvalidation {watching:.4g}"
    axes.text(0.5, 0.5, plain(text), ha="center", va="center", wrap=True, transform=axes.transAxes)


def _spans_decades(curve: Sequence[tuple[float, float]]) -> bool:
    losses = np.array(curve)
    return bool((losses > 0).all() and losses.max() > 20 * losses.min())


def short(text: str, limit: int) -> str:
    """The text on one line, its end left out where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _without_middle(text: str, limit: int) -> str:
    """Names of classes often differ at their ends only."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-(limit // 2 - 1) :]}"


def plain(text: str) -> str:
    """The text without matplotlib's mathematics: a dollar sign is a dollar sign."""
    return text.replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write the figure."""
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that the font lacks are drawn as boxes
        figure.savefig(path, dpi=_DPI, bbox_inches="tight")
