"""Linear, logistic and softmax regression, each to its optimum.

Without l1 by L-BFGS on all rows, and for squared errors of few weights one Newton step more, to the last digit; with
l1 by FISTA (Beck & Teboulle 2009), which gives exact zeros; with a named optimizer or a loss that is not smooth by
mini-batches, like the networks. The objective is the mean loss + l1 * sum|w| + l2 / 2 * sum w^2, intercepts left out.
Unless given, l2 is chosen on the validation rows; the weights that are kept are fitted on all development rows.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import OptimizeResult, minimize
from torch import Tensor, nn

from shared.errors import failed
from shared.events import EpochDone
from shared.specs import LossName, ModelName, OptimizerName, ScheduleName, Task, TrainSpec
from workers.core.checkpoints import Part
from workers.core.layers import Dense, Expand
from workers.core.loop import Data, Recipe, scaled_batch
from workers.core.models.candidate import Candidate, Followed, out_of_fold
from workers.core.models.design import Design, Designer, curvature, designer, second_moment
from workers.core.models.networks import fit_network, horizon, patience
from workers.core.predictor import NetMember, net_outputs
from workers.core.progress import Clock, Progress

ITERATIONS = 1000
GRADIENT_TOLERANCE, LOSS_TOLERANCE = 1e-6, 1e-11
ROUGH_GRADIENT_TOLERANCE, ROUGH_LOSS_TOLERANCE = 1e-4, 1e-7  # enough to choose by
FISTA_TOLERANCE = 1e-5
DOUBLE_CELLS = 20_000_000  # float64 converges further and is affordable up to here
CHUNK_ROWS = 65_536
# Strengths of l2, from strong to weak: each starts where the last one ended. Those of classes are divided by the rows,
# so that 1.0 is the default of scikit-learn.
CLASS_STRENGTHS = (100.0, 10.0, 1.0, 0.1)
NUMBER_STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-6)
FREE_ROWS = 2  # so many rows for each weight, and numbers are tried without any penalty too
DIRECT_PRODUCTS = 200_000_000  # rows x weights^2 up to which squared errors are solved to the last digit
LEAST_CURVATURE = 1e-8  # of the largest: along less, weights would grow until their float32 sums are noise
SOLVERS = ("lbfgs", "fista")  # without and with l1
SMOOTH = (LossName.MSE, LossName.CROSS_ENTROPY)


def fit_linear(
    data: Data,
    spec: TrainSpec,
    *,
    progress: Progress,
    clock: Clock,
    threads: int,  # noqa: ARG001
    follow: Followed = None,
) -> Candidate:
    """Train the model; what `spec` leaves open gets the defaults of this file."""
    by_steps = spec.optimizer is not None or data.objective.name not in SMOOTH
    if by_steps if follow is None else follow["optimizer"] not in SOLVERS:
        return _descended(data, spec, progress, clock, follow)
    made, kept = designer(data), progress.kept(ModelName.LINEAR)
    if kept is None:
        kept = _solved(data, spec, made, progress, clock, follow)
        progress.keep(ModelName.LINEAR, kept)
    else:
        clock.go_on(kept.plain["clock"])
    outputs = np.full((len(data.x), data.outputs), np.nan, dtype=np.float32)
    outputs[kept.arrays["judged"]] = kept.arrays["said"]
    member = NetMember(_body(made.expand.cpu(), torch.tensor(kept.arrays["weights"])), data.task).eval()
    curve = [(learning, watching) for learning, watching in kept.plain["curve"]]
    return Candidate(ModelName.LINEAR, member, outputs, kept.plain["loss"], dict(kept.plain["plan"]), curve)


def _solved(data: Data, spec: TrainSpec, made: Designer, progress: Progress, clock: Clock, follow: Followed) -> Part:
    """The optimum: its weights, and what the folds' own say of their rows. One that was interrupted begins anew."""
    iterations, l1 = spec.epochs or ITERATIONS, spec.l1
    strengths = _strengths(data, made.expand.width, spec) if spec.l2 is None else (spec.l2,)
    rough, told = len(strengths) > 1, None
    if follow is not None:
        iterations, l1, told, tried = follow["epochs"], follow["l1"], follow["l2"], tuple(follow["l2_tried"])
        strengths = tried if told in tried else (told,)
        rough = follow.get("l2_roughly", len(tried) > 1) and told in tried
    optimum = _Optimum(data, made, l1=l1, iterations=iterations, progress=progress, clock=clock)
    best, outputs, starts = optimum.choose(strengths, rough=rough, told=told)
    everyone = _everyone(data)
    weights, ended = optimum.solve(everyone, l2=strengths[best], start=starts[best])
    optimum.tell_curve(best)
    plan: dict[str, Any] = {"optimizer": SOLVERS[bool(l1)], "lr": None, "batch": len(everyone)}
    plan |= {"epochs": optimum.iterations, "l1": l1, "l2": strengths[best], "l2_roughly": rough}
    plan |= {"l2_tried": list(strengths[: len(optimum.losses)]), "l2_before": strengths[best - 1] if best else None}
    plan |= {"epochs_done": len(optimum.curves[best]), "ended_by": ended}
    judged = np.flatnonzero(np.isfinite(outputs).all(axis=1))
    arrays = {"weights": weights.cpu().numpy(), "judged": judged, "said": outputs[judged]}
    plain = {"plan": plan, "curve": optimum.curves[best], "loss": optimum.losses[best], "clock": clock.mark()}
    return Part(arrays, plain)


