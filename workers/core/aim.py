"""What a model is judged by: the loss that was asked for, in the numbers that people know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from shared.specs import LossName, Task

METRICS = {
    LossName.MSE: "rmse",
    LossName.MAE: "mae",
    LossName.HUBER: "huber",
    LossName.QUANTILE: "pinball",
    LossName.CROSS_ENTROPY: "log_loss",
    LossName.FOCAL: "log_loss",
}
"""The score that a loss is chosen by: its mean, in the target's unit where it is a mean of squares."""

_MOST_VALUES = 100_000  # enough to find the constant that suits a target best


@dataclass(frozen=True)
class Aim:
    """A loss with what belongs to it. Of classes whatever loss is judged by the log loss."""

    loss: LossName
    quantile: float = 0.5
    """Of the pinball loss (Koenker & Bassett 1978)."""
    turn: float = 1.0
    """Of the Huber loss (1964): smaller errors count by half their square, larger ones by their size; in the unit of
    the target."""

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any] | None, task: Task) -> "Aim":
        """What a train run wrote into its report; older reports say nothing."""
        if plain is None:
            return usual_aim(task)
        return cls(LossName(plain["loss"]), quantile=plain.get("quantile", 0.5), turn=plain.get("turn", 1.0))

    def as_plain(self) -> dict[str, Any]:
        """For the report, and for `of_plain`."""
        more = {LossName.QUANTILE: {"quantile": self.quantile}, LossName.HUBER: {"turn": self.turn}}
        return {"loss": self.loss.value, **more.get(self.loss, {})}

    @property
    def metric(self) -> str:
        """The score that candidates are compared by; the lower, the better."""
        return METRICS[self.loss]

    def row_losses(self, actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """The loss of each number, [n]."""
        short = actual - predicted
        losses: np.ndarray
        match self.loss:
            case LossName.MAE:
                losses = np.abs(short)
            case LossName.QUANTILE:
                losses = np.maximum(self.quantile * short, (self.quantile - 1.0) * short)
            case LossName.HUBER:
                size = np.abs(short)
                losses = np.where(size <= self.turn, 0.5 * np.square(size), self.turn * (size - 0.5 * self.turn))
            case _:
                losses = np.square(short)
        return losses

    def best_constant(self, values: np.ndarray) -> float:
        """The number whose mean loss over `values` [n] is the least: what a model without features would say."""
        match self.loss:
            case LossName.MAE:
                return float(np.median(values))
            case LossName.QUANTILE:
                return float(np.quantile(values, self.quantile))
            case LossName.HUBER:
                some = values[:: -(-len(values) // _MOST_VALUES)]
                low, high = float(some.min()), float(some.max())
                if low == high:
                    return low
                return float(minimize_scalar(lambda x: self.row_losses(some, x).mean(), bounds=(low, high)).x)
        return float(values.mean())


def usual_aim(task: Task) -> Aim:
    """What a task is judged by when no loss was asked for."""
    return Aim(LossName.MSE if task is Task.REGRESSION else LossName.CROSS_ENTROPY)
