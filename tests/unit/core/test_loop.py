"""The training loop: what it promises of its results, its rates, its end and its accidents."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shared.errors import RunFailed, RunStopped
from shared.specs import LossName, OptimizerName, ScheduleName, Task
from workers.core import loop
from workers.core.features import Layout
from workers.core.layers import BatchNorm, Dense, PiecewiseLinear
from workers.core.loop import Data, Descent, Fold, Recipe, descend, fit_descent, scaled_batch, validation_losses
from workers.core.objective import Objective
from workers.core.progress import Clock, Progress
from workers.core.step import Step

FEATURES = 6
RECIPE = Recipe(OptimizerName.ADAMW, lr=1e-2, batch=64, epochs=8, l1=0.0, l2=1e-2, patience_updates=10**6, seed=0)
TRACED = replace(RECIPE, epochs=-(-loop.TRACED_UPDATES // 7))  # 400 rows are 7 batches


def data_of(*, folds: int = 1, count: int = 500, regression: bool = False) -> Data:
    """Rows whose class, or number, follows from the first three features, noisily."""
    chance = torch.Generator().manual_seed(1)
    x = torch.randn(count, FEATURES, generator=chance)
    signal = x[:, 0] * x[:, 1] + x[:, 2] + 0.3 * torch.randn(count, generator=chance)
    fold = torch.arange(count) % 5
    laid = tuple(Fold((fold != k).nonzero()[:, 0], (fold == k).nonzero()[:, 0]) for k in range(folds))
    task = Task.REGRESSION if regression else Task.BINARY
    objective = Objective(LossName.MSE if regression else LossName.CROSS_ENTROPY)
    y = signal[:, None] if regression else (signal > 0).long()
    return Data(task, 1 if regression else 2, Layout(FEATURES, 0, 0, 0), x, y, laid, objective)


def net(folds: int = 1, *, outer: int = 2, dropout: float = 0.0) -> nn.Sequential:
    """The same small network each time."""
    torch.manual_seed(0)
    return nn.Sequential(
        Dense(folds, FEATURES, 32), BatchNorm(folds, 32), nn.ReLU(), nn.Dropout(dropout), Dense(folds, 32, outer)
    )


def line() -> nn.Sequential:
    """A linear regression."""
    torch.manual_seed(0)
    return nn.Sequential(Dense(1, FEATURES, 1))


def quiet(stop: Callable[[], bool] = lambda: False) -> Progress:
    """Progress that nobody reads."""
    return Progress(lambda _: None, stop)


def trained(body: nn.Module, data: Data, recipe: Recipe = RECIPE, *, clock: Clock | None = None) -> Descent:
    """The body after its training."""
    return descend(body, data, recipe, model="mlp", progress=quiet(), clock=clock or Clock(1e6))


def fitted(
    make: Callable[[], nn.Module], data: Data, recipe: Recipe, *, may_slow_down: bool = True
) -> tuple[Descent, list[str]]:
    """The training with its answers to accidents, and what they were."""
    clock = Clock(1e6)
    return fit_descent(make, data, recipe, model="mlp", progress=quiet(), clock=clock, may_slow_down=may_slow_down)


def weights(done: Descent) -> list[Tensor]:
    """All that was learnt."""
    return [tensor.clone() for tensor in done.body.state_dict().values()]


@pytest.mark.parametrize("recipe", [RECIPE, TRACED], ids=["plain", "traced"])
def test_repeats_are_the_same_bit_by_bit(recipe: Recipe) -> None:
    """One seed gives one model and one curve, random layers included."""

    def again() -> Descent:
        torch.manual_seed(recipe.seed)
        return trained(net(dropout=0.2), data_of(), recipe)

    one, other = again(), again()
    assert all(map(torch.equal, weights(one), weights(other)))
    assert one.curve == other.curve
    assert one.plan == other.plan


def test_a_traced_training_is_a_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing changes rounding and nothing else."""
    recipe = replace(RECIPE, lr=1e-3)
    plain = trained(net(), data_of(), recipe)
    monkeypatch.setattr(loop, "TRACED_UPDATES", 0)
    traced = trained(net(), data_of(), recipe)
    assert traced.curve == [pytest.approx(losses, rel=1e-4) for losses in plain.curve]
    assert traced.plan == plain.plan