def _body(expand: Expand, weights: Tensor) -> nn.Sequential:
    """The weights as layers."""
    dense = Dense(1, expand.width, weights.shape[1])
    with torch.no_grad():
        dense.weight.copy_(weights[:-1])
        dense.bias.copy_(weights[-1])
    return nn.Sequential(expand, dense)


def _everyone(data: Data) -> Tensor:
    """The rows that the final weights are fitted on: all that learn in some fold; beside a hold-out, its rows too, as
    far as they keep their share.
    """
    first = data.folds[0]
    if len(data.folds) > 1:
        rows: Tensor = torch.unique(torch.cat([fold.train for fold in data.folds]))
        return rows
    step = max(1, 3 * len(first.validation) // len(first.train))
    return torch.cat([first.train, first.validation[::step]])


def _strengths(data: Data, width: int, spec: TrainSpec) -> tuple[float, ...]:
    if data.task is Task.REGRESSION:
        is_free = not spec.l1 and min(len(fold.train) for fold in data.folds) >= FREE_ROWS * (width + 1)
        return (*NUMBER_STRENGTHS, 0.0) if is_free else NUMBER_STRENGTHS
    return tuple(strength / len(data.folds[0].train) for strength in CLASS_STRENGTHS)


def _descended(data: Data, spec: TrainSpec, progress: Progress, clock: Clock, follow: Followed) -> Candidate:
    """By mini-batches."""

    def make() -> nn.Module:
        expand = Expand(data.layout, data.x, cut=None)
        return nn.Sequential(expand, Dense(len(data.folds), expand.width, data.outputs))

    recipe, slow = _recipe(data, spec, spec.optimizer or OptimizerName.ADAM), spec.lr is None
    return fit_network(
        ModelName.LINEAR, make, data, recipe, progress=progress, clock=clock, may_slow_down=slow, follow=follow
    )


def _recipe(data: Data, spec: TrainSpec, optimizer: OptimizerName) -> Recipe:
    rows = max(len(fold.train) for fold in data.folds)
    whole = optimizer is OptimizerName.GD
    by_gradient = optimizer in (OptimizerName.SGD, OptimizerName.GD)
    batch = rows if whole else min(rows, spec.batch or scaled_batch(rows))
    momentum = spec.momentum if spec.momentum is not None else (0.9 if optimizer is OptimizerName.SGD else 0.0)
    # A step of plain gradient descent is the inverse of the curvature; momentum takes ten such steps at once.
    every = -(-len(data.x) // CHUNK_ROWS)
    sample = designer(data).design(data.x[::every], torch.float32)
    safe = min(1.0 if whole else 0.05, (1.0 - momentum) / max(1e-12, curvature(data, sample, data.y[::every])))
    l2 = 0.0 if optimizer is OptimizerName.ADAMW or data.task is Task.REGRESSION else 1.0 / rows
    an_epoch = -(-rows // batch)
    smooth = data.objective.name in SMOOTH  # where the slope does not shrink towards the optimum, the steps have to
    return Recipe(
        optimizer=optimizer,
        lr=spec.lr or (safe if by_gradient else 1e-2),
        batch=batch,
        epochs=horizon(spec, an_epoch, least=20),
        l1=spec.l1,
        l2=l2 if spec.l2 is None else spec.l2,
        patience_updates=patience(spec, an_epoch, horizon(spec, an_epoch, least=20), usual=1000),
        seed=spec.seed,
        momentum=momentum if by_gradient else 0.0,
        nesterov=by_gradient and momentum > 0 and spec.nesterov is not False,
        schedule=spec.schedule or (ScheduleName.CONSTANT if smooth else ScheduleName.PLATEAU),
        warmup=spec.warmup or 0.0,
        restarts=spec.restarts or 0,
        clip=spec.clip,
    )


class _Optimum:
    """One convex problem for each strength and fold; weights are [width + 1, outputs], the intercept last."""

    def __init__(
        self, data: Data, made: Designer, *, l1: float, iterations: int, progress: Progress, clock: Clock
    ) -> None:
        self.data, self.l1, self.iterations, self.progress, self.clock = data, l1, iterations, progress, clock
        self.made, device, width = made, data.x.device, made.expand.width
        double = len(data.x) * made.cells <= DOUBLE_CELLS
        self.dtype = torch.float64 if double else torch.float32
        self.whole = made.design(data.x, self.dtype) if double else None
        self.y = data.y.to(self.dtype) if data.task is Task.REGRESSION else data.y
        self.zeros = torch.zeros(width + 1, data.outputs, dtype=self.dtype, device=device)
        self.curves: list[list[tuple[float, float]]] = []
        self.losses: list[float] = []

    def choose(
        self, strengths: Sequence[float], *, rough: bool, told: float | None
    ) -> tuple[int, np.ndarray, list[Tensor]]:
        """The strength that does best on the validation rows, unless it is `told`, what is said of them, and where each
        strength ended.
        """
        starts = [self.zeros for _ in self.data.folds]
        said, ends = list[np.ndarray](), list[Tensor]()
        for l2 in strengths:
            self.curves.append([])
            outs, losses = list[Tensor](), list[float]()
            for k, fold in enumerate(self.data.folds):
                watching = fold.validation if k == 0 else None
                starts[k], _ = self.solve(fold.train, l2=l2, start=starts[k], watching=watching, rough=rough)
                out = self._outputs(starts[k], fold.validation)
                losses.append(float(self.data.objective.validation_loss(out, self.y[fold.validation])))
                outs.append(net_outputs(out, self.data.task))
            said.append(out_of_fold(self.data, outs))
            ends.append(torch.stack(starts).mean(dim=0))
            self.losses.append(float(np.mean(losses)))
            if self.clock.is_over():
                break
        best = int(np.argmin(self.losses)) if told is None else strengths.index(told)
        return best, said[best], ends

    def solve(
        self, rows: Tensor, *, l2: float, start: Tensor, watching: Tensor | None = None, rough: bool = False
    ) -> tuple[Tensor, str]:
        """Iterate until the gradient vanishes, the iterations or the time are over."""
        problem = _Problem(self, rows, l2, watching)
        return problem.fista(start) if self.l1 else problem.lbfgs(start, rough=rough)

    def tell(self, curve: Sequence[tuple[float, float]]) -> None:
        """Report the last iteration of a curve."""
        losses = curve[-1]
        self.progress.epoch(
            EpochDone(
                model=ModelName.LINEAR.value,
                epoch=len(curve),
                epochs=self.iterations,
                train_loss=losses[0],
                validation_loss=losses[1],
                eta_s=self.clock.eta_s(len(curve), self.iterations),
            )
        )

    def tell_curve(self, best: int) -> None:
        """The last word is that of the strength that was chosen, whatever was tried after it."""
        if self.curves[best]:
            self.tell(self.curves[best])
        self.progress.last_epoch()

    def chunks(self, rows: Tensor) -> Iterator[tuple[Design, Tensor]]:
        """The expanded features and targets of some rows, piece by piece where they would not fit."""
        if self.whole is not None:
            yield self.whole.rows(rows), self.y[rows]
            return
        for start in range(0, len(rows), CHUNK_ROWS):
            part = rows[start : start + CHUNK_ROWS]
            yield self.made.design(self.data.x[part], self.dtype), self.y[part]

    def _outputs(self, weights: Tensor, rows: Tensor) -> Tensor:
        return torch.cat([x.times(weights[:-1]) + weights[-1] for x, _ in self.chunks(rows)])


class _Problem:
    """The rows of one fold with one strength."""

    def __init__(self, optimum: _Optimum, rows: Tensor, l2: float, watching: Tensor | None) -> None:
        self.optimum, self.rows, self.l2, self.watching, self.count = optimum, rows, l2, watching, len(rows)
        pieces = list(optimum.chunks(rows)) if optimum.whole is not None else None
        self.pieces: Callable[[], Iterator[tuple[Design, Tensor]]]
        self.pieces = (lambda: iter(pieces)) if pieces is not None else (lambda: optimum.chunks(rows))
        self.like = optimum.zeros

    def lbfgs(self, start: Tensor, *, rough: bool) -> tuple[Tensor, str]:
        """SciPy's L-BFGS-B; it sees the weights only, the rows stay on their device."""
        clock, iterations = self.optimum.clock, self.optimum.iterations

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradient = self._smooth(self._shaped(flat))
            return loss, gradient.cpu().double().numpy().ravel()

        def watch(intermediate_result: OptimizeResult) -> None:
            self._watch(float(intermediate_result.fun), self._shaped(intermediate_result.x))
            if clock.is_over():
                raise StopIteration

        options: dict[str, float] = {"maxiter": iterations, "maxfun": 20 * iterations, "maxcor": 10}
        if rough:
            options |= {"gtol": ROUGH_GRADIENT_TOLERANCE, "ftol": ROUGH_LOSS_TOLERANCE}
        else:
            options |= {"gtol": GRADIENT_TOLERANCE, "ftol": LOSS_TOLERANCE}
        first = start.cpu().double().numpy().ravel()
        found = minimize(objective, first, jac=True, method="L-BFGS-B", callback=watch, options=options)
        if not math.isfinite(found.fun):
            raise _exploded()
        if found.nit == 0:
            self._watch(float(found.fun), self._shaped(found.x))
        if not found.success:
            return self._shaped(found.x), "time" if clock.is_over() else "epochs"
        return self._to_the_last_digit(self._shaped(found.x)), "converged"

    def _to_the_last_digit(self, weights: Tensor) -> Tensor:
        """On by one Newton step, which for squared errors ends at the optimum, where the weights are few enough.
        Along what hardly tells columns apart it does not go.
        """
        is_square, is_double = self.optimum.data.task is Task.REGRESSION, self.optimum.whole is not None
        if not is_square or not is_double or self.count * len(weights) ** 2 > DIRECT_PRODUCTS:
            return weights
        _, slope = self._smooth(weights)
        second = 2.0 * second_moment([x for x, _ in self.pieces()], self.count)
        second.diagonal()[:-1] += self.l2
        curvatures, directions = torch.linalg.eigh(second.cpu())
        kept = curvatures > LEAST_CURVATURE * curvatures[-1]
        along = directions[:, kept].T @ slope.cpu().double() / curvatures[kept, None]
        step: Tensor = directions[:, kept] @ along
        return weights - step.to(weights)

    def fista(self, start: Tensor) -> tuple[Tensor, str]:
        """Proximal steps with momentum, which starts anew when it points uphill (O'Donoghue & Candes 2015)."""
        optimum, l1 = self.optimum, self.optimum.l1
        sample = self.rows[:: -(-self.count // CHUNK_ROWS)]
        lr = 1.0 / (1.05 * curvature(optimum.data, *next(optimum.chunks(sample))) + self.l2)
        weights, ahead, momentum = start, start, 1.0
        for _ in range(optimum.iterations):
            loss, gradient = self._smooth(ahead)
            moved = ahead - lr * gradient
            moved[:-1] = nn.functional.softshrink(moved[:-1], lr * l1)
            delta, weights = moved - weights, moved
            self._watch(loss + l1 * float(ahead[:-1].abs().sum()), weights)
            if float((moved - ahead).abs().max()) <= FISTA_TOLERANCE * lr:
                return weights, "converged"
            if optimum.clock.is_over():
                return weights, "time"
            if float(((ahead - moved) * delta).sum()) > 0:
                momentum = 1.0
            following = (1.0 + math.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
            ahead, momentum = moved + (momentum - 1.0) / following * delta, following
        return weights, "epochs"

    def _smooth(self, weights: Tensor) -> tuple[float, Tensor]:
        """The objective without its l1 term, and its gradient."""
        point, total = weights.detach(), 0.0
        gradient = torch.zeros_like(point)
        for x, y in self.pieces():
            out = (x.times(point[:-1]) + point[-1]).requires_grad_()
            loss = self.optimum.data.objective.training_loss(out, y) * (len(x) / self.count)
            (slope,) = torch.autograd.grad(loss, out)
            gradient[:-1] += x.transposed_times(slope)
            gradient[-1] += slope.sum(dim=0)
            total += float(loss.detach())
        gradient[:-1] += self.l2 * point[:-1]
        return total + float(0.5 * self.l2 * point[:-1].square().sum()), gradient

    def _shaped(self, flat: np.ndarray) -> Tensor:
        return torch.from_numpy(flat.copy()).to(self.like).view_as(self.like)

    def _watch(self, loss: float, weights: Tensor) -> None:
        """Note an iteration and tell of it. Raises RunFailed `training_diverged`, RunStopped."""
        optimum = self.optimum
        if not math.isfinite(loss):
            raise _exploded()
        optimum.progress.check_now_and_then()
        if self.watching is None:
            return
        with torch.no_grad():
            out = optimum._outputs(weights, self.watching)
            watched = float(optimum.data.objective.validation_loss(out, optimum.y[self.watching]))
        optimum.curves[-1].append((loss, watched))
        optimum.tell(optimum.curves[-1])


def _exploded() -> Exception:
    return failed(
        "training_diverged",
        "The loss must stay finite; it does not for this linear model.",
        "Look for columns with extreme numbers, or leave them out with drop=.",
    )
