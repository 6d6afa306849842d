"""One step of learning: the traced program, the CUDA graph and the fused updates against the plain step."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shared.specs import LossName
from workers.core import step
from workers.core.features import Layout
from workers.core.layers import BatchNorm, Dense, Expand, LayerNorm, Members, PiecewiseLinear
from workers.core.objective import Objective
from workers.core.step import Learner, fused_update, graphed_step, plain_step, trace, traced_step

LAYOUT = Layout(numbers=6, phases=0, codes=2, counts=0)
ENTROPY = Objective(LossName.CROSS_ENTROPY)


def rows(count: int) -> Tensor:
    """Numbers with gaps and two coded columns."""
    chance = torch.Generator().manual_seed(3)
    numbers = torch.randn(count, 6, generator=chance)
    numbers[::7, 2] = float("nan")
    return torch.cat([numbers, torch.randint(0, 4, (count, 2), generator=chance).float()], dim=1)


def classes(count: int, *, of: int = 3) -> Tensor:
    """Class numbers."""
    return torch.randint(0, of, (count,), generator=torch.Generator().manual_seed(4))


def dense(folds: int = 1, *, inner: int = 8, outer: int = 3) -> nn.Sequential:
    """Two layers, the inner one wide enough for oneDNN, the outer one narrow."""
    return nn.Sequential(Dense(folds, inner, 128), nn.ReLU(), Dense(folds, 128, 64), nn.Tanh(), Dense(folds, 64, outer))


def expanded() -> nn.Sequential:
    """Words and gaps before the layers."""
    first = Expand(LAYOUT, rows(300))
    return nn.Sequential(first, *dense(inner=first.width))


def normed() -> nn.Sequential:
    """Both norms, and the smooth activations."""
    return nn.Sequential(
        Dense(1, 8, 32), BatchNorm(1, 32), nn.GELU(), Dense(1, 32, 32), LayerNorm(1, 32), nn.SiLU(), Dense(1, 32, 3)
    )


def dropping() -> nn.Sequential:
    """A layer that draws random numbers."""
    return nn.Sequential(Dense(1, 8, 32), nn.Sigmoid(), nn.Dropout(0.3), Dense(1, 32, 3))


def ensemble() -> nn.Sequential:
    """Members over piecewise-linear encodings."""
    first = PiecewiseLinear(LAYOUT, rows(300), bins=5)
    shared = nn.Sequential(Dense(1, first.width, 64), nn.ReLU(), nn.Dropout(0.1))
    return nn.Sequential(first, Members(1, 4, first.width, shared, 64, 3))


BODIES: dict[str, Callable[[], nn.Sequential]] = {
    "dense": dense,
    "expanded": expanded,
    "normed": normed,
    "dropping": dropping,
    "ensemble": ensemble,
}


def make(body: Callable[[], nn.Sequential], objective: Objective = ENTROPY, **words: Any) -> Learner:
    """A learner with the same weights each time."""
    torch.manual_seed(0)
    return Learner(body(), objective, **words).train()


def batch(count: int = 256) -> tuple[Tensor, Tensor]:
    """Rows without gaps, and classes."""
    return rows(count).nan_to_num(), classes(count)


def run(program: Callable[..., list[Tensor]], learner: Learner, x: Tensor, y: Tensor) -> list[Tensor]:
    """What the program says, with the random numbers of seed 7."""
    torch.manual_seed(7)
    return program(x, y, *(tensor.detach() for tensor in (*learner.parameters(), *learner.buffers())))


def plainly(learner: Learner, x: Tensor, y: Tensor) -> list[Tensor]:
    """What the learner says, with the random numbers of seed 7."""
    torch.manual_seed(7)
    return list(learner(x, y))


def agree(some: list[Tensor], others: list[Tensor], *, within: float = 1e-5) -> bool:
    """Whether all are equal to rounding, beside the largest of each."""
    assert len(some) == len(others)
    pairs = zip(some, others, strict=True)
    with torch.no_grad():
        return all(float((a - b).abs().max()) <= within * max(1e-3, float(b.abs().max())) for a, b in pairs)


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("body", BODIES)
def test_a_traced_program_computes_what_the_layers_do(body: str, onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss and gradients are those of the layers, dropout draws the same numbers, running statistics move alike."""
    monkeypatch.setattr(step, "_onednn_is_faster", lambda: onednn)
    learner, other = make(BODIES[body]), make(BODIES[body])
    x, y = batch()
    program = trace(learner, x, y)
    assert program is not None
    for _ in range(2):
        assert agree(run(program, learner, x, y), plainly(other, x, y))
    assert agree(list(learner.buffers()), list(other.buffers()))


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Objective(LossName.CROSS_ENTROPY, smoothing=0.1, class_weights=torch.tensor([0.5, 1.0, 1.5])), {}),
        (Objective(LossName.FOCAL), {"l1": 1e-2}),
        (ENTROPY, {"clip": 1e-2}),
        (Objective(LossName.MSE), {"clip": 1e-3, "l1": 1e-3}),
        (Objective(LossName.HUBER), {}),
        (Objective(LossName.QUANTILE, quantile=0.9), {}),
    ],
)
def test_penalties_clipping_and_every_loss_are_traced(objective: Objective, words: dict[str, float]) -> None:
    """The program minimises the same aim and clips as the layers' step does."""
    learner = make(lambda: dense(outer=1 if objective.name in (LossName.MSE, LossName.HUBER, LossName.QUANTILE) else 3))
    learner.objective, learner.l1, learner.clip = objective, words.get("l1", 0.0), words.get("clip")
    x, y = batch()
    if learner.body[-1].weight.shape[-1] == 1:  # type: ignore[index]
        y = x[:, :1] * 2.0
    program = trace(learner, x, y)
    assert program is not None
    assert agree(run(program, learner, x, y), plainly(learner, x, y))


