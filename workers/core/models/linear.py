"""Linear, logistic and softmax regression, each to its optimum.

Without l1 by L-BFGS on all rows; with l1 by FISTA (Beck & Teboulle 2009), which gives exact zeros; with a named
optimizer by mini-batches, like the networks. The objective is the mean loss + l1 * sum|w| + l2 / 2 * sum w^2,
intercepts left out.
"""

import math
from typing import Any

import numpy as np
import torch
from scipy.optimize import OptimizeResult, minimize  # type: ignore[import-untyped]
from torch import Tensor, nn

from shared.errors import failed
from shared.events import EpochDone
from shared.specs import OptimizerName, Task, TrainSpec
from workers.core.loop import Data, Fit, Recipe, descend, scaled_batch
from workers.core.progress import Clock, Progress

ITERATIONS = 1000
GRADIENT_TOLERANCE, LOSS_TOLERANCE = 1e-6, 1e-11
FISTA_TOLERANCE = 1e-5
DOUBLE_CELLS = 20_000_000  # float64 converges further and is affordable up to here


def fit_linear(data: Data, spec: TrainSpec, *, progress: Progress, clock: Clock) -> Fit:
    """Train the model; what `spec` leaves open gets the defaults of this file."""
    torch.manual_seed(spec.seed)
    layer = nn.Linear(data.width, data.outputs).to(data.train_x.device)
    if spec.optimizer is not None:
        recipe = _recipe(data, spec, spec.optimizer)
        return descend(nn.Sequential(layer), data, recipe, model="linear", progress=progress, clock=clock)
    l2 = _default_l2(data) if spec.l2 is None else spec.l2
    return _Optimum(data, l1=spec.l1, l2=l2, iterations=spec.epochs or ITERATIONS).fit(layer, progress, clock)


def _default_l2(data: Data) -> float:
    """The strength of scikit-learn's C=1 for classes; next to nothing for regression, which least squares suit."""
    return 1e-6 if data.task is Task.REGRESSION else 1.0 / len(data.train_x)


