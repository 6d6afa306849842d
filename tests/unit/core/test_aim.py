"""What a model is judged by: losses as PyTorch and scikit-learn know them, and the constants that suit them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss
from torch import nn

from shared.specs import LossName, Task
from workers.core.aim import Aim, usual_aim

NUMBERS = (LossName.MSE, LossName.MAE, LossName.HUBER, LossName.QUANTILE)


def values(rows: int = 400) -> np.ndarray:
    """Skewed numbers."""
    return np.random.default_rng(0).exponential(5.0, size=rows) ** 1.5


def test_losses_are_those_of_the_libraries() -> None:
    """The pinball loss is scikit-learn's, the Huber loss PyTorch's."""
    actual, predicted = values(), values()[::-1]
    pinball = Aim(LossName.QUANTILE, quantile=0.8).row_losses(actual, predicted).mean()
    assert pinball == pytest.approx(mean_pinball_loss(actual, predicted, alpha=0.8))
    huber = nn.functional.huber_loss(torch.from_numpy(predicted.copy()), torch.from_numpy(actual), delta=7.0)
    assert Aim(LossName.HUBER, turn=7.0).row_losses(actual, predicted).mean() == pytest.approx(float(huber))


@pytest.mark.parametrize("loss", NUMBERS)
def test_no_constant_is_better_than_the_best(loss: LossName) -> None:
    """The mean, the median, the quantile, and what lies between mean and median for a Huber loss."""
    aim, numbers = Aim(loss, quantile=0.9, turn=3.0), values()
    best = aim.best_constant(numbers)
    reached = aim.row_losses(numbers, np.full_like(numbers, best)).mean()
    for other in np.quantile(numbers, np.linspace(0, 1, 50)):
        assert reached <= aim.row_losses(numbers, np.full_like(numbers, other)).mean() + 1e-9
    assert aim.best_constant(np.full(5, 2.0)) == 2.0


@pytest.mark.parametrize("loss", NUMBERS)
def test_a_report_keeps_what_a_model_is_judged_by(loss: LossName) -> None:
    """Written down and read back it is the same; a report without a word of it means the usual."""
    aim = Aim(loss, **{LossName.QUANTILE: {"quantile": 0.1}, LossName.HUBER: {"turn": 2.5}}.get(loss, {}))
    assert Aim.of_plain(aim.as_plain(), Task.REGRESSION) == aim
    assert Aim.of_plain(None, Task.REGRESSION) == usual_aim(Task.REGRESSION) == Aim(LossName.MSE)
    assert Aim.of_plain(None, Task.BINARY).metric == "log_loss"