@pytest.mark.parametrize("traced_from", [0, 10**9], ids=["traced", "plain"])
def test_folds_in_one_program_learn_what_each_would_alone(traced_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the same order of rows, a fold's weights are those of a training on that fold, clip and l1 included."""
    monkeypatch.setattr(loop, "TRACED_UPDATES", traced_from)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n))
    # Adam would blow up the rounding of gradients that are zero: those of the bias before a norm.
    recipe = replace(RECIPE, optimizer=OptimizerName.SGD, momentum=0.9, lr=0.03, l1=1e-3, clip=0.5)
    data = data_of(folds=3)
    together = trained(net(3), data, recipe)
    start = net(3).state_dict()
    for k, fold in enumerate(data.folds):
        alone = net()
        own = {name: tensor[k].reshape(alone.state_dict()[name].shape) for name, tensor in start.items()}
        alone.load_state_dict(own)
        done = trained(alone, replace(data, folds=(fold,)), recipe)
        for name, tensor in done.body.state_dict().items():
            assert torch.allclose(together.body.state_dict()[name][k].reshape(tensor.shape), tensor, atol=1e-5)
        assert together.plan["epoch_kept"][k] == done.plan["epoch_kept"][0]


def test_shorter_folds_begin_again() -> None:
    """Folds of unequal length train as one program, and each keeps its own validation rows."""
    data = data_of(folds=2)
    data = replace(data, folds=(data.folds[0], Fold(data.folds[1].train[:150], data.folds[1].validation[:31])))
    done = trained(net(2), data)
    assert done.plan["updates"] == RECIPE.epochs * 7
    assert sum(validation_losses(done.body, data)) / 2 == pytest.approx(done.validation_loss, rel=1e-6)


def test_the_best_weights_come_back() -> None:
    """What is returned has the best validation loss of the curve, running statistics included."""
    data = data_of(count=200)
    done = trained(net(), data, replace(RECIPE, lr=0.05, epochs=40))
    best = min(range(len(done.curve)), key=lambda k: done.curve[k][1])
    assert best < len(done.curve) - 1
    assert done.plan["epoch_kept"] == [best + 1]
    assert done.validation_loss == done.curve[best][1]
    assert validation_losses(done.body, data) == [done.validation_loss]
    assert not done.body.training


def test_patience_ends_a_training_that_gains_nothing() -> None:
    """So many updates after the last improvement it is over."""
    done = trained(net(), data_of(), replace(RECIPE, lr=1e-12, epochs=50, patience_updates=21))
    assert done.plan["ended_by"] == "patience"
    assert done.plan["epochs_done"] == 4
    assert done.plan["updates"] == 28


def test_a_training_that_time_ended_can_be_followed() -> None:
    """The clock's answers repeat a training that was cut off in the middle of an epoch, bit by bit."""
    clock = Clock(1e6, follow=[17])
    cut = trained(net(), data_of(), clock=clock)
    assert cut.plan["ended_by"] == "time"
    assert cut.plan["updates"] == 17
    again = trained(net(), data_of(), clock=Clock(0.0, follow=clock.over_at))
    assert all(map(torch.equal, weights(cut), weights(again)))


def test_a_single_last_row_is_left_out() -> None:
    """It has no variance to normalise by."""
    data = replace(data_of(), folds=(Fold(torch.arange(129), torch.arange(200, 300)),))
    assert trained(net(), data).plan["updates"] == RECIPE.epochs * 2