def _recipe(data: Data, spec: TrainSpec, optimizer: OptimizerName) -> Recipe:
    rows = len(data.train_x)
    batch = min(rows, spec.batch or scaled_batch(rows))
    # A step of plain gradient descent must stay below the curvature's inverse; momentum takes ten such steps at once.
    safe = min(0.05, 0.1 / max(1e-12, _curvature(data)))
    return Recipe(
        optimizer=optimizer,
        lr=spec.lr or (safe if optimizer is OptimizerName.SGD else 1e-2),
        batch=batch,
        epochs=spec.epochs or max(20, 30_000 // -(-rows // batch)),
        l1=spec.l1,
        l2=(0.0 if optimizer is OptimizerName.ADAMW else _default_l2(data)) if spec.l2 is None else spec.l2,
        patience_updates=1000,
        seed=spec.seed,
    )


def _curvature(data: Data) -> float:
    """The largest eigenvalue of the second moment of the features with their intercept, by power iteration."""
    x = data.train_x
    vector = torch.ones(x.shape[1] + 1, device=x.device, dtype=x.dtype)
    size = 1.0
    for _ in range(20):
        vector = vector / vector.norm()
        out = x @ vector[:-1] + vector[-1]
        vector = torch.cat((x.T @ out, out.sum()[None])) / len(x)
        size = float(vector.norm())
    return size


class _Optimum:
    """One convex problem; the weights are a matrix [width + 1, outputs] whose last row is the intercept."""

    def __init__(self, data: Data, *, l1: float, l2: float, iterations: int) -> None:
        self.data, self.l1, self.l2, self.iterations = data, l1, l2, iterations
        double = data.train_x.numel() <= DOUBLE_CELLS
        self.dtype = torch.float64 if double else torch.float32
        self.x = data.train_x.to(self.dtype)
        self.y = data.train_y.to(self.dtype) if data.task is Task.REGRESSION else data.train_y
        self.curve: list[tuple[float, float]] = []

    def fit(self, layer: nn.Linear, progress: Progress, clock: Clock) -> Fit:
        """Iterate until the gradient vanishes, the iterations or the time are over."""
        start = torch.zeros(self.data.width + 1, self.data.outputs, dtype=self.dtype, device=self.x.device)
        weights, ended = (self._fista if self.l1 else self._lbfgs)(start, progress, clock)
        if not self.curve:  # the start is the optimum already
            self._watch(float(self._smooth(start)), start, progress, clock)
        progress.last_epoch()
        with torch.no_grad():
            layer.weight.copy_(weights[:-1].T)
            layer.bias.copy_(weights[-1])
        plan: dict[str, Any] = {"optimizer": "fista" if self.l1 else "lbfgs", "lr": None, "batch": len(self.x)}
        plan |= {"epochs": self.iterations, "l1": self.l1, "l2": self.l2}
        plan |= {"epochs_done": len(self.curve), "ended_by": ended}
        return Fit(nn.Sequential(layer), self.curve[-1][1], plan, self.curve)

    def _lbfgs(self, start: Tensor, progress: Progress, clock: Clock) -> tuple[Tensor, str]:
        """SciPy's L-BFGS-B; it sees the weights only, the rows stay on their device."""

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = self._shaped(flat, start).requires_grad_()
            loss = self._smooth(weights)
            (gradient,) = torch.autograd.grad(loss, weights)
            return float(loss.detach()), gradient.cpu().double().numpy().ravel()

        def watch(intermediate_result: OptimizeResult) -> None:
            self._watch(float(intermediate_result.fun), self._shaped(intermediate_result.x, start), progress, clock)
            if clock.is_over():
                raise StopIteration

        options: dict[str, float] = {"maxiter": self.iterations, "maxfun": 20 * self.iterations, "maxcor": 20}
        options |= {"gtol": GRADIENT_TOLERANCE, "ftol": LOSS_TOLERANCE}
        zeros = np.zeros(start.numel())
        found = minimize(objective, zeros, jac=True, method="L-BFGS-B", callback=watch, options=options)
        ended = "converged" if found.success else "time" if clock.is_over() else "epochs"
        return self._shaped(found.x, start), ended

    def _fista(self, start: Tensor, progress: Progress, clock: Clock) -> tuple[Tensor, str]:
        """Proximal steps with momentum, which starts anew when it points uphill (O'Donoghue & Candes 2015)."""
        # The curvature of the squared error is 2, that of the cross-entropy at most 1/2, times that of the features.
        factor = 2.0 if self.data.task is Task.REGRESSION else 0.5
        lr = 1.0 / (1.05 * factor * _curvature(self.data) + self.l2)
        weights, ahead, momentum = start, start, 1.0
        for _ in range(self.iterations):
            point = ahead.clone().requires_grad_()
            loss = self._smooth(point)
            (gradient,) = torch.autograd.grad(loss, point)
            moved = ahead - lr * gradient
            moved[:-1] = nn.functional.softshrink(moved[:-1], lr * self.l1)
            delta, weights = moved - weights, moved
            total = float(loss.detach()) + self.l1 * float(ahead[:-1].abs().sum())
            self._watch(total, weights, progress, clock)
            if float((moved - ahead).abs().max()) <= FISTA_TOLERANCE * lr:
                return weights, "converged"
            if clock.is_over():
                return weights, "time"
            if float(((ahead - moved) * delta).sum()) > 0:
                momentum = 1.0
            following = (1.0 + math.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
            ahead, momentum = moved + (momentum - 1.0) / following * delta, following
        return weights, "epochs"

    def _smooth(self, weights: Tensor) -> Tensor:
        """The objective without its l1 term."""
        out = self.x @ weights[:-1] + weights[-1]
        return self.data.loss(out, self.y) + 0.5 * self.l2 * weights[:-1].square().sum()

    def _shaped(self, flat: np.ndarray, like: Tensor) -> Tensor:
        return torch.from_numpy(flat.copy()).to(like).view_as(like)

    def _watch(self, loss: float, weights: Tensor, progress: Progress, clock: Clock) -> None:
        """Note an iteration and tell of it. Raises RunFailed `training_diverged`, RunStopped."""
        if not math.isfinite(loss):
            raise failed(
                "training_diverged",
                "The loss must stay finite; it does not for this linear model.",
                "Look for columns with extreme numbers, or leave them out with drop=.",
            )
        with torch.no_grad():
            single = weights.float()
            out = self.data.validation_x @ single[:-1] + single[-1]
            self.curve.append((loss, float(self.data.loss(out, self.data.validation_y))))
        progress.epoch(
            EpochDone(
                model="linear",
                epoch=len(self.curve),
                epochs=self.iterations,
                train_loss=loss,
                validation_loss=self.curve[-1][1],
                eta_s=clock.eta_s(len(self.curve), self.iterations),
            )
        )
