"""What the networks share: the choices that a spec leaves open, and from a trained body to a candidate."""

from collections.abc import Callable

from torch import nn

from shared.specs import Activation, ModelName, Norm, OptimizerName, ScheduleName, TrainSpec
from workers.core.layers import BatchNorm, Dense, LayerNorm
from workers.core.loop import Data, Recipe, fit_descent, predict_folds, scaled_batch
from workers.core.models.candidate import Candidate, out_of_fold
from workers.core.predictor import NetMember, net_outputs
from workers.core.progress import Clock, Progress

MOST_UPDATES = 30_000

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
        epochs=spec.epochs or max(10, MOST_UPDATES // an_epoch),
        l1=spec.l1,
        l2=l2,
        patience_updates=spec.patience * an_epoch if spec.patience else max(600, 8 * an_epoch),
        seed=spec.seed,
        momentum=momentum if by_gradient else 0.0,
        nesterov=by_gradient and momentum > 0 and spec.nesterov is not False,
        schedule=spec.schedule or ScheduleName.PLATEAU,
        warmup=spec.warmup or 0.0,
        restarts=spec.restarts or 0,
        clip=spec.clip if spec.clip is not None else clip,
    )


def hidden_layers(spec: TrainSpec, folds: int, inner: int, widths: list[int], dropout: float) -> list[nn.Module]:
    """The layers from [.., inner] to [.., widths[-1]], as a spec or the model's defaults say."""
    if spec.depth is not None or spec.width is not None:
        widths = [spec.width or widths[0]] * (spec.depth or len(widths))
    share = dropout if spec.dropout is None else spec.dropout
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(Dense(folds, inner, width))
        match spec.norm:
            case Norm.BATCH:
                layers.append(BatchNorm(folds, width))
            case Norm.LAYER:
                layers.append(LayerNorm(folds, width))
        layers.append(_ACTIVATIONS[spec.activation or Activation.RELU]())
        if share:
            layers.append(nn.Dropout(share))
        inner = width
    return layers


def fit_network(  # noqa: PLR0913 - the values of one call of the loop
    name: ModelName,
    make_body: Callable[[], nn.Module],
    data: Data,
    recipe: Recipe,
    *,
    progress: Progress,
    clock: Clock,
    may_slow_down: bool,
    membered: bool = False,
) -> Candidate:
    """Train the body and see what its folds say of their validation rows."""
    descent, notes = fit_descent(
        make_body, data, recipe, model=name.value, progress=progress, clock=clock, may_slow_down=may_slow_down
    )
    said = [net_outputs(out, data.task, membered=membered) for out in predict_folds(descent.body, data, progress)]
    outputs = out_of_fold(data, said)
    member = NetMember(descent.body.cpu(), data.task, folded=len(data.folds) > 1, membered=membered).eval()
    return Candidate(name, member, outputs, descent.validation_loss, descent.plan, descent.curve, notes)