@pytest.mark.parametrize("traced_from", [0, 10**9], ids=["traced", "plain"])
def test_a_clip_bounds_each_update(traced_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of gradient descent with rate 1 goes no further than the clip."""
    monkeypatch.setattr(loop, "TRACED_UPDATES", traced_from)
    data = data_of(regression=True)
    recipe = Recipe(OptimizerName.GD, lr=1.0, batch=400, epochs=1, l1=0.0, l2=0.0, patience_updates=9, seed=0)
    start = weights(Descent(line(), 0.0, {}))

    def moved(recipe: Recipe) -> float:
        ends = weights(trained(line(), data, recipe))
        return math.sqrt(sum(float((a - b).square().sum()) for a, b in zip(start, ends, strict=True)))

    assert moved(recipe) > 0.1
    assert moved(replace(recipe, clip=0.1)) == pytest.approx(0.1, rel=1e-3)
    assert moved(replace(recipe, clip=50.0)) == pytest.approx(moved(recipe), rel=1e-6)


@pytest.mark.parametrize("traced_from", [0, 10**9], ids=["traced", "plain"])
def test_l1_empties_weights_that_say_nothing(traced_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six features only the third speaks in a straight line; the others' weights go to zero."""
    monkeypatch.setattr(loop, "TRACED_UPDATES", traced_from)
    data = data_of(count=2000, regression=True)
    recipe = replace(RECIPE, optimizer=OptimizerName.SGD, lr=0.02, l2=0.0, l1=0.2, batch=400, epochs=60)
    weight = trained(line(), data, recipe).body[0].weight[:, 0].detach().abs()  # type: ignore[index]
    assert weight[2] > 0.7
    assert weight[[0, 1, 3, 4, 5]].max() < 0.01
    free = trained(line(), data, replace(recipe, l1=0.0)).body[0].weight[:, 0].detach().abs()  # type: ignore[index]
    assert free[2] == pytest.approx(1.0, abs=0.1)


def rates_of(monkeypatch: pytest.MonkeyPatch, **words: Any) -> list[float]:
    """The rate of each of 70 updates that change nothing, for a rate of 1."""
    rates = list[float]()

    def recording(_: Any, optimizer: torch.optim.Optimizer) -> Step:
        def take(x: Tensor, y: Tensor) -> Tensor:
            rates.append(optimizer.param_groups[0]["lr"])
            return torch.zeros(())

        return take

    monkeypatch.setattr(loop, "plain_step", recording)
    trained(net(), data_of(), replace(RECIPE, lr=1.0, epochs=10, **words))
    assert len(rates) == 70
    return rates


def test_a_constant_rate_stays_and_a_warm_up_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up over half of the updates rises in equal steps to the rate."""
    assert set(rates_of(monkeypatch)) == {1.0}
    rates = rates_of(monkeypatch, warmup=0.5)
    assert rates[:35] == pytest.approx([(k + 1) / 35 for k in range(35)])
    assert rates[35:] == pytest.approx([1.0] * 35)


def test_step_and_exponential_rates_fall_to_a_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps: a tenth after each third. Exponential: by the same factor each time."""
    steps = rates_of(monkeypatch, schedule=ScheduleName.STEP)
    assert [rates for k, rates in enumerate(steps) if k in (0, 21, 24, 44, 47, 69)] == pytest.approx(
        [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    )
    falling = rates_of(monkeypatch, schedule=ScheduleName.EXPONENTIAL)
    assert falling[-1] == pytest.approx(0.01)
    assert [b / a for a, b in pairwise(falling)] == pytest.approx([0.01 ** (1 / 70)] * 69)


def test_cosine_rates_fall_to_nothing_and_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a cosine from the rate to 0; with one restart, two of them."""
    once = rates_of(monkeypatch, schedule=ScheduleName.COSINE)
    assert once[34] == pytest.approx(0.5)
    assert once[-1] == pytest.approx(0.0, abs=1e-12)
    assert sorted(once, reverse=True) == once
    twice = rates_of(monkeypatch, schedule=ScheduleName.COSINE, restarts=1)
    assert twice[33] < 0.01
    assert twice[34] == pytest.approx(1.0)
    assert twice[-1] == pytest.approx(0.0, abs=1e-12)


def test_a_rate_is_halved_on_a_plateau(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that a quarter of the patience goes by without an improvement."""
    rates = rates_of(monkeypatch, schedule=ScheduleName.PLATEAU, patience_updates=80)
    assert [rates[7 * epoch] for epoch in range(10)] == [1.0] * 4 + [0.5] * 3 + [0.25] * 3


def test_an_explosion_is_answered_by_a_lower_rate_once() -> None:
    """Unless a person chose the rate; the notes say so, and what it learns then is worth having."""
    recipe = replace(RECIPE, optimizer=OptimizerName.SGD, lr=3.0, epochs=20, momentum=0.9)
    data = data_of(regression=True)
    done, notes = fitted(line, data, recipe)
    assert notes == ["`mlp`: the loss exploded, so it began again with lr=0.3."]
    assert done.plan["lr"] == 0.3
    assert done.validation_loss < 2.0
    with pytest.raises(RunFailed, match="with sgd and lr=3 it does"):
        fitted(line, data, recipe, may_slow_down=False)


def test_a_second_explosion_is_a_failure() -> None:
    """A person is told the rate that was tried last, and what to do."""
    recipe = replace(RECIPE, optimizer=OptimizerName.SGD, lr=1e6, epochs=20)
    with pytest.raises(RunFailed) as raised:
        fitted(line, data_of(regression=True), recipe)
    (problem,) = raised.value.problems
    assert problem.code == "training_diverged"
    assert problem.sentence() == (
        "The loss must not explode; with sgd and lr=100000 it does. Give a smaller lr=, or leave it out."
    )


CPU_SAYS = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried")


class Roomless(nn.Module):
    """A layer for which memory ends above so many rows."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        super().__init__()
        self.most, self.error = most, error or torch.OutOfMemoryError()

    def forward(self, x: Tensor) -> Tensor:
        """Raises its error where it learns from too many rows."""
        if self.training and x.shape[-2] > self.most:
            raise self.error
        return x


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(), MemoryError(), CPU_SAYS], ids=["gpu", "python", "cpu"])
@pytest.mark.parametrize("traced_from", [0, 10**9], ids=["traced", "plain"])
def test_memory_that_ends_is_answered_by_half_the_batch(
    traced_from: int, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as it takes, of a GPU or a CPU; the notes and the plan say so."""
    monkeypatch.setattr(loop, "TRACED_UPDATES", traced_from)
    done, notes = fitted(lambda: nn.Sequential(Roomless(20, error), *net()), data_of(), RECIPE)
    said = "`mlp`: there is no memory for a larger batch; it learnt with batch="
    assert notes == [f"{said}32.", f"{said}16."]
    assert done.plan["batch"] == 16
    assert done.plan["updates"] == RECIPE.epochs * 25


def test_memory_that_is_never_enough_is_an_error() -> None:
    """Below sixteen rows a smaller batch is no answer."""
    with pytest.raises(torch.OutOfMemoryError):
        fitted(lambda: nn.Sequential(Roomless(4), *net()), data_of(), RECIPE)


def test_gradient_descent_never_becomes_another_optimizer() -> None:
    """Half of all rows would be a batch: where memory ends it fails, and says which optimizer has batches."""
    recipe = replace(RECIPE, optimizer=OptimizerName.GD, batch=400)
    with pytest.raises(RunFailed) as raised:
        fitted(lambda: nn.Sequential(Roomless(300), *net()), data_of(), recipe)
    (problem,) = raised.value.problems
    assert problem.code == "out_of_memory"
    assert problem.sentence() == (
        "optimizer=gd takes each step on all rows at once, and memory does not hold a step on 400. Say optimizer=sgd, "
        "which learns batch by batch."
    )


def test_another_fault_is_no_lack_of_memory() -> None:
    """A RuntimeError that says nothing of memory is not answered with a smaller batch."""
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fitted(
            lambda: nn.Sequential(Roomless(20, RuntimeError("shapes cannot be multiplied")), *net()), data_of(), RECIPE
        )


@pytest.mark.parametrize("warmup", [0.0, 0.9])
def test_patience_does_not_count_while_the_rate_rises(warmup: float) -> None:
    """A rate near zero teaches nothing, which is no reason to end before it has risen."""
    recipe = replace(RECIPE, lr=1e-12, epochs=10, patience_updates=14, warmup=warmup)
    done = trained(net(), data_of(), recipe)
    assert done.plan["epochs_done"] == (10 if warmup else 3)
    assert done.plan["horizon_updates"] == 70


def test_a_stop_is_honoured_within_a_second() -> None:
    """Whoever asks for a stop in the middle of an epoch does not wait for its end."""
    asked = time.monotonic() + 0.3
    recipe = replace(RECIPE, batch=16, epochs=10**6)
    with pytest.raises(RunStopped):
        descend(
            net(),
            data_of(count=100_000),
            recipe,
            model="mlp",
            progress=quiet(lambda: time.monotonic() >= asked),
            clock=Clock(1e6),
        )
    assert time.monotonic() - asked < 1.0


@pytest.mark.parametrize("folds", [1, 3])
def test_rows_are_encoded_once_where_they_fit(folds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training is the same, bit by bit, as with an encoding in each step, and the body reads raw rows after it."""
    data = data_of(folds=folds)

    def body() -> nn.Sequential:
        first = PiecewiseLinear(data.layout, data.x, bins=8)
        torch.manual_seed(0)
        return nn.Sequential(first, Dense(folds, first.width, 16), nn.ReLU(), Dense(folds, 16, 2))

    once = trained(body(), data)
    monkeypatch.setattr(loop, "ENCODED_BYTES", 0)
    monkeypatch.setattr(PiecewiseLinear, "forward", counted := Counted(PiecewiseLinear.forward))
    each_time = trained(body(), data)
    assert counted.calls > RECIPE.epochs * 7
    assert all(map(torch.equal, weights(once), weights(each_time)))
    assert validation_losses(once.body, data) == validation_losses(each_time.body, data)


class Counted:
    """A method that counts its calls."""

    def __init__(self, method: Callable[..., Tensor]) -> None:
        self.method, self.calls = method, 0

    def __get__(self, owner: Any, _: Any) -> Callable[[Tensor], Tensor]:
        def call(x: Tensor) -> Tensor:
            self.calls += 1
            return self.method(owner, x)

        return call


@pytest.mark.parametrize(("rows", "batch"), [(1, 16), (800, 16), (3200, 64), (12_800, 256), (10**7, 1024)])
def test_a_batch_gives_about_fifty_updates_an_epoch(rows: int, batch: int) -> None:
    """A power of two between 16 and 1024."""
    assert scaled_batch(rows) == batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("folds", [1, 3])
def test_a_gpu_learns_what_the_cpu_does(folds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the same order of rows, the graphed step gives the curve of a CPU to its rounding."""
    monkeypatch.setattr(torch, "randperm", lambda n, device=None, **_: torch.arange(n, device=device))
    recipe, data = replace(RECIPE, lr=1e-3), data_of(folds=folds)
    on_cpu = trained(net(folds), data, recipe)
    moved = tuple(Fold(fold.train.cuda(), fold.validation.cuda()) for fold in data.folds)
    on_gpu = trained(net(folds).cuda(), replace(data, x=data.x.cuda(), y=data.y.cuda(), folds=moved), recipe)
    assert on_gpu.curve == [pytest.approx(losses, rel=1e-2) for losses in on_cpu.curve]
    assert on_gpu.plan["updates"] == on_cpu.plan["updates"]
