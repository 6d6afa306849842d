"""Trees say in the model file what LightGBM says, whatever they split by."""

from collections.abc import Callable, Sequence

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from shared.specs import ModelName, Task, TrainSpec
from workers.core.features import Layout
from workers.core.graph import IR_VERSION, ML_OPSET, OPSET
from workers.core.graph_nodes import Graph
from workers.core.graph_trees import _as_float32, add_trees
from workers.core.loop import Data, Fold
from workers.core.models.gbdt import fit_gbdt, resolve_parameters
from workers.core.objective import resolve_objective
from workers.core.predictor import TreeMember
from workers.core.progress import Clock, Progress

TASKS = tuple(Task)
WORDS = 150  # more than a split asks for one by one


def made_data(task: Task, x: np.ndarray, score: np.ndarray, *, codes: int = 0, folds: int = 1, **words: object) -> Data:
    """Development rows whose target follows from `score`; the last `codes` columns of `x` are codes."""
    layout = Layout(numbers=x.shape[1] - codes, phases=0, codes=codes, counts=0)
    classes = {Task.BINARY: 2, Task.MULTICLASS: 3, Task.REGRESSION: 1}[task]
    if task is Task.REGRESSION:
        y = torch.from_numpy((score - score.mean()) / score.std()).float()[:, None]
    else:
        y = torch.from_numpy(np.searchsorted(np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]), score))
    parts = np.arange(len(x)) % max(folds, 4)
    folded = tuple(
        Fold(torch.from_numpy(np.flatnonzero(parts != k)), torch.from_numpy(np.flatnonzero(parts == k)))
        for k in range(folds)
    )
    objective = resolve_objective(TrainSpec(dataset="d", **words), task, y, classes)
    return Data(task, classes, layout, torch.from_numpy(x.astype(np.float32)), y, folded, objective)


def grown(data: Data, *, epochs: int = 12, **words: object) -> TreeMember:
    """A few trees on the data."""
    spec = TrainSpec(dataset="d", model=ModelName.GBDT, epochs=epochs, **words)
    progress = Progress(lambda _: None, lambda: False)
    member = fit_gbdt(data, spec, progress=progress, clock=Clock(60), threads=1).member
    assert isinstance(member, TreeMember)
    return member


