"""What training minimises: a loss for each task, with label smoothing, class weights and focal or robust forms."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shared.specs import ClassWeights, LossName, Task, TrainSpec
from workers.core.aim import Aim

CLASS_LOSSES = (LossName.CROSS_ENTROPY, LossName.FOCAL)
FOCUS = 2.0  # the exponent of the focal loss that its paper recommends
HUBER_TURN = 1.0  # deviations of the target up to which the Huber loss is a square


@dataclass(frozen=True)
class Objective:
    """One loss, resolved.

    Outputs are logits [..., classes] float32 with targets [...] int64, or numbers [..., 1] float32 with targets
    [..., 1] float32 in deviations of the training target. Outputs may have one dimension more, before the last: members
    of an ensemble, whose losses are averaged (never the loss of the average).
    """

    name: LossName
    smoothing: float = 0.0
    quantile: float = 0.5
    class_weights: Tensor | None = None
    """[classes] float32 with a mean of 1 over the training rows."""

    @property
    def is_of_classes(self) -> bool:
        """Whether it is a loss of probabilities."""
        return self.name in CLASS_LOSSES

    def aim(self, *, sd: float = 1.0) -> Aim:
        """What is judged by it, of targets whose deviation is `sd`."""
        return Aim(self.name, quantile=self.quantile, turn=HUBER_TURN * sd)

    def as_plain(self) -> dict[str, Any]:
        """Every choice in plain values, for the plan."""
        if not self.is_of_classes:
            return {"loss": self.name.value} | ({"quantile": self.quantile} if self.name is LossName.QUANTILE else {})
        weights = None if self.class_weights is None else [float(weight) for weight in self.class_weights]
        return {"loss": self.name.value, "smoothing": self.smoothing, "class_weights": weights}

    def in_words(self) -> str:
        """What a plot calls it."""
        name = {
            LossName.MSE: "Mean squared error",
            LossName.MAE: "Mean absolute error",
            LossName.HUBER: "Huber loss",
            LossName.QUANTILE: f"Pinball loss at {self.quantile:g}",
            LossName.CROSS_ENTROPY: "Cross-entropy",
            LossName.FOCAL: "Focal loss",
        }[self.name]
        weighed = ", classes weighed" if self.class_weights is not None else ""
        return name + (weighed if self.is_of_classes else " (standardised)")

    def training_loss(self, out: Tensor, y: Tensor) -> Tensor:
        """The mean loss that gradients are taken of."""
        return self._loss(out, y, smoothing=self.smoothing)

    def validation_loss(self, out: Tensor, y: Tensor) -> Tensor:
        """The mean loss that tells whether training still helps: without label smoothing."""
        return self._loss(out, y, smoothing=0.0)

    def _loss(self, out: Tensor, y: Tensor, *, smoothing: float) -> Tensor:
        regression = y.dtype is not torch.int64
        if out.dim() > y.dim() + (0 if regression else 1):
            members = out.shape[-2]
            y = y.unsqueeze(-2 if regression else -1).expand(*out.shape[:-2], members, *([1] if regression else []))
        match self.name:
            case LossName.MSE:
                return nn.functional.mse_loss(out, y)
            case LossName.MAE:
                return nn.functional.l1_loss(out, y)
            case LossName.HUBER:
                return nn.functional.huber_loss(out, y, delta=HUBER_TURN)
            case LossName.QUANTILE:
                short = y - out
                return torch.maximum(self.quantile * short, (self.quantile - 1.0) * short).mean()
            case LossName.CROSS_ENTROPY:
                return _cross_entropy(out.flatten(0, -2), y.flatten(), self.class_weights, smoothing)
            case LossName.FOCAL:
                flat, target = out.flatten(0, -2), y.flatten()
                each = nn.functional.cross_entropy(flat, target, reduction="none")
                weight = 1.0 if self.class_weights is None else self.class_weights[target]
                return (weight * (1.0 - torch.exp(-each)) ** FOCUS * each).mean()


def resolve_objective(spec: TrainSpec, task: Task, y: Tensor, classes: int) -> Objective:
    """The objective that a spec asks for; `y` holds the targets of the training rows, on the device of the training."""
    if task is Task.REGRESSION:
        return Objective(spec.loss or LossName.MSE, quantile=spec.quantile or 0.5)
    weights = None
    if spec.weights is ClassWeights.BALANCED:
        counts = torch.bincount(y, minlength=classes).clamp(min=1).float()
        weights = counts.sum() / (classes * counts)
    return Objective(spec.loss or LossName.CROSS_ENTROPY, smoothing=spec.smoothing or 0.0, class_weights=weights)


def _cross_entropy(logits: Tensor, y: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """The mean over the rows of [rows, classes] and [rows], each weighed by its class.

    It is not divided by the weights that a batch happens to hold: a batch of one class would weigh like any other.
    """
    if weights is None:
        return nn.functional.cross_entropy(logits, y, label_smoothing=smoothing)
    total = nn.functional.cross_entropy(
        logits, y, weight=weights.to(logits), label_smoothing=smoothing, reduction="sum"
    )
    return total / len(y)
