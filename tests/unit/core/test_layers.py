"""Every layer says in ONNX Runtime what it says in torch, on rows that are meant to break it."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from shared.specs import Task
from workers.core.features import Layout
from workers.core.graph import IR_VERSION, OPSET
from workers.core.graph_layers import add_body
from workers.core.graph_nodes import Graph
from workers.core.layers import BatchNorm, Dense, Expand, LayerNorm, Members, PiecewiseLinear
from workers.core.predictor import NetMember

LAYOUT = Layout(numbers=5, phases=2, codes=2, counts=1)
FOLDS = (1, 3)
OUTPUTS = 3


def learnt(rows: int = 300) -> Tensor:
    """[rows, 10] float32 as `Preprocess` makes them: a number with gaps, a constant one, one that is never known."""
    chance = np.random.default_rng(0)
    numbers = chance.normal(size=(rows, LAYOUT.numbers)).astype(np.float32)
    numbers[::4, 0] = np.nan
    numbers[:, 1] = 0.0
    numbers[:, 2] = np.nan
    numbers[:, 3] = chance.integers(0, 2, rows)
    phases = chance.uniform(-1, 1, size=(rows, LAYOUT.phases))
    codes = np.stack([chance.integers(0, 4, rows), chance.integers(0, 90, rows)], axis=1)
    counts = np.log1p(chance.integers(0, 3, size=(rows, LAYOUT.counts)))
    return torch.from_numpy(np.concatenate([numbers, phases, codes, counts], axis=1).astype(np.float32))


def hostile(rows: int) -> Tensor:
    """Rows like those of training, of which many hold what training never had."""
    x = learnt(rows)
    for k, value in enumerate((np.nan, 1e30, -1e30, 3.4e38, np.inf, -np.inf, 1e-40, 0.0)):
        x[k::11, k % LAYOUT.numbers] = value
    x[1::5, : LAYOUT.numbers] = torch.nan
    x[2::5, LAYOUT.coded] = 997.0
    return x


def in_onnx(member: NetMember, *, softmax: bool) -> Callable[[Tensor], np.ndarray]:
    """The member's body as a model file of its own, loaded."""
    graph = Graph(prefix="lml.")
    graph.add("Identity", add_body(graph, member, "matrix", softmax=softmax), out="said")
    outputs = member.outputs(learnt(2)).shape[-1]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "layers",
            [helper.make_tensor_value_info("matrix", TensorProto.FLOAT, ["rows", LAYOUT.width])],
            [helper.make_tensor_value_info("said", TensorProto.FLOAT, ["rows", outputs])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: session.run(["said"], {"matrix": x.numpy()})[0]


def assert_the_same(body: nn.Module, *, folds: int, task: Task, membered: bool = False) -> None:
    """torch and ONNX Runtime agree within 1e-5 on any number of hostile rows, none of which gives a NaN."""
    member = NetMember(body, task, folded=folds > 1, membered=membered).eval()
    run = in_onnx(member, softmax=task is not Task.REGRESSION)
    for rows in (0, 1, 7, 1000):
        x = hostile(rows)
        with torch.inference_mode():
            expected = member.outputs(x).numpy()
        assert expected.shape == (rows, OUTPUTS)
        assert np.isfinite(expected).all()
        np.testing.assert_allclose(run(x), expected, rtol=1e-5, atol=1e-5)


def headed(folds: int, first: nn.Module, width: int, *layers: nn.Module) -> nn.Sequential:
    """A body that begins with `first` [rows, width], has `layers` over 16 values, and ends in the outputs."""
    torch.manual_seed(0)
    return nn.Sequential(first, Dense(folds, width, 16), *layers, Dense(folds, 16, OUTPUTS))


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_the_inputs_of_a_network(folds: int, task: Task) -> None:
    """Gaps, cut numbers, flags, phases, one-hot codes and counts are expanded alike."""
    first = Expand(LAYOUT, learnt())
    assert_the_same(headed(folds, first, first.width, nn.ReLU()), folds=folds, task=task)


def test_numbers_that_are_not_cut() -> None:
    """A linear model reads outliers as they are."""
    first = Expand(LAYOUT, learnt(), cut=None)
    assert first(torch.full((1, LAYOUT.width), 1e30))[0, 0] == 1e30
    body = headed(1, first, first.width)
    member = NetMember(body, Task.MULTICLASS).eval()
    x = hostile(1000)
    x[:, : LAYOUT.numbers] = x[:, : LAYOUT.numbers].clamp(-1e30, 1e30)
    with torch.inference_mode():
        np.testing.assert_allclose(in_onnx(member, softmax=True)(x), member.outputs(x).numpy(), atol=1e-5)


@pytest.mark.parametrize("folds", FOLDS)
def test_numbers_that_another_layer_reads(folds: int) -> None:
    """Numbers that are left out keep their missing flags."""
    whole, first = Expand(LAYOUT, learnt()), Expand(LAYOUT, learnt(), without=[0, 3])
    assert first.width == whole.width - 2
    assert first.flagged.tolist() == [0]
    assert_the_same(headed(folds, first, first.width), folds=folds, task=Task.MULTICLASS)


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize("bins", [2, 32])
def test_piecewise_linear_encodings(folds: int, bins: int) -> None:
    """Numbers inside, between and far beyond the bins are encoded alike."""
    torch.manual_seed(0)
    first = PiecewiseLinear(LAYOUT, learnt(), bins=bins)
    assert_the_same(headed(folds, first, first.width, nn.ReLU()), folds=folds, task=Task.MULTICLASS)


def test_encodings_of_what_has_no_bins() -> None:
    """Without a number that varies, only the expanded row is left."""
    x = learnt()
    x[:, : LAYOUT.numbers] = 1.0
    first = PiecewiseLinear(LAYOUT, x, bins=8)
    assert first.width == first.expand.width
    assert_the_same(headed(1, first, first.width), folds=1, task=Task.REGRESSION)


def test_how_far_a_number_has_come_through_its_bins() -> None:
    """In a bin a number counts in part, in those below wholly, in those above not; missing is nothing; outside, the
    outer bins go on for once their width.
    """
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0]])
    layer = PiecewiseLinear(Layout(1, 0, 0, 0), x, bins=2)  # edges 0, 2, 4
    met = torch.tensor([[1.0], [3.0], [torch.nan], [99.0], [-99.0]])
    encoded = layer._encode(met)
    torch.testing.assert_close(encoded, torch.tensor([[0.5, 0.0], [1.0, 0.5], [0.0, 0.0], [1.0, 2.0], [-1.0, 0.0]]))


