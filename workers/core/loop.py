"""The training loop of every model that learns by mini-batches, in full view.

The rows are tensors on the device; each epoch shuffles them once into a copy and walks over contiguous slices with a
fused optimizer. Nothing inside an epoch waits for the device: losses add up there and are read at its end.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch._dynamo  # the first step of any optimizer imports it: a second that each forked run would spend again
from torch import Tensor, nn

from shared.errors import failed
from shared.events import EpochDone
from shared.specs import OptimizerName, Task
from workers.core.progress import Clock, Progress

# An improvement smaller than this share of the loss, or than this much, does not reset the patience; noise would keep a
# run alive for ever.
LEAST_GAIN, LEAST_LOSS_GAIN = 1e-4, 1e-5
# A validation loss that many times the untrained one will not come back.
EXPLODED = 1e6


@dataclass(frozen=True)
class Data:
    """The training and validation parts on one device: features [rows, width] float32; targets [rows] int64 class
    numbers, or [rows, 1] float32 in standardised units."""

    task: Task
    outputs: int
    """Classes, or 1 for regression."""
    train_x: Tensor
    train_y: Tensor
    validation_x: Tensor
    validation_y: Tensor

    @property
    def width(self) -> int:
        return self.train_x.shape[1]

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of logits [rows, classes], or mean squared error."""
        return nn.functional.mse_loss(out, y) if self.task is Task.REGRESSION else nn.functional.cross_entropy(out, y)


@dataclass(frozen=True)
class Recipe:
    """Every choice of a training by mini-batches, resolved."""

    optimizer: OptimizerName
    lr: float
    batch: int
    epochs: int
    l1: float
    l2: float
    patience_updates: int
    seed: int


@dataclass
class Fit:
    """A trained body and how it came about."""

    body: nn.Sequential
    validation_loss: float
    plan: dict[str, Any]
    """What was done, in plain values: enough to do it again without a clock."""
    curve: list[tuple[float, float]] = field(default_factory=list)
    """Training and validation loss after each epoch."""


def scaled_batch(rows: int) -> int:
    """A power of two that gives about thirty updates an epoch, 16 to 1024: one update an epoch teaches nothing."""
    return int(2 ** min(10, max(4, round(math.log2(max(1, rows) / 30)))))


def descend(body: nn.Sequential, data: Data, recipe: Recipe, *, model: str, progress: Progress, clock: Clock) -> Fit:
    """Train `body` until the validation loss stops falling, the epochs or the time are over; the best weights come
    back.

    Raises RunStopped, and RunFailed `training_diverged` when the loss exploded before any epoch was an improvement.
    """
    optimizer = _optimizer(body, recipe)
    shuffler = torch.Generator(device=data.train_x.device).manual_seed(recipe.seed)
    weights = [layer.weight for layer in body if isinstance(layer, nn.Linear)]
    rows = len(data.train_x)
    updates = stale = 0
    best_loss, kept_loss, best_epoch, best_state = math.inf, math.inf, 0, copy.deepcopy(body.state_dict())
    curve: list[tuple[float, float]] = []
    ended, untrained = "epochs", validate(body, data)
    limit = EXPLODED * max(1.0, untrained)
    for epoch in range(1, recipe.epochs + 1):
        body.train()
        order = torch.randperm(rows, generator=shuffler, device=data.train_x.device)
        x, y = data.train_x[order], data.train_y[order]
        total, seen = torch.zeros((), device=x.device), 0
        for start in range(0, rows, recipe.batch):
            xb, yb = x[start : start + recipe.batch], y[start : start + recipe.batch]
            loss = data.loss(body(xb), yb)
            if recipe.l1:
                loss = loss + recipe.l1 * torch.stack([weight.abs().sum() for weight in weights]).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach() * len(xb)
            seen, updates, stale = seen + len(xb), updates + 1, stale + 1
            progress.check_now_and_then()
            if clock.is_over():
                break
        train_loss, validation_loss = float(total) / seen, validate(body, data)
        if not math.isfinite(train_loss) or not validation_loss < limit:
            ended = "diverged"
            break
        curve.append((train_loss, validation_loss))
        if validation_loss < best_loss:
            best_loss, best_epoch, best_state = validation_loss, epoch, copy.deepcopy(body.state_dict())
        if validation_loss < kept_loss - max(LEAST_GAIN * kept_loss, LEAST_LOSS_GAIN) or epoch == 1:
            kept_loss, stale = validation_loss, 0
        progress.epoch(_event(model, epoch, recipe.epochs, (train_loss, validation_loss), clock))
        if stale >= recipe.patience_updates:
            ended = "patience"
            break
        if clock.is_over():
            ended = "time"
            break
    progress.last_epoch()
    if ended == "diverged" and best_loss > untrained:
        raise failed(
            "training_diverged",
            f"The loss must not explode; with {recipe.optimizer.value} and lr={recipe.lr:g} it does.",
            "Give a smaller lr=, or leave it out.",
        )
    body.load_state_dict(best_state)
    done = {"epochs_done": len(curve), "epoch_kept": best_epoch, "updates": updates, "ended_by": ended}
    return Fit(body, best_loss, {**asdict(recipe), **done}, curve)


def validate(body: nn.Sequential, data: Data, *, chunk_rows: int = 16_384) -> float:
    """The mean loss on the validation part."""
    body.eval()
    total, rows = 0.0, len(data.validation_x)
    with torch.inference_mode():
        for start in range(0, rows, chunk_rows):
            x, y = data.validation_x[start : start + chunk_rows], data.validation_y[start : start + chunk_rows]
            total += float(data.loss(body(x), y)) * len(x)
    return total / rows


def _optimizer(body: nn.Sequential, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer with l2 on weights only: in the gradient for SGD and Adam, decoupled for AdamW."""
    biases = [parameter for name, parameter in body.named_parameters() if name.endswith("bias")]
    weights = [parameter for name, parameter in body.named_parameters() if not name.endswith("bias")]
    groups = [{"params": weights, "weight_decay": recipe.l2}, {"params": biases, "weight_decay": 0.0}]
    match recipe.optimizer:
        case OptimizerName.SGD:
            return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True, fused=True)
        case OptimizerName.ADAM:
            return torch.optim.Adam(groups, lr=recipe.lr, fused=True)
        case OptimizerName.ADAMW:
            return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)


def _event(model: str, epoch: int, epochs: int, losses: Sequence[float], clock: Clock) -> EpochDone:
    return EpochDone(
        model=model,
        epoch=epoch,
        epochs=epochs,
        train_loss=losses[0],
        validation_loss=losses[1],
        eta_s=clock.eta_s(epoch, epochs),
    )