def in_onnx(member: TreeMember, *, width: int) -> Callable[[Tensor], np.ndarray]:
    """The trees as a model file of their own, loaded."""
    graph = Graph(prefix="lml.")
    graph.add("Identity", add_trees(graph, member, "matrix", task=member.task), out="said")
    outputs = 1 if member.task is Task.REGRESSION else member.classes
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "trees",
            [helper.make_tensor_value_info("matrix", TensorProto.FLOAT, ["rows", width])],
            [helper.make_tensor_value_info("said", TensorProto.FLOAT, ["rows", outputs])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: session.run(["said"], {"matrix": x.numpy()})[0]


def assert_the_same(member: TreeMember, x: Tensor) -> None:
    """Within 1e-5 and with the same labels, for any number of rows."""
    run, expected = in_onnx(member, width=x.shape[1]), member.outputs(x).numpy()
    for rows in (len(x), 7, 1):
        got = run(x[:rows])
        np.testing.assert_allclose(got, expected[:rows], rtol=0, atol=1e-5)
        if member.task is not Task.REGRESSION:
            np.testing.assert_array_equal(got.argmax(axis=1), expected[:rows].argmax(axis=1))
    assert np.ptp(expected[:, 0]) > 0.01  # the trees do say something


def split_kinds(member: TreeMember) -> list[tuple[str, str, str]]:
    """Decision, kind of missing and threshold of every split."""
    found = list[tuple[str, str, str]]()

    def walk(node: dict[str, object]) -> None:
        if "threshold" in node:
            found.append((str(node["decision_type"]), str(node["missing_type"]), str(node["threshold"])))
            walk(node["left_child"])  # type: ignore[arg-type]
            walk(node["right_child"])  # type: ignore[arg-type]

    for booster in member.boosters:
        for tree in booster.dump_model()["tree_info"]:
            walk(tree["tree_structure"])
    return found


def numbers(rows: int = 600, *, gaps: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Three numbers, perhaps with gaps, and a score that follows from them and from what is missing."""
    chance = np.random.default_rng(1)
    x = chance.normal(size=(rows, 3)).astype(np.float32)
    score = x[:, 0] + np.abs(x[:, 1]) + 0.2 * chance.normal(size=rows)
    if gaps:
        score += 2.0 * (chance.random(rows) < 0.2)
        x[score > 2.5, 2] = np.nan
        x[::9, 0] = np.nan
    return x, score


def with_gaps(x: np.ndarray) -> Tensor:
    """The rows with gaps, zeros, and numbers beyond all that were learnt."""
    met = x.copy()
    met[1::5, 0], met[2::5, 1], met[3::7, 2] = np.nan, np.nan, np.nan
    met[4::11, 0], met[5::11, 1], met[6::11, 2] = np.inf, -np.inf, 3.4e38
    met[::13, 0], met[1::13, 1] = 0.0, -0.0
    return torch.from_numpy(met)


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_numbers_with_gaps(task: Task, gaps: bool, folds: int) -> None:
    """A missing number goes where LightGBM sends it, whether training had such rows or only prediction has."""
    x, score = numbers(gaps=gaps)
    member = grown(made_data(task, x, score, folds=folds))
    assert len(member.boosters) == folds
    assert ("NaN" in {missing for _, missing, _ in split_kinds(member)}) is gaps
    assert_the_same(member, with_gaps(x))


@pytest.mark.parametrize("words", [3, 40, WORDS])
@pytest.mark.parametrize("task", TASKS)
def test_categories(task: Task, words: int) -> None:
    """Splits by one word and splits by a set of words reach the same leaves, for words never met in training too."""
    chance = np.random.default_rng(2)
    codes = chance.integers(0, words, 6000)
    effect = chance.permutation(words)  # no order in the codes
    x = np.stack([chance.normal(size=6000), codes, chance.integers(0, 2, 6000)], axis=1)
    data = made_data(task, x, effect[codes] / words + 0.1 * x[:, 0], codes=2)
    member = grown(data)
    sets = [threshold for decision, _, threshold in split_kinds(member) if decision == "=="]
    assert any("||" in threshold for threshold in sets) is (words == WORDS)
    x[::3, 1] = chance.integers(0, 2 * words, 2000)
    x[::4, 2] = 2.0
    assert_the_same(member, torch.from_numpy(x.astype(np.float32)))


def test_thresholds_between_neighbours_of_float32() -> None:
    """Numbers that differ in their last bit are told apart as LightGBM tells them, which thinks in float64."""
    values = [np.float32(1.0)]
    for _ in range(40):
        values.append(np.nextafter(values[-1], np.float32(2.0)))
    x = np.repeat(np.array(values, dtype=np.float32), 30)[:, None]
    x = np.concatenate([x, -x, x * np.float32(1e-38)])
    score = np.tile(np.repeat(np.arange(41) % 2, 30), 3).astype(float)
    data = made_data(Task.REGRESSION, x, score)
    member = grown(data, epochs=30, lr=0.5)
    assert_the_same(member, data.x)


@pytest.mark.parametrize("threshold", [0.1, -0.1, 1.0, 1.0000000180025095e-35, -1e-35, 1.7976931348623157e308, 1e39])
def test_a_threshold_in_float32_asks_the_same(threshold: float) -> None:
    """The rounded threshold and its neighbours fall on the same sides of both."""
    rounded = np.float32(_as_float32(threshold))
    with np.errstate(over="ignore"):
        neighbours = [np.nextafter(rounded, np.float32(side * np.inf)) for side in (-1, 1)]
    for x in (rounded, *neighbours):
        assert (x <= rounded) == (float(x) <= threshold)


@pytest.mark.parametrize("task", TASKS)
def test_trees_that_split_nothing(task: Task) -> None:
    """Where no split is worth it, each tree is one leaf, and the model file says what it says."""
    x, score = numbers(24)
    member = grown(made_data(task, x, score), epochs=3)
    assert split_kinds(member) == []
    np.testing.assert_allclose(
        in_onnx(member, width=3)(torch.from_numpy(x)), member.outputs(torch.from_numpy(x)), atol=1e-6
    )


def test_a_fold_that_never_meets_a_class() -> None:
    """A fold whose rows lack a class, or have only one, still gives trees that can be exported."""
    x, score = numbers(120)
    for task in (Task.BINARY, Task.MULTICLASS):
        data = made_data(task, x, score, folds=4)
        data.y[:] = 0
        data.y[data.folds[1].validation] = 1
        member = grown(data, epochs=5)
        probabilities = member.outputs(data.x)
        assert torch.isfinite(probabilities).all()
        np.testing.assert_allclose(in_onnx(member, width=3)(data.x), probabilities, atol=1e-5)


def test_many_trees_are_summed_as_exactly() -> None:
    """Some thousand trees in several folds stay within the bound."""
    x, score = numbers(200)
    member = grown(made_data(Task.REGRESSION, x, score, folds=4), epochs=400, patience=400, lr=0.5)
    assert sum(booster.num_trees() for booster in member.boosters) > 100
    whole = TreeMember([booster for booster in member.boosters for _ in range(10)], Task.REGRESSION, classes=1)
    assert_the_same(whole, torch.from_numpy(x))


def test_several_folds_average_their_raw_scores() -> None:
    """What the member says is the sigmoid of the mean of its boosters' scores."""
    x, score = numbers()
    member = grown(made_data(Task.BINARY, x, score, folds=3))
    raw = np.mean([booster.predict(x, raw_score=True) for booster in member.boosters], axis=0)
    np.testing.assert_allclose(member.outputs(torch.from_numpy(x))[:, 1], 1 / (1 + np.exp(-raw)), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"loss": "mae"}, {"objective": "regression_l1"}),
        ({"loss": "huber"}, {"objective": "huber"}),
        ({"loss": "quantile", "quantile": 0.9}, {"objective": "quantile", "alpha": 0.9}),
        (
            {"lr": 0.2, "l1": 0.5, "l2": 3.0, "seed": 7},
            {"learning_rate": 0.2, "lambda_l1": 0.5, "lambda_l2": 3.0, "seed": 7},
        ),
    ],
)
def test_words_become_parameters(words: dict[str, object], expected: dict[str, object]) -> None:
    """Losses, rate, penalties and seed reach LightGBM, which is told to repeat itself bit by bit."""
    x, score = numbers(100)
    data = made_data(Task.REGRESSION, x, score, **words)
    parameters = resolve_parameters(data, TrainSpec(dataset="d", model="gbdt", **words), 1)
    fixed = {"deterministic": True, "force_row_wise": True, "num_threads": 1}
    assert expected | fixed == {key: parameters[key] for key in expected | fixed}