def test_an_unseen_code_is_all_zeros() -> None:
    """A word that no row of training has, has no slot; each word that one has, has one."""
    x = torch.tensor([[0.0], [2.0], [2.0]])
    layer = Expand(Layout(0, 0, 1, 0), x)
    assert layer.slot_code.tolist() == [0.0, 2.0]
    assert layer(torch.tensor([[0.0], [1.0], [2.0], [7.0]])).tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU])
def test_activations_and_dropout(folds: int, activation: type[nn.Module]) -> None:
    """Each activation is the same function there; dropout is nothing where nobody learns."""
    first = Expand(LAYOUT, learnt())
    layers = (activation(), nn.Dropout(0.5))
    assert_the_same(headed(folds, first, first.width, *layers), folds=folds, task=Task.MULTICLASS)


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize("norm", [BatchNorm, LayerNorm])
def test_norms(folds: int, norm: type[nn.Module]) -> None:
    """A norm whose scales and statistics were learnt predicts alike."""
    first = Expand(LAYOUT, learnt())
    body = headed(folds, first, first.width, norm(folds, 16), nn.ReLU())
    x = learnt(32) if folds == 1 else torch.stack([learnt(32)] * folds)
    for _ in range(3):
        body(x)
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    assert_the_same(body, folds=folds, task=Task.MULTICLASS)


@pytest.mark.parametrize(("ours", "theirs"), [(BatchNorm, nn.BatchNorm1d), (LayerNorm, nn.LayerNorm)])
def test_norms_are_those_of_torch(ours: type[nn.Module], theirs: type[nn.Module]) -> None:
    """While it learns and afterwards, a norm does what torch's own does; with folds, in each fold for itself."""
    torch.manual_seed(0)
    batches = [torch.randn(3, 64, 4) * 3 + 1 for _ in range(4)]  # [folds, rows, width]
    single, folded, known = ours(1, 4), ours(3, 4), theirs(4)
    for batch in batches:
        expected = known(batch[0])
        torch.testing.assert_close(single(batch[0]), expected)
        torch.testing.assert_close(folded(batch)[0], expected)
    if ours is BatchNorm:
        torch.testing.assert_close(single.running_mean, known.running_mean)
        known.running_var = single.running_var  # torch notes the unbiased one
    single.eval(), folded.eval(), known.eval()
    torch.testing.assert_close(single(batches[0][0]), known(batches[0][0]))


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_members(folds: int, task: Task) -> None:
    """An ensemble whose members share their layers averages what its members say, never their logits."""
    torch.manual_seed(0)
    first = PiecewiseLinear(LAYOUT, learnt(), bins=8)
    layers = [Dense(folds, first.width, 16), nn.ReLU(), nn.Dropout(0.1), Dense(folds, 16, 12), nn.ReLU()]
    members = Members(folds, 4, first.width, nn.Sequential(*layers), 12, OUTPUTS)
    body = nn.Sequential(first, members)
    with torch.inference_mode():
        out = body.eval()(hostile(7))
    assert out.shape == ((7, 4, OUTPUTS) if folds == 1 else (folds, 7, 4, OUTPUTS))
    assert_the_same(body, folds=folds, task=task, membered=True)


def test_folds_are_networks_of_their_own() -> None:
    """One program of three folds says what three programs of one fold with their weights say."""
    torch.manual_seed(0)
    folded = Members(3, 2, 5, nn.Sequential(Dense(3, 5, 8), nn.Tanh()), 8, OUTPUTS)
    x = torch.randn(6, 5)
    for k in range(3):
        alone = Members(1, 2, 5, nn.Sequential(Dense(1, 5, 8), nn.Tanh()), 8, OUTPUTS)
        with torch.no_grad():
            for one, all_folds in zip(alone.parameters(), folded.parameters(), strict=True):
                one.copy_(all_folds[k].reshape(one.shape))
        torch.testing.assert_close(folded(x)[k], alone(x))
        torch.testing.assert_close(folded(torch.stack([x] * 3))[k], alone(x))


def test_a_layer_that_is_not_known_cannot_be_exported() -> None:
    """A layer without a counterpart is an error that names it, not a wrong file."""
    member = NetMember(nn.Sequential(nn.Softplus()), Task.REGRESSION)
    with pytest.raises(TypeError, match="no ONNX counterpart of Softplus"):
        add_body(Graph(prefix=""), member, "matrix", softmax=False)
