"""A fully connected network, 128-64: the floor that plain deep learning sets on tables."""

import torch
from torch import nn

from shared.specs import OptimizerName, TrainSpec
from workers.core.loop import Data, Fit, Recipe, descend, scaled_batch
from workers.core.progress import Clock, Progress

HIDDEN = (128, 64)
DROPOUT = 0.1
# Standardised values further out are cut: a typing error in one cell must not drown the rest.
FURTHEST = 10.0
MOST_UPDATES = 30_000


def fit_mlp(data: Data, spec: TrainSpec, *, progress: Progress, clock: Clock) -> Fit:
    """Train the network; what `spec` leaves open gets the defaults of this file.

    Patience counts updates, not epochs, so that small tables train as long as large ones do.
    """
    torch.manual_seed(spec.seed)
    body = _body(data.width, data.outputs).to(data.train_x.device)
    rows = len(data.train_x)
    batch = min(rows, spec.batch or scaled_batch(rows))
    optimizer = spec.optimizer or OptimizerName.ADAMW
    an_epoch = -(-rows // batch)
    recipe = Recipe(
        optimizer=optimizer,
        lr=spec.lr or (1e-2 if optimizer is OptimizerName.SGD else 1e-3),
        batch=batch,
        epochs=spec.epochs or max(10, MOST_UPDATES // an_epoch),
        l1=spec.l1,
        l2=_default_l2(optimizer) if spec.l2 is None else spec.l2,
        patience_updates=max(600, 8 * an_epoch),
        seed=spec.seed,
    )
    return descend(body, data, recipe, model="mlp", progress=progress, clock=clock)


def _body(width: int, outputs: int) -> nn.Sequential:
    """[rows, width] to [rows, outputs]."""
    layers: list[nn.Module] = [nn.Hardtanh(-FURTHEST, FURTHEST)]
    for inner in HIDDEN:
        layers += [nn.Linear(width, inner), nn.ReLU(), nn.Dropout(DROPOUT)]
        width = inner
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def _default_l2(optimizer: OptimizerName) -> float:
    return 1e-2 if optimizer is OptimizerName.ADAMW else 1e-4  # decoupled decay is scaled by the learning rate