def test_folds_are_traced_with_a_clip_of_their_own() -> None:
    """Each fold's gradients are scaled by their own norm."""
    learner = make(lambda: dense(3), folds=3, clip=0.01)
    x, y = batch(96)
    x, y = x.view(3, 32, 8), y.view(3, 32)
    program = trace(learner, x, y)
    assert program is not None
    loss, *gradients = run(program, learner, x, y)
    assert agree([loss, *gradients], plainly(learner, x, y))
    norms = torch.stack([g.reshape(3, -1).square().sum(dim=1) for g in gradients]).sum(dim=0).sqrt()
    assert torch.allclose(norms, torch.full((3,), 0.01), rtol=1e-3)


def test_large_products_go_to_onednn_and_narrow_ones_are_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product is computed where it is fastest: by its shape and the CPU, not by a measurement."""
    monkeypatch.setattr(step, "_onednn_is_faster", lambda: True)
    learner, (x, y) = make(dense), batch()
    program = trace(learner, x, y)
    code = program.__self__.code  # type: ignore[union-attr]
    assert code.count("_onednn_addmm(") == 1
    assert code.count("_onednn_mm(") == 2
    assert code.count("_narrow_addmm(") == 1
    assert code.count("_narrow_mm(") == 1
    monkeypatch.setattr(step, "_onednn_is_faster", lambda: False)
    assert "_onednn" not in trace(learner, x, y).__self__.code  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("capabilities", "faster"),
    [
        ({"cpu_name": "AMD EPYC 9654", "avx512_f": True}, True),
        ({"cpu_name": "AMD EPYC 7402", "avx512_f": False}, False),
        ({"cpu_name": "Intel(R) Xeon(R) Gold", "avx512_f": True}, False),
        ({}, False),
    ],
)
def test_the_name_of_the_cpu_decides_on_onednn(
    capabilities: dict[str, Any], faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where it was measured to be faster: AMD's CPUs with AVX-512, for which MKL has no kernels."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert step._onednn_is_faster() is faster


def test_tracing_changes_neither_state_nor_chance() -> None:
    """After a trace, running statistics, weights and the next random number are those from before."""
    learner, (x, y) = make(lambda: nn.Sequential(*normed(), nn.Dropout(0.2))), batch()
    before = [tensor.clone() for tensor in learner.state_dict().values()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert trace(learner, x, y) is not None
    assert torch.equal(torch.rand(3), expected)
    assert all(map(torch.equal, learner.state_dict().values(), before))


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=1e-3, fused=True),
    "adam": lambda groups: torch.optim.Adam(groups, lr=1e-3, fused=True),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=1e-2, fused=True),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=1e-2, momentum=0.9, fused=True),
    "nesterov": lambda groups: torch.optim.SGD(groups, lr=1e-2, momentum=0.9, nesterov=True, fused=True),
}


def optimizer_of(learner: Learner, name: str) -> torch.optim.Optimizer:
    """The optimizer over two groups, the first of them decayed."""
    parameters = list(learner.parameters())
    return OPTIMIZERS[name]([{"params": parameters[::2], "weight_decay": 0.1}, {"params": parameters[1::2]}])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_fused_update_is_the_optimizers_own(name: str) -> None:
    """Bit by bit, over several steps, with decay by group and a rate that changes."""
    one, other = make(dense), make(dense)
    ours, theirs = optimizer_of(one, name), optimizer_of(other, name)
    update = fused_update(ours, list(one.parameters()))
    assert update is not None
    for rate in (1e-2, 1e-2, 1e-3, 1e-3):
        gradients = [torch.randn_like(parameter) for parameter in one.parameters()]
        for optimizer in (ours, theirs):
            for group in optimizer.param_groups:
                group["lr"] = rate
        update(gradients)
        for parameter, gradient in zip(other.parameters(), gradients, strict=True):
            parameter.grad = gradient.clone()
        theirs.step()
    assert all(map(torch.equal, one.parameters(), other.parameters()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_traced_steps_lead_where_plain_ones_do(name: str) -> None:
    """Over whole batches and shorter ones in between, both kinds end at the same weights."""
    one, other = make(normed), make(normed)
    traced = traced_step(one, optimizer_of(one, name), batch=64)
    plain = plain_step(other, optimizer_of(other, name))
    x, y = batch(160)
    for _ in range(10):
        for part in (slice(0, 64), slice(64, 128), slice(128, 160)):
            assert agree([traced(x[part], y[part])], [plain(x[part], y[part])], within=1e-4)
    assert agree(list(one.parameters()), list(other.parameters()), within=2e-3)


class Peeking(nn.Module):
    """A layer whose program depends on the numbers that it reads."""

    def forward(self, x: Tensor) -> Tensor:
        """Turns round what is mostly positive."""
        return -x if float(x.mean()) > 0 else x


def test_what_cannot_be_traced_learns_plainly() -> None:
    """A body that looks at its numbers is no fixed program; its steps are the plain ones."""

    def body() -> nn.Sequential:
        return nn.Sequential(Peeking(), *dense())

    one, other, (x, y) = make(body), make(body), batch(64)
    assert trace(one, x, y) is None
    traced = traced_step(one, optimizer_of(one, "adamw"), batch=64)
    plain = plain_step(other, optimizer_of(other, "adamw"))
    for sign in (1.0, -1.0):
        assert torch.equal(traced(sign * x, y), plain(sign * x, y))
    assert all(map(torch.equal, one.parameters(), other.parameters()))


def test_gradients_that_are_only_rounding_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of a bias before a norm is noise, which another way to multiply makes another noise."""
    monkeypatch.setattr(step, "_onednn_is_faster", lambda: True)

    def body() -> nn.Sequential:
        return nn.Sequential(Dense(1, 8, 128), nn.ReLU(), Dense(1, 128, 128), BatchNorm(1, 128), *dense(inner=128))

    learner, (x, y) = make(body), batch()
    assert trace(learner, x, y) is not None


