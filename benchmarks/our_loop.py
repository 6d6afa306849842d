"""What the speed benchmarks know of our training loop, in one place: networks of our layers, and a timed run."""

import time

import torch
from torch import Tensor, nn

from shared.specs import LossName, OptimizerName, Task
from workers.core.features import Layout
from workers.core.layers import Dense, Members
from workers.core.loop import Data, Fold, Recipe, descend
from workers.core.objective import Objective
from workers.core.progress import Clock, Progress

OBJECTIVE = Objective(LossName.CROSS_ENTROPY)
L2 = 1e-2  # the default of PyTorch's AdamW, so that all do the same work


def mlp(features: int, hidden: int, classes: int) -> nn.Module:
    """A network with two hidden layers: [B, features] to [B, classes]."""
    torch.manual_seed(0)
    layers = (Dense(1, features, hidden), nn.ReLU(), Dense(1, hidden, hidden), nn.ReLU(), Dense(1, hidden, classes))
    return nn.Sequential(*layers)


def tabm(features: int, hidden: int, classes: int, *, members: int = 32) -> nn.Module:
    """An ensemble that shares two hidden layers: [B, features] to [B, members, classes]."""
    torch.manual_seed(0)
    shared = nn.Sequential(Dense(1, features, hidden), nn.ReLU(), Dense(1, hidden, hidden), nn.ReLU())
    return nn.Sequential(Members(1, members, features, shared, hidden, classes))


def seconds_of(body: nn.Module, x: Tensor, y: Tensor, *, batch: int, lr: float, epochs: int) -> float:
    """How long our loop takes for so many epochs, with all that it does: one batch of validation after each.

    Raises ValueError where it took other than one step for each batch.
    """
    fold = Fold(train=torch.arange(len(x), device=x.device), validation=torch.arange(batch, device=x.device))
    layout = Layout(numbers=x.shape[1], phases=0, codes=0, counts=0)
    data = Data(Task.BINARY, 2, layout, x, y, (fold,), OBJECTIVE)
    endless = 10**9
    recipe = Recipe(
        OptimizerName.ADAMW, lr=lr, batch=batch, epochs=epochs, l1=0.0, l2=L2, patience_updates=endless, seed=0
    )
    progress = Progress(lambda _event: None, lambda: False)
    start = time.perf_counter()
    done = descend(body, data, recipe, model="mlp", progress=progress, clock=Clock(float(endless)))
    seconds = time.perf_counter() - start
    steps = epochs * -(-len(x) // batch)
    if done.plan["updates"] != steps:
        raise ValueError(f"our loop took {done.plan['updates']} steps, not {steps}")
    return seconds
