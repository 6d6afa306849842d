"""What is kept of the candidates follows from rows that had not taught them, and the sentence says so."""

import math

import numpy as np
import pytest
import torch

from shared.specs import LossName, ModelName, Task
from workers.core.blend import choose, fit_temperature, greedy_weights, row_losses
from workers.core.objective import Objective
from workers.core.predictor import cooled

LINEAR, GBDT, MLP = ModelName.LINEAR, ModelName.GBDT, ModelName.MLP
ROWS = 500
NUMBERS, CLASSES = Objective(LossName.MSE), Objective(LossName.CROSS_ENTROPY)
OF = {Task.REGRESSION: NUMBERS, Task.BINARY: CLASSES, Task.MULTICLASS: CLASSES}


def classes(*, seed: int = 0, count: int = 3) -> np.ndarray:
    """[rows] int64."""
    return np.random.default_rng(seed).integers(0, count, ROWS)


def guesses(y: np.ndarray, *, sure: float, seed: int) -> np.ndarray:
    """[rows, classes] probabilities of a candidate that errs in its own way."""
    chance, count = np.random.default_rng(seed), int(y.max()) + 1
    logits = sure * np.eye(count)[y] + chance.normal(size=(len(y), count))
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def test_the_best_mix_is_found() -> None:
    """Of three candidates whose errors cancel at 40 and 60 %, the useless third gets nothing."""
    chance = np.random.default_rng(0)
    y, error = chance.normal(size=(ROWS, 1)), chance.normal(size=(ROWS, 1))
    stack = np.stack([y + 3 * error, y - 2 * error, y + 40.0])
    weights = greedy_weights(stack, y, NUMBERS)
    np.testing.assert_allclose(weights, [0.4, 0.6, 0.0], atol=1e-12)


