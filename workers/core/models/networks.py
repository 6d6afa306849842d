"""What the networks share: the choices that a spec leaves open, and from a trained body to a candidate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import nn

from shared.specs import Activation, ModelName, Norm, OptimizerName, ScheduleName, TrainSpec
from workers.core.layers import BatchNorm, Dense, LayerNorm
from workers.core.loop import Data, Recipe, fit_descent, predict_folds, scaled_batch
from workers.core.models.candidate import Candidate, Followed, out_of_fold
from workers.core.predictor import NetMember, net_outputs
from workers.core.progress import Clock, Progress

MOST_UPDATES = 30_000
SCHEDULED_UPDATES = 3_000
"""Where the rate follows the share of the epochs that are done, and epochs= leaves their number open."""
_PLANNED = (ScheduleName.STEP, ScheduleName.EXPONENTIAL, ScheduleName.COSINE)

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    Activation.SIGMOID: nn.Sigmoid,
    Activation.TANH: nn.Tanh,
    Activation.RELU: nn.ReLU,
    Activation.GELU: nn.GELU,
    Activation.SILU: nn.SiLU,
}


def resolve_recipe(data: Data, spec: TrainSpec, *, lr: float, l2: float, clip: float | None = None) -> Recipe:
    """The recipe of a network; `lr`, `l2` and `clip` are the model's own defaults for AdamW.

    Patience counts updates, not epochs, so that small tables train as long as large ones do.
    """
    rows = max(len(fold.train) for fold in data.folds)
    optimizer = spec.optimizer or OptimizerName.ADAMW
    batch = rows if optimizer is OptimizerName.GD else min(rows, spec.batch or scaled_batch(rows))
    an_epoch = -(-rows // batch)
    by_gradient = optimizer in (OptimizerName.SGD, OptimizerName.GD)
    momentum = spec.momentum if spec.momentum is not None else (0.9 if optimizer is OptimizerName.SGD else 0.0)
    if spec.l2 is not None:
        l2 = spec.l2
    elif optimizer is not OptimizerName.ADAMW:
        l2 = 1e-4  # decoupled decay is scaled by the learning rate, this one is not
    return Recipe(
        optimizer=optimizer,
        lr=spec.lr or (1e-2 if by_gradient else lr),
        batch=batch,
        epochs=horizon(spec, an_epoch),
        l1=spec.l1,
        l2=l2,
        patience_updates=patience(spec, an_epoch, horizon(spec, an_epoch), usual=max(600, 8 * an_epoch)),
        seed=spec.seed,
        momentum=momentum if by_gradient else 0.0,
        nesterov=by_gradient and momentum > 0 and spec.nesterov is not False,
        schedule=spec.schedule or ScheduleName.PLATEAU,
        warmup=spec.warmup or 0.0,
        restarts=spec.restarts or 0,
        clip=spec.clip if spec.clip is not None else clip,
    )


def followed_recipe(recipe: Recipe, plan: Mapping[str, Any]) -> Recipe:
    """Every choice of the recipe that `plan` tells of, as it was made there."""
    told = {one.name: plan[one.name] for one in fields(Recipe) if one.name in plan}
    for name, kind in (("optimizer", OptimizerName), ("schedule", ScheduleName)):
        told |= {name: kind(told[name])} if name in told else {}
    return replace(recipe, **told)


def horizon(spec: TrainSpec, an_epoch: int, *, least: int = 10) -> int:
    """How many epochs of `an_epoch` updates there are at most. A schedule that is stretched over them, or a warm-up,
    gets a number that is reached, or the rate would hardly move before training ends.
    """
    if spec.epochs:
        return spec.epochs
    if spec.schedule in _PLANNED or spec.warmup:
        return max(least, -(-SCHEDULED_UPDATES // an_epoch))
    return max(least, MOST_UPDATES // an_epoch)


def patience(spec: TrainSpec, an_epoch: int, epochs: int, *, usual: int) -> int:
    """How many updates may go by without an improvement. A schedule that ends at a small rate comes to its end after
    `epochs`, unless patience= says otherwise.
    """
    if spec.patience:
        return spec.patience * an_epoch
    return epochs * an_epoch if spec.schedule in _PLANNED else usual


@dataclass(frozen=True)
class Hidden:
    """Every choice of a network's hidden layers, resolved."""

    widths: tuple[int, ...]
    activation: Activation
    norm: Norm
    dropout: float

    def layers(self, folds: int, inner: int) -> list[nn.Module]:
        """The layers from [.., inner] to [.., widths[-1]]."""
        layers: list[nn.Module] = []
        for width in self.widths:
            layers.append(Dense(folds, inner, width))
            match self.norm:
                case Norm.BATCH:
                    layers.append(BatchNorm(folds, width))
                case Norm.LAYER:
                    layers.append(LayerNorm(folds, width))
            layers.append(_ACTIVATIONS[self.activation]())
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            inner = width
        return layers


def resolve_hidden(spec: TrainSpec, widths: Sequence[int], dropout: float, follow: Followed = None) -> Hidden:
    """As the plan that is followed says, or the spec, or the model's defaults."""
    if follow is not None:
        return Hidden(
            widths=tuple(follow["widths"]),
            activation=Activation(follow["activation"]),
            norm=Norm(follow["norm"]),
            dropout=follow["dropout"],
        )
    if spec.depth is not None or spec.width is not None:
        widths = [spec.width or widths[0]] * (spec.depth or len(widths))
    return Hidden(
        widths=tuple(widths),
        activation=spec.activation or Activation.RELU,
        norm=spec.norm or Norm.NONE,
        dropout=dropout if spec.dropout is None else spec.dropout,
    )


def fit_network(  # noqa: PLR0913 - the values of one call of the loop
    name: ModelName,
    make_body: Callable[[], nn.Module],
    data: Data,
    recipe: Recipe,
    *,
    progress: Progress,
    clock: Clock,
    may_slow_down: bool,
    shape: Mapping[str, Any] | None = None,
    membered: bool = False,
    follow: Followed = None,
) -> Candidate:
    """Train the body and see what its folds say of their validation rows; `shape` tells the plan how it is built. Where
    there is a plan to `follow`, its recipe wins over `recipe`.

    A linear model is taken to its optimum, for which products of reduced precision are too rough.
    """
    if follow is not None:
        recipe, may_slow_down = followed_recipe(recipe, follow), False
        clock.asked = follow.get("asked_before", 0)
    with quick_products(data.x.is_cuda and name is not ModelName.LINEAR) as precision:
        descent, notes = fit_descent(
            make_body, data, recipe, model=name.value, progress=progress, clock=clock, may_slow_down=may_slow_down
        )
        said = [net_outputs(out, data.task, membered=membered) for out in predict_folds(descent.body, data, progress)]
    outputs = out_of_fold(data, said)
    member = NetMember(descent.body.cpu(), data.task, folded=len(data.folds) > 1, membered=membered).eval()
    plan = {**descent.plan, **(shape or {}), "matmul_precision": precision}
    return Candidate(name, member, outputs, descent.validation_loss, plan, descent.curve, notes)


@contextmanager
def quick_products(wanted: bool) -> Iterator[str]:
    """Within its block matrix products of float32 may use the TF32 units of a GPU; yields the precision's name."""
    before = torch.get_float32_matmul_precision()
    if wanted:
        torch.set_float32_matmul_precision("high")
    try:
        yield "high" if wanted else before
    finally:
        if wanted:
            torch.set_float32_matmul_precision(before)