def test_a_program_that_computes_something_else_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch shows whether a program is right."""
    monkeypatch.setattr(step, "_narrow_addmm", lambda bias, left, right: 2.0 * torch.addmm(bias, left, right))
    learner, (x, y) = make(dense), batch()
    assert trace(learner, x, y) is None


def test_without_the_private_kernel_the_optimizer_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another PyTorch may lack the kernel: the step is the plain one."""
    monkeypatch.delattr(torch, "_fused_adamw_")
    one, other, (x, y) = make(dense), make(dense), batch(64)
    optimizer = torch.optim.AdamW(one.parameters(), lr=1e-3)
    assert fused_update(optimizer, list(one.parameters())) is None
    traced = traced_step(one, optimizer, batch=64)
    plain = plain_step(other, torch.optim.AdamW(other.parameters(), lr=1e-3))
    assert torch.equal(traced(x, y), plain(x, y))


def test_an_unknown_optimizer_keeps_its_own_update() -> None:
    """Only the optimizers that are known by their kernels are replaced."""
    learner = make(dense)
    assert fused_update(torch.optim.RMSprop(learner.parameters()), list(learner.parameters())) is None


class Greedy(nn.Module):
    """A layer without memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Raises OutOfMemoryError."""
        raise torch.OutOfMemoryError


def test_memory_that_ends_while_tracing_is_said() -> None:
    """It is for the loop to answer, not a reason to learn plainly."""
    learner, (x, y) = make(lambda: nn.Sequential(Greedy(), *dense())), batch()
    with pytest.raises(torch.OutOfMemoryError):
        trace(learner, x, y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("body", [dense, normed])
def test_a_cuda_graph_leads_where_plain_steps_do(body: Callable[[], nn.Sequential]) -> None:
    """Weights and running statistics of graphed and plain steps agree; the warm-up leaves no trace."""
    one, other = make(body).cuda(), make(body).cuda()
    x, y = (tensor.cuda() for tensor in batch(160))
    rate = torch.tensor(1e-3, device="cuda")
    steps = [
        graphed_step(one, torch.optim.AdamW(one.parameters(), lr=rate, fused=True, capturable=True), batch=64),
        plain_step(other, torch.optim.AdamW(other.parameters(), lr=rate, fused=True, capturable=True)),
    ]
    for _ in range(5):
        for part in (slice(0, 64), slice(64, 128), slice(128, 160)):
            graphed, plain = (float(take(x[part], y[part])) for take in steps)
            assert graphed == pytest.approx(plain, rel=1e-3)
    assert agree(list(one.state_dict().values()), list(other.state_dict().values()), within=2e-3)
