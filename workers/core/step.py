"""One step of learning, a batch in and better weights out: plainly, as a CUDA graph, or as a program of CPU kernels.

A step of a small network takes half a millisecond on a CPU, and a third of that is bookkeeping: autograd's, the
modules', the optimizer's. `traced_step` writes down once which kernels a step runs, and from then on runs just these,
with the matrix products that this CPU does faster in another way done so. It decides by shapes and by the name of the
CPU, never by a clock: what it computes is the same, bit by bit, in each repeat on one machine.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from workers.core.layers import Dense, Members
from workers.core.objective import Objective

Step = Callable[[Tensor, Tensor], Tensor]
"""[(K,) B, D] and targets in, the mean loss over the folds out, the weights changed."""
Update = Callable[[Sequence[Tensor]], None]
"""Changes the parameters by their gradients, given in the order of the parameters."""

# A product of fewer multiply-adds costs less than what calling oneDNN does.
ONEDNN_FROM = 1_000_000
# Outputs of so few columns are computed transposed, from so many multiply-adds on: the usual way takes thrice as long.
NARROW, NARROW_FROM = range(2, 9), 32_768
MOST_DIFFERENCE = 1e-3
"""Between a program's values and those of the plain step, as a share of the largest: rounding stays far below."""


class Learner(nn.Module):
    """A body and what it learns by: [(K,) B, D] and targets to the mean loss over the folds, then the gradient of each
    parameter, in their order.
    """

    def __init__(
        self, body: nn.Module, objective: Objective, *, folds: int = 1, l1: float = 0.0, clip: float | None = None
    ) -> None:
        super().__init__()
        self.body, self.objective = body, objective
        self.folds, self.l1, self.clip = folds, l1, clip

    def forward(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """See the class."""
        loss = self.objective.training_loss(self.body(x), y)
        aim = loss * self.folds if self.folds > 1 else loss  # each fold's gradient is that of its own mean
        if self.l1:
            aim = aim + self.l1 * torch.stack([weight.abs().sum() for weight in penalised(self.body)]).sum()
        gradients = torch.autograd.grad(aim, list(self.body.parameters()), materialize_grads=True)
        if self.clip is not None:
            gradients = _clipped(gradients, self.clip, self.folds)
        return [loss.detach(), *gradients]


def penalised(body: nn.Module) -> list[nn.Parameter]:
    """What penalties act on: neither biases nor the scales of a norm."""
    return [layer.weight for layer in body.modules() if isinstance(layer, Dense | Members)]


def plain_step(learner: Learner, optimizer: torch.optim.Optimizer) -> Step:
    """Forward, backward, update."""
    parameters = list(learner.parameters())

    def take(x: Tensor, y: Tensor) -> Tensor:
        loss, *gradients = learner(x, y)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        return loss  # type: ignore[no-any-return]

    return take


def graphed_step(learner: Learner, optimizer: torch.optim.Optimizer, *, batch: int) -> Step:
    """The same as one CUDA graph for whole batches; the last, shorter one of an epoch goes kernel by kernel."""
    plain = plain_step(learner, optimizer)
    captured: dict[str, Any] = {}

    def capture(x: Tensor, y: Tensor) -> None:
        captured["x"], captured["y"] = x.clone(), y.clone()
        state = _state(learner)
        before = [tensor.clone() for tensor in state]
        moments_before = {p: {k: m.clone() for k, m in moments.items()} for p, moments in optimizer.state.items()}
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # kernels and optimizer state have to exist before a capture
            for _ in range(3):
                plain(captured["x"], captured["y"])
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured["loss"] = plain(captured["x"], captured["y"])
        for tensor, was in zip(state, before, strict=True):  # the warm-up was no learning
            tensor.copy_(was)
        for parameter, moments in optimizer.state.items():
            was_before = moments_before.get(parameter, {})
            for name, tensor in moments.items():
                tensor.copy_(was_before.get(name, torch.zeros_like(tensor)))
        captured["graph"] = graph

    def take(x: Tensor, y: Tensor) -> Tensor:
        if x.shape[-2] != batch:
            return plain(x, y)
        if "graph" not in captured:
            capture(x, y)
        captured["x"].copy_(x)
        captured["y"].copy_(y)
        captured["graph"].replay()
        return captured["loss"].clone()  # type: ignore[no-any-return]

    return take


def traced_step(learner: Learner, optimizer: torch.optim.Optimizer, *, batch: int) -> Step:
    """The same on a CPU, as one program for whole batches; the last, shorter one of an epoch goes layer by layer.

    A body that cannot be traced is trained plainly, and so is everything where PyTorch lacks what is private to it.
    """
    update = fused_update(optimizer, list(learner.parameters()))
    if update is None:
        return plain_step(learner, optimizer)
    state, programs = _state(learner), list[Callable[..., list[Tensor]] | None]()

    def take(x: Tensor, y: Tensor) -> Tensor:
        program = None
        if x.shape[-2] == batch:
            if not programs:
                programs.append(trace(learner, x, y))
            program = programs[0]
        loss, *gradients = program(x, y, *state) if program else learner(x, y)
        update(gradients)
        return loss

    return take


def fused_update(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> Update | None:
    """The update of Adam, AdamW or SGD by its kernel alone, for which the optimizer only keeps the groups, the rate and
    the moments; None for others, and where PyTorch has no such kernel.
    """
    kernels = {torch.optim.SGD: "_fused_sgd_", torch.optim.Adam: "_fused_adam_", torch.optim.AdamW: "_fused_adamw_"}
    kernel = getattr(torch, kernels.get(type(optimizer), ""), None)
    if kernel is None:
        return None
    places = {id(parameter): place for place, parameter in enumerate(parameters)}
    make = _sgd_update if isinstance(optimizer, torch.optim.SGD) else _adam_update
    updates = [
        (make(kernel, group, [optimizer.state[p] for p in group["params"]]), [places[id(p)] for p in group["params"]])
        for group in optimizer.param_groups
        if group["params"]
    ]

    def update(gradients: Sequence[Tensor]) -> None:
        for update_group, members in updates:
            update_group([gradients[place] for place in members])

    return update


def trace(learner: Learner, x: Tensor, y: Tensor) -> Callable[..., list[Tensor]] | None:
    """What `learner` does with batches of this shape, as a program of kernels that reads x, y, the parameters and the
    buffers; None where that cannot be had. Changes neither these nor the random numbers to come.
    """
    names = [name for name, _ in _named_state(learner)]

    def values() -> list[Tensor]:
        learnt = len(list(learner.parameters()))
        return [tensor.clone().requires_grad_(k < learnt) for k, tensor in enumerate(_state(learner))]

    def learn(x: Tensor, y: Tensor, *state: Tensor) -> list[Tensor]:
        return torch.func.functional_call(learner, dict(zip(names, state, strict=True)), (x, y))  # type: ignore[no-any-return]

    try:
        from torch.fx.experimental.proxy_tensor import make_fx

        results = []
        with torch.random.fork_rng(devices=[]):
            program = make_fx(learn)(x, y, *values())
        _quicken(program)
        for run in (learn, program.forward):
            with torch.random.fork_rng(devices=[]):
                results.append(run(x, y, *values()))
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever a body does that cannot be traced, the plain step can do
        return None
    return program.forward if _agree(*results) else None


def _clipped(gradients: Sequence[Tensor], most: float, folds: int) -> tuple[Tensor, ...]:
    """The gradients, those of each fold scaled to a norm of at most `most`."""
    norms = torch.stack([torch.linalg.vector_norm(g.reshape(folds, -1), dim=1) for g in gradients])  # [parameters, K]
    scale = (most / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
    return tuple(g * scale.view(-1, *[1] * (g.dim() - 1)) for g in gradients)


def _named_state(learner: Learner) -> list[tuple[str, Tensor]]:
    return [*learner.named_parameters(), *learner.named_buffers()]


def _state(learner: Learner) -> list[Tensor]:
    """The parameters, then the buffers, themselves and without autograd."""
    return [tensor.detach() for _, tensor in _named_state(learner)]


def _adam_update(kernel: Callable[..., None], group: dict[str, Any], states: Sequence[dict[str, Tensor]]) -> Update:
    parameters = [p.detach() for p in group["params"]]
    count = states[0].setdefault("step", torch.zeros(()))
    for parameter, state in zip(parameters, states, strict=True):
        state["step"] = count  # one for all
        state.setdefault("exp_avg", torch.zeros_like(parameter))
        state.setdefault("exp_avg_sq", torch.zeros_like(parameter))
    counts, means, squares = ([state[word] for state in states] for word in ("step", "exp_avg", "exp_avg_sq"))
    (beta1, beta2), fixed = group["betas"], {"eps": group["eps"], "amsgrad": False, "maximize": False}
    fixed |= {"beta1": beta1, "beta2": beta2, "weight_decay": group["weight_decay"]}

    def update(gradients: Sequence[Tensor]) -> None:
        count.add_(1)
        kernel(parameters, gradients, means, squares, [], counts, lr=group["lr"], **fixed)

    return update


def _sgd_update(kernel: Callable[..., None], group: dict[str, Any], states: Sequence[dict[str, Tensor]]) -> Update:
    parameters, momenta = [p.detach() for p in group["params"]], list[Tensor]()
    if group["momentum"]:  # zeros stand for none yet, as `dampening` is 0
        pairs = zip(parameters, states, strict=True)
        momenta = [state.setdefault("momentum_buffer", torch.zeros_like(p)) for p, state in pairs]
    fixed = {word: group[word] for word in ("weight_decay", "momentum", "dampening", "nesterov")}

    def update(gradients: Sequence[Tensor]) -> None:
        kernel(parameters, gradients, momenta, lr=group["lr"], maximize=False, is_first_step=False, **fixed)

    return update


def _agree(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether they are equal to rounding. What is a thousand times smaller than the largest may be rounding alone,
    like the gradient of a bias that a norm takes away again.
    """
    sizes = [float(one.detach().abs().nan_to_num(0.0, 0.0, 0.0).max()) if one.numel() else 0.0 for one in some]
    bounds = [MOST_DIFFERENCE * max(size, 1e-3 * max(sizes)) for size in sizes]
    return all(
        torch.allclose(one, other, rtol=0.0, atol=bound, equal_nan=True)
        for one, other, bound in zip(some, others, bounds, strict=True)
    )


def _quicken(program: fx.GraphModule) -> None:
    """Let the program call its kernels by their shortest names, and multiply matrices the way that is fastest here."""
    aten = torch.ops.aten
    direct: dict[Any, Callable[..., Any]] = {
        aten.detach.default: _itself,
        aten.t.default: torch.t,
        aten.relu.default: torch.relu,
        aten.mul.Tensor: torch.mul,
        aten.add.Tensor: torch.add,
        aten.sub.Tensor: torch.sub,
        aten.bmm.default: torch.bmm,
        aten.view.default: torch.Tensor.view,
        aten.sum.dim_IntList: torch.sum,
        aten._log_softmax.default: torch._log_softmax,
    }
    onednn = _onednn_is_faster()
    for node in program.graph.nodes:
        if node.target is aten.mm.default or node.target is aten.addmm.default:
            node.target = _product(node, onednn=onednn)
        else:
            node.target = direct.get(node.target, node.target)
    program.graph.eliminate_dead_code()
    program.recompile()


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def _product(node: fx.Node, *, onednn: bool) -> Callable[..., Tensor]:
    """How a product [M, I] x [I, N], plus a bias or not, is computed fastest."""
    left, right = (argument.meta["tensor_meta"] for argument in node.args[-2:])  # type: ignore[union-attr]
    (rows, inner), columns = left.shape, right.shape[1]
    work, biased = rows * inner * columns, len(node.args) == 3
    if columns in NARROW and work >= NARROW_FROM and right.stride == (columns, 1):
        return _narrow_addmm if biased else _narrow_mm
    if onednn and work >= ONEDNN_FROM and (not biased or len(node.args[0].meta["tensor_meta"].shape) == 1):  # type: ignore[union-attr]
        return _onednn_addmm if biased else _onednn_mm
    return torch.addmm if biased else torch.mm


def _onednn_is_faster() -> bool:
    """Whether oneDNN multiplies faster than what PyTorch multiplies with: MKL has no AVX-512 kernels for AMD's CPUs.

    Measured at 2 to 3 times the speed from 1024 rows on, and 1.3 to 1.7 times at 256.
    """
    cpu = torch.cpu.get_capabilities()
    amd = "AMD" in str(cpu.get("cpu_name", "")) and bool(cpu.get("avx512_f"))
    return amd and torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def _onednn_mm(left: Tensor, right: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(left, right.t(), None, "none", [], "")  # type: ignore[no-any-return]


def _onednn_addmm(bias: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(left, right.t(), bias, "none", [], "")  # type: ignore[no-any-return]


def _narrow_mm(left: Tensor, right: Tensor) -> Tensor:
    return torch.mm(right.t(), left.t()).t().contiguous()


def _narrow_addmm(bias: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.addmm(bias, left, right.t().contiguous().t())