def test_equals_share() -> None:
    """Two candidates that err independently and equally much are averaged."""
    chance = np.random.default_rng(0)
    y = chance.normal(size=(ROWS, 1))
    stack = np.stack([y + chance.normal(size=(ROWS, 1)) for _ in range(2)])
    assert greedy_weights(stack, y, NUMBERS)[0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_a_blend_that_is_clearly_better_is_kept(task: Task) -> None:
    """Independent errors: the blend beats the best by far more than its standard error."""
    if task is Task.REGRESSION:
        chance = np.random.default_rng(0)
        y = chance.normal(size=(ROWS, 1))
        outputs = {name: y + 0.5 * chance.normal(size=(ROWS, 1)) for name in (LINEAR, GBDT)}
    else:
        y = classes()
        outputs = {name: guesses(y, sure=1.5, seed=k) for k, name in enumerate((LINEAR, GBDT), 1)}
    choice = choose(outputs, y, OF[task])
    assert set(choice.weights) == {LINEAR, GBDT}
    assert sum(choice.weights.values()) == pytest.approx(1.0)
    assert choice.scores["blend"] < min(choice.scores["linear"], choice.scores["gbdt"])
    blended = sum(weight * outputs[name] for name, weight in choice.weights.items())
    mean = float(row_losses(blended, y, OF[task]).mean())
    assert choice.scores["blend"] == pytest.approx(math.sqrt(mean) if task is Task.REGRESSION else mean)


def test_a_blend_within_the_standard_error_is_not_kept() -> None:
    """A gain that a few rows could have given by chance is no reason for a second model."""
    chance = np.random.default_rng(0)
    y = chance.normal(size=(12, 1))
    one, other = y + chance.normal(size=(12, 1)), y + 3 * chance.normal(size=(12, 1))
    blend = greedy_weights(np.stack([one, other]), y, NUMBERS)
    gain = row_losses(one, y, NUMBERS) - row_losses(blend[0] * one + blend[1] * other, y, NUMBERS)
    assert 0 < gain.mean() < gain.std(ddof=1) / math.sqrt(12)
    choice = choose({LINEAR: one, GBDT: other}, y, NUMBERS)
    assert choice.weights == {LINEAR: 1.0}
    assert choice.scores["blend"] < choice.scores["linear"]
    assert "no more than a standard error better" in choice.sentence


def test_a_copy_adds_nothing() -> None:
    """Two candidates that say the same are one, and the first is kept."""
    y = classes()
    same = guesses(y, sure=2.0, seed=1)
    assert choose({LINEAR: same, GBDT: same.copy()}, y, CLASSES).weights == {LINEAR: 1.0}


def test_only_rows_that_all_can_be_judged_on_count() -> None:
    """A candidate that was judged on a hold-out alone restricts the others to it."""
    y = classes()
    good, bad = guesses(y, sure=6.0, seed=1), guesses(y, sure=0.0, seed=2)
    everywhere = np.where(np.arange(ROWS)[:, None] < 400, bad, good)  # bad where the other cannot be judged
    held_out = guesses(y, sure=3.0, seed=3)
    held_out[:400] = np.nan
    choice = choose({LINEAR: everywhere, MLP: held_out}, y, CLASSES)
    judged = row_losses(everywhere[400:], y[400:], CLASSES).mean()
    assert choice.scores["linear"] == pytest.approx(judged, rel=1e-6)
    assert choice.weights[LINEAR] > 0.5


@pytest.mark.parametrize("temperature", [0.4, 1.7, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    """Probabilities that were made too sure or too shy are set right."""
    chance = np.random.default_rng(0)
    right = torch.from_numpy(chance.dirichlet([1.0, 1.0, 1.0], size=20_000))
    y = np.array([chance.choice(3, p=row) for row in right.numpy()])
    told = cooled(right, 1.0 / temperature).numpy()
    assert fit_temperature(told, y) == pytest.approx(temperature, rel=0.05)


def test_what_is_calibrated_stays_nearly() -> None:
    """Right probabilities keep a temperature near 1, and one that helps nothing is exactly 1."""
    y = np.tile([0, 1], 100)
    assert fit_temperature(np.full((200, 2), 0.5), y) == 1.0


def test_a_regression_has_no_temperature() -> None:
    """What is no probability is not scaled."""
    y = np.linspace(-1, 1, 50)[:, None]
    assert choose({LINEAR: y * 0.9}, y, NUMBERS).temperature == 1.0


def test_one_candidate_needs_no_words() -> None:
    """The only candidate is kept, with its score and without a sentence."""
    y = classes(count=2)
    out = guesses(y, sure=1.0, seed=1)
    choice = choose({MLP: out}, y, CLASSES)
    assert (choice.weights, choice.sentence) == ({MLP: 1.0}, "")
    assert choice.scores == {"mlp": pytest.approx(row_losses(out, y, CLASSES).mean(), rel=1e-6)}


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_the_sentence_names_every_score(task: Task) -> None:
    """Whoever reads why a model was kept sees what each candidate and the blend reached."""
    chance = np.random.default_rng(0)
    if task is Task.REGRESSION:
        y = chance.normal(size=(ROWS, 1))
        outputs = {name: y + k * chance.normal(size=(ROWS, 1)) for k, name in enumerate((LINEAR, GBDT, MLP), 1)}
    else:
        y = classes(count=2)
        outputs = {name: guesses(y, sure=3.0 - k, seed=k) for k, name in enumerate((LINEAR, GBDT, MLP))}
    for kept in (outputs, {LINEAR: outputs[LINEAR], GBDT: outputs[LINEAR]}):
        choice = choose(kept, y, OF[task])
        for name in kept:
            assert f"{name.value} {choice.scores[name.value]:.4g}" in choice.sentence
        assert f"{choice.scores['blend']:.4g}" in choice.sentence
        assert choice.sentence.startswith(
            "Model: a blend (" if len(choice.weights) > 1 else "Model: linear, the lowest"
        )
        assert choice.sentence.endswith("Change it with model=NAME.")
        assert ("deviations of the target" in choice.sentence) is (task is Task.REGRESSION)


def test_a_sure_mistake_has_a_bounded_loss() -> None:
    """A probability of zero for what happened counts as 1e-7, so one row cannot decide everything."""
    assert row_losses(np.array([[1.0, 0.0]]), np.array([1]), CLASSES)[0] == pytest.approx(-math.log(1e-7))


@pytest.mark.parametrize(
    ("objective", "metric"),
    [
        (Objective(LossName.QUANTILE, quantile=0.9), "pinball"),
        (Objective(LossName.MAE), "mae"),
        (Objective(LossName.HUBER), "huber"),
    ],
)
def test_candidates_are_compared_by_the_loss_that_was_asked_for(objective: Objective, metric: str) -> None:
    """Skewed noise: the mean wins by squared errors, what suits the loss wins by the loss, and the sentence says so."""
    chance = np.random.default_rng(0)
    y = chance.exponential(size=(ROWS, 1)) ** 2
    best = objective.aim().best_constant(y[:, 0])
    outputs = {LINEAR: np.full_like(y, y.mean()), GBDT: np.full_like(y, best)}
    squares = choose(outputs, y, NUMBERS)
    assert squares.scores["linear"] < squares.scores["gbdt"]
    choice = choose(outputs, y, objective)
    assert choice.weights == {GBDT: 1.0}
    assert choice.scores["gbdt"] < choice.scores["linear"]
    assert choice.scores["gbdt"] == pytest.approx(objective.aim().row_losses(y[:, 0], outputs[GBDT][:, 0]).mean())
    assert f"the lowest {metric} on the validation rows in deviations of the target" in choice.sentence


@pytest.mark.parametrize("objective", [Objective(LossName.FOCAL), Objective(LossName.CROSS_ENTROPY, smoothing=0.2)])
def test_shy_probabilities_are_scaled_before_they_are_compared(objective: Objective) -> None:
    """What a focal loss or smoothing did to the scale of a better candidate does not decide against it."""
    y = classes(count=2)
    better, worse = guesses(y, sure=3.0, seed=1), guesses(y, sure=2.0, seed=1)
    shy = cooled(torch.from_numpy(better), 3.5).numpy()
    outputs = {LINEAR: shy, GBDT: worse}
    assert choose(outputs, y, CLASSES).scores["gbdt"] < choose(outputs, y, CLASSES).scores["linear"]
    choice = choose(outputs, y, objective)
    assert choice.scores["linear"] < choice.scores["gbdt"]
    assert choice.weights[LINEAR] > 0.5
    assert choice.temperatures[LINEAR] < 0.5
    assert "log_loss (after temperature scaling)" in choice.sentence
