"""The training loop of every model that learns by mini-batches, in full view.

The rows are tensors on the device; each epoch shuffles them once into a copy and walks over contiguous slices with a
fused optimizer. Nothing inside an epoch waits for the device: losses add up there and are read at its end. All folds
are trained as one batched program: their batches, weights and losses have the fold as first dimension.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

import torch
import torch._dynamo  # the first step of any optimizer imports it: a second that each forked run would spend again
from torch import Tensor, nn

from shared.errors import failed
from shared.events import EpochDone
from shared.specs import OptimizerName, ScheduleName, Task
from workers.core.checkpoints import Part
from workers.core.features import Layout
from workers.core.layers import Expand, PiecewiseLinear
from workers.core.memory import ran_out
from workers.core.objective import Objective
from workers.core.progress import Clock, Progress
from workers.core.standing import Standing
from workers.core.step import Learner, Step, graphed_step, penalised, plain_step, traced_step

# A validation loss that many times the untrained one will not come back.
EXPLODED = 1e6
PLATEAU_FACTOR = 0.5
CHUNK_ROWS, CPU_CHUNK_ROWS = 16_384, 4_096  # how many rows are encoded or predicted at once
LEAST_BATCH = 16  # a smaller one saves no memory worth having
GRAPHED_BATCH = 1024  # up to here launching kernels takes longer than they do: the step becomes one CUDA graph
TRACED_UPDATES = 500  # tracing takes as long as 50 to 300 steps, and saves a seventh to a third of each
ENCODED_BYTES = 2**27  # what an encoding of all rows, kept for the whole training, may take


@dataclass(frozen=True)
class Fold:
    """Which rows of the matrix learn, and which watch: [n] int64 each."""

    train: Tensor
    validation: Tensor


@dataclass(frozen=True)
class Data:
    """The development rows on one device, as `Preprocess` makes them."""

    task: Task
    outputs: int
    """Classes, or 1 for regression."""
    layout: Layout
    x: Tensor
    """[rows, D] float32."""
    y: Tensor
    """[rows] int64 class numbers, or [rows, 1] float32 in deviations of the target."""
    folds: tuple[Fold, ...]
    """One: a hold-out. Several: each row watches in one of them and learns in the others."""
    objective: Objective


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
    momentum: float = 0.0
    nesterov: bool = False
    schedule: ScheduleName = ScheduleName.CONSTANT
    warmup: float = 0.0
    restarts: int = 0
    clip: float | None = None


@dataclass
class Descent:
    """A trained body and how it came about."""

    body: nn.Module
    validation_loss: float
    """The mean over the folds."""
    plan: dict[str, Any]
    """What was done, in plain values: enough to do it again without a clock."""
    curve: list[tuple[float, float]] = field(default_factory=list)
    """Training and validation loss after each epoch."""


def scaled_batch(rows: int) -> int:
    """A power of two that gives about fifty updates an epoch, 16 to 1024: one update an epoch teaches nothing."""
    return int(2 ** min(10, max(4, round(math.log2(max(1, rows) / 50)))))


def descend(body: nn.Module, data: Data, recipe: Recipe, *, model: str, progress: Progress, clock: Clock) -> Descent:
    """Train `body` until the validation loss stops falling, the epochs or the time are over; each fold's best weights
    come back.

    Raises RunStopped, and RunFailed `training_diverged` when the loss exploded before any epoch was an improvement.
    """
    learnt, data = _encoded(body, data, progress)
    device, folds = data.x.device, len(data.folds)
    learning = _padded([fold.train for fold in data.folds])  # [K, rows]
    rows = learning.shape[1]
    total = recipe.epochs * -(-rows // recipe.batch)
    optimizer = _optimizer(learnt, recipe, device)
    schedule = _Schedule(recipe, optimizer, total=total)
    shuffler = torch.Generator(device=device).manual_seed(recipe.seed)
    at = Standing(learnt, optimizer, shuffler, schedule.state, clock, folds=folds)
    if (kept := progress.kept(model)) is not None:
        at.restore(kept)
    else:
        at.untrained = validation_losses(learnt, data, progress)
    progress.keep(model, at.part)
    take_step = _step(learnt, data, recipe, optimizer, total=total)
    limit = EXPLODED * max(1.0, *at.untrained)
    while at.ended == "epochs" and at.epoch <= recipe.epochs:
        learnt.train()
        order = torch.stack([torch.randperm(rows, generator=shuffler, device=device) for _ in range(folds)])
        shuffled = learning.gather(1, order)
        batches = zip(*(_batches(values, shuffled, recipe.batch) for values in (data.x, data.y)), strict=True)
        for x, y in islice(batches, at.batches, None):
            size = x.shape[-2]
            if at.is_cut or size == 1 < rows:
                break  # a single row has no variance to normalise by, and next to no weight
            schedule.before(at.updates)
            at.step(take_step(x, y), size)
            at.is_cut = clock.is_over()
            progress.check_now_and_then()
        train_loss, losses = float(at.sum_of_losses) / at.seen, validation_losses(learnt, data, progress)
        if not math.isfinite(train_loss) or not max(losses) < limit:
            at.ended = "diverged"
            break
        at.curve.append((train_loss, sum(losses) / folds))
        gained, warms_up = at.best.keep(losses, at.epoch), at.updates <= recipe.warmup * total
        at.stale = 0 if gained or (warms_up and recipe.warmup) else at.stale
        schedule.after(at.stale)
        event = _event(model, at.epoch, recipe.epochs, at.curve[-1], clock)
        at.ended = "patience" if at.stale >= recipe.patience_updates else "time" if at.is_cut else "epochs"
        at.begin_epoch()
        progress.epoch(event)
    progress.last_epoch()
    best = at.best
    if at.ended == "diverged" and any(loss > start for loss, start in zip(best.losses, at.untrained, strict=True)):
        raise failed(
            "training_diverged",
            f"The loss must not explode; with {recipe.optimizer.value} and lr={recipe.lr:g} it does.",
            "Give a smaller lr=, or leave it out.",
        )
    best.restore()
    progress.keep(model, at.learnt())
    done = {"epochs_done": len(at.curve), "epoch_kept": best.epochs, "updates": at.updates, "ended_by": at.ended}
    done["horizon_updates"] = total
    return Descent(body.eval(), sum(best.losses) / folds, {**asdict(recipe), **done}, at.curve)


def predict_folds(body: nn.Module, data: Data, progress: Progress | None = None) -> list[Tensor]:
    """What each fold's body says of the fold's validation rows: [n, outputs], or [n, members, outputs]."""
    body.eval()
    watching = _padded([fold.validation for fold in data.folds])
    chunks, chunk_rows = [], CHUNK_ROWS if data.x.is_cuda else CPU_CHUNK_ROWS
    with torch.inference_mode():
        for start in range(0, watching.shape[1], chunk_rows):
            if progress:
                progress.check_now_and_then()
            part = watching[:, start : start + chunk_rows]
            out = body(data.x[part[0]])[None] if len(data.folds) == 1 else body(data.x[part])
            chunks.append(out)
    outputs = torch.cat(chunks, dim=1)
    return [outputs[k, : len(fold.validation)] for k, fold in enumerate(data.folds)]


def validation_losses(body: nn.Module, data: Data, progress: Progress | None = None) -> list[float]:
    """The mean loss of each fold on its validation rows."""
    outputs = predict_folds(body, data, progress)
    losses = [
        data.objective.validation_loss(out, data.y[fold.validation])
        for out, fold in zip(outputs, data.folds, strict=True)
    ]
    return [float(loss) for loss in torch.stack(losses).cpu()]


def fit_descent(  # noqa: PLR0913 - the values of one call of `descend`, and what makes the body
    make_body: Callable[[], nn.Module],
    data: Data,
    recipe: Recipe,
    *,
    model: str,
    progress: Progress,
    clock: Clock,
    may_slow_down: bool,
) -> tuple[Descent, list[str]]:
    """`descend`, and what to do when it cannot: half the batch where memory ends; where the loss explodes, once, a
    tenth of the rate, unless a person chose it. The second value says in words what was changed.
    """
    notes, answers = list[str](), f"{model}.answers"
    lowered, asked = not may_slow_down, clock.asked
    if (kept := progress.kept(answers)) is not None:
        recipe = replace(recipe, batch=kept.plain["batch"], lr=kept.plain["lr"])
        lowered, notes = kept.plain["lowered"], list(kept.plain["notes"])
        asked = kept.plain.get("asked", 0) if progress.kept(model) is not None else asked
    while True:
        given = {"batch": recipe.batch, "lr": recipe.lr, "lowered": lowered, "notes": list(notes), "asked": asked}
        progress.keep(answers, Part(plain=given))
        try:
            torch.manual_seed(recipe.seed)
            body = make_body().to(data.x.device)
            descent = descend(body, data, recipe, model=model, progress=progress, clock=clock)
            # A repeat goes straight to this attempt: the clock counts on from the questions of those before.
            return replace(descent, plan=descent.plan | {"asked_before": asked}), notes
        except Exception as error:
            asked = clock.asked
            if ran_out(error):
                recipe = _smaller(recipe, error)
                progress.forget(model)
                torch.cuda.empty_cache()
                notes.append(f"`{model}`: there is no memory for a larger batch; it learnt with batch={recipe.batch}.")
                continue
            if getattr(error, "code", "") != "training_diverged" or lowered:
                raise
            lowered, recipe = True, replace(recipe, lr=recipe.lr / 10)
            progress.forget(model)
            notes.append(f"`{model}`: the loss exploded, so it began again with lr={recipe.lr:g}.")


def _smaller(recipe: Recipe, error: Exception) -> Recipe:
    """With half the batch. Raises RunFailed `out_of_memory` for gradient descent, which has no batches, and `error`
    where the batch is small already.
    """
    if recipe.optimizer is OptimizerName.GD:
        raise failed(
            "out_of_memory",
            f"optimizer=gd takes each step on all rows at once, and memory does not hold a step on {recipe.batch:,}.",
            "Say optimizer=sgd, which learns batch by batch.",
        ) from error
    if recipe.batch <= LEAST_BATCH:
        raise error
    return replace(recipe, batch=recipe.batch // 2)


def _encoded(body: nn.Module, data: Data, progress: Progress) -> tuple[nn.Module, Data]:
    """The body without its first layer, and the rows as that layer gives them, where it only encodes and they fit into
    memory: each epoch would compute them anew.
    """
    first = body[0] if isinstance(body, nn.Sequential) else None
    if not isinstance(body, nn.Sequential) or not isinstance(first, Expand | PiecewiseLinear):
        return body, data
    if 4 * len(data.x) * first.width > ENCODED_BYTES:
        return body, data
    x = torch.empty(len(data.x), first.width, device=data.x.device)
    with torch.no_grad():
        for start in range(0, len(x), CHUNK_ROWS):
            progress.check_now_and_then()
            x[start : start + CHUNK_ROWS] = first(data.x[start : start + CHUNK_ROWS])
    return body[1:], replace(data, x=x)


def _step(body: nn.Module, data: Data, recipe: Recipe, optimizer: torch.optim.Optimizer, *, total: int) -> Step:
    """The fastest kind of step for a training of at most `total` updates."""
    learner = Learner(body, data.objective, folds=len(data.folds), l1=recipe.l1, clip=recipe.clip)
    if data.x.is_cuda and recipe.batch <= GRAPHED_BATCH:
        return graphed_step(learner, optimizer, batch=recipe.batch)
    if data.x.is_cpu and total >= TRACED_UPDATES:
        return traced_step(learner, optimizer, batch=recipe.batch)
    return plain_step(learner, optimizer)


def _batches(values: Tensor, rows: Tensor, batch: int) -> Sequence[Tensor]:
    """`values[rows]` in slices: rows [K, rows] of [N, ...] to [(K,) batch, ...], the last one shorter."""
    taken = values.index_select(0, rows.flatten())  # four times as fast as `values[rows]`
    folds = len(rows)
    return taken.split(batch) if folds == 1 else taken.view(*rows.shape, *values.shape[1:]).split(batch, dim=1)  # type: ignore[no-any-return,no-untyped-call]


class _Schedule:
    """Sets the learning rate before each update."""

    def __init__(self, recipe: Recipe, optimizer: torch.optim.Optimizer, *, total: int) -> None:
        self.recipe, self.optimizer, self.total = recipe, optimizer, max(1, total)
        self.state = {"shrunk": 1.0, "stalled": 0}  # of a plateau
        self.changes = recipe.schedule is not ScheduleName.CONSTANT or recipe.warmup > 0

    def before(self, updates: int) -> None:
        """Ahead of update number `updates`, counted from 0."""
        if not self.changes:
            return
        rate = self.recipe.lr * self.factor((updates + 1) / self.total)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def after(self, stale: int) -> None:
        """At the end of an epoch; `stale` updates were taken since the last improvement."""
        if stale == 0:
            self.state["stalled"] = 0
        elif stale - self.state["stalled"] >= self.recipe.patience_updates / 4:
            self.state["shrunk"] *= PLATEAU_FACTOR
            self.state["stalled"] = stale

    def factor(self, done: float) -> float:
        """What the learning rate is multiplied with after this share of all updates."""
        recipe = self.recipe
        if done < recipe.warmup:
            return done / recipe.warmup
        rest = (done - recipe.warmup) / (1.0 - recipe.warmup)
        match recipe.schedule:
            case ScheduleName.STEP:
                return float(0.1 ** min(2, math.floor(3 * rest)))
            case ScheduleName.EXPONENTIAL:
                return float(0.01**rest)
            case ScheduleName.COSINE:
                turns = rest * (recipe.restarts + 1)
                return (1.0 + math.cos(math.pi * (turns - math.floor(turns) if rest < 1 else 1.0))) / 2.0
            case ScheduleName.PLATEAU:
                return self.state["shrunk"]
        return 1.0


def _optimizer(body: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer with l2 on weights only: in the gradient for SGD and Adam, decoupled for AdamW."""
    weights = penalised(body)
    decays = {id(weight) for weight in weights}
    others = [p for p in body.parameters() if id(p) not in decays]
    groups = [{"params": weights, "weight_decay": recipe.l2}, {"params": others, "weight_decay": 0.0}]
    cuda = device.type == "cuda"
    # A captured step reads the rate from the device.
    lr: float | Tensor = torch.tensor(recipe.lr, device=device) if cuda else recipe.lr
    match recipe.optimizer:
        case OptimizerName.SGD | OptimizerName.GD:
            return torch.optim.SGD(groups, lr=lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True)
        case OptimizerName.ADAM:
            return torch.optim.Adam(groups, lr=lr, fused=True, capturable=cuda)
        case OptimizerName.ADAMW:
            return torch.optim.AdamW(groups, lr=lr, fused=True, capturable=cuda)


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """[K, most] int64: shorter folds begin again, so that all have the same length."""
    most = max(len(one) for one in rows)
    return torch.stack([one.repeat(-(-most // len(one)))[:most] for one in rows])


def _event(model: str, epoch: int, epochs: int, losses: Sequence[float], clock: Clock) -> EpochDone:
    return EpochDone(
        model=model,
        epoch=epoch,
        epochs=epochs,
        train_loss=losses[0],
        validation_loss=losses[1],
        eta_s=clock.eta_s(epoch, epochs),
    )