def test_a_high_quantile_lies_above_most_rows() -> None:
    """Asked for the 90 % quantile, the trees say more than nine of ten rows hold."""
    x, score = numbers(900)
    data = made_data(Task.REGRESSION, x, score, loss="quantile", quantile=0.9)
    member = grown(data, epochs=150, loss="quantile", quantile=0.9)
    above = (member.outputs(data.x) >= data.y).float().mean()
    assert 0.8 < above < 0.97


@pytest.mark.parametrize("questions", [1, 4, 30])
def test_the_time_may_end_at_any_tree(questions: int) -> None:
    """Stopped at the first tree or a later one, a fold has its best trees so far, and the plan says what ended it."""
    x, score = numbers()
    data = made_data(Task.REGRESSION, x, score, folds=3)
    spec = TrainSpec(dataset="d", model=ModelName.GBDT, lr=1.0)
    clock = Clock(60, follow=[questions])
    fitted = fit_gbdt(data, spec, progress=Progress(lambda _: None, lambda: False), clock=clock, threads=1)
    assert fitted.plan["ended_by"] == "time"
    assert len(fitted.curve) == questions
    watched = [loss for _, loss in fitted.curve]
    boosters: Sequence[lightgbm.Booster] = fitted.member.boosters  # type: ignore[attr-defined]
    assert boosters[0].num_trees() == int(np.argmin(watched)) + 1
    assert np.isfinite(fitted.outputs[data.folds[0].validation]).all()
