"""Calibration, residuals and scores of each class: by hand, and beside scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk

from shared.specs import Task
from workers.core.calibration import calibration
from workers.core.measures import measure
from workers.core.metrics import MOST_CLASSES, per_class
from workers.core.residuals import residuals


def pairs(*shares: float) -> np.ndarray:
    """Probabilities of two classes, from those of the second."""
    return np.array([[1 - share, share] for share in shares])


def drawn(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that occur just as often as the probabilities say."""
    chance = np.random.default_rng(0)
    predicted = chance.dirichlet(np.ones(classes), size=rows)
    return np.array([chance.choice(classes, p=shares) for shares in predicted]), predicted


def test_the_calibration_error_by_hand():
    """Thirty rows in three bins of ten: the mean of |0.1 - 0.2|, |0.5 - 0.6| and |0.9 - 0.7|."""
    predicted = pairs(*[0.1] * 10, *[0.5] * 10, *[0.9] * 10)
    actual = np.array([1] * 2 + [0] * 8 + [1] * 6 + [0] * 4 + [1] * 7 + [0] * 3)
    found = calibration(actual, predicted)
    assert found["ece"] == pytest.approx((0.1 + 0.1 + 0.2) / 3)
    assert [(one["predicted"], one["observed"], one["count"]) for one in found["bins"]] == [
        pytest.approx((0.1, 0.2, 10)), pytest.approx((0.5, 0.6, 10)), pytest.approx((0.9, 0.7, 10)),
    ]  # fmt: skip
    assert found["bins"][0]["interval"] == pytest.approx([0.0567, 0.5098], abs=1e-4)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(actual, predicted[:, 1]))


def test_of_more_classes_the_one_that_is_named_is_judged():
    """Ten sure rows, four of them wrong, are off by 0.3; Brier's sum over the classes is scikit-learn's."""
    predicted, actual = np.tile([0.05, 0.9, 0.05], (10, 1)), np.array([1] * 6 + [0] * 2 + [2] * 2)
    found = calibration(actual, predicted)
    assert found["ece"] == pytest.approx(0.3)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(actual, predicted, labels=[0, 1, 2]))


@pytest.mark.parametrize("classes", [2, 5])
def test_honest_probabilities_are_calibrated(classes):
    """Probabilities that mean what they say have a small error, in fifteen bins of about equal mass."""
    found = calibration(*drawn(3_000, classes))
    assert found["ece"] < 0.03
    assert len(found["bins"]) == 15
    assert {one["count"] for one in found["bins"]} <= {199, 200, 201}


def test_equal_probabilities_stay_in_one_bin():
    """A model that says the same of each row has one bin, and no rows have none."""
    found = calibration(np.arange(600) % 2, np.full((600, 2), 0.5))
    assert [(one["predicted"], one["observed"], one["count"]) for one in found["bins"]] == [(0.5, 0.5, 600)]
    assert found["ece"] == pytest.approx(0)
    assert len(calibration(*drawn(35, 2))["bins"]) == 3
    assert len(calibration(*drawn(1, 2))["bins"]) == 1
    assert calibration(np.array([], dtype=int), np.zeros((0, 2))) == {"ece": None, "brier": None, "bins": []}


def test_residuals_by_hand():
    """Quantiles, bias, the share within a tenth and the worst rows, by the numbers that people know."""
    actual = np.array([10.0, 20.0, 30.0, 40.0, 0.0])
    found = residuals(actual, np.array([11.0, 25.0, 30.0, 36.0, 0.0]), rows=np.array([7, 8, 9, 14, 15]))
    assert found["quantiles"] == pytest.approx({"0.05": -3.2, "0.25": 0.0, "0.5": 0.0, "0.75": 1.0, "0.95": 4.2})
    assert found["bias"] == pytest.approx(0.4)
    assert found["bias_interval"] is None
    assert found["within_10_percent"] == pytest.approx(0.8)
    assert found["worst"][0] == {"row": 8, "actual": 20.0, "predicted": 25.0}
    assert [one["row"] for one in found["worst"]] == [8, 14, 7, 9, 15]
    assert found["hint"] is None


def test_errors_that_grow_are_hinted_at():
    """The growth is Spearman's; a notable one is said, with advice where a logarithm exists; a chance one is not."""
    chance = np.random.default_rng(0)
    actual = chance.uniform(1, 100, size=500)
    grown = actual * (1 + 0.2 * chance.normal(size=500))
    found = residuals(actual, grown)
    assert found["growth"] == pytest.approx(spearmanr(np.abs(grown - actual), grown).statistic)
    assert found["hint"] == (
        f"The errors grow with the prediction (rank correlation {found['growth']:.2f}); if relative errors matter more "
        "than absolute ones, predict the logarithm."
    )
    assert "logarithm" not in residuals(actual - 50, grown - 50)["hint"]
    shrunk = residuals(-actual, -grown)
    assert shrunk["hint"] == (
        f"The errors are larger where the prediction is lower (rank correlation {shrunk['growth']:.2f})."
    )
    assert residuals(actual, actual + chance.normal(size=500))["hint"] is None
    assert residuals(actual[:8], grown[:8])["hint"] is None
    low, high = found["bias_interval"]
    assert low < found["bias"] < high


def test_residuals_of_next_to_nothing():
    """No rows have no residuals; a model without any error has no growth."""
    assert residuals(np.array([]), np.array([]))["worst"] == []
    found = residuals(np.arange(20.0), np.arange(20.0))
    assert (found["growth"], found["hint"], found["within_10_percent"]) == (None, None, 1.0)


@pytest.mark.parametrize(("size", "has_growth"), [(1e-6, False), (1e-2, True)])
def test_errors_of_rounding_are_no_errors_that_grow(size, has_growth):
    """What float32 leaves of a perfect fit follows the size of the numbers, and no one is told to take logarithms."""
    actual = np.linspace(1.0, 100.0, 200)
    found = residuals(actual, actual * (1 + size * (-1.0) ** np.arange(200)))
    assert (found["growth"] is not None) is has_growth
    assert (found["hint"] is not None) is has_growth


def test_each_class_by_hand():
    """Precision, recall and F1 of a class against the rest; a class that never occurs or is never named has none."""
    actual = np.array([0, 0, 0, 1, 1])
    predicted = np.eye(3)[[0, 0, 1, 1, 0]]
    found = per_class(actual, predicted, ["no", "yes", "maybe"])
    assert found[0] == {
        "class": "no", "support": 3, "precision": pytest.approx(2 / 3), "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3), "roc_auc": pytest.approx(sk.roc_auc_score(actual == 0, predicted[:, 0])),
    }  # fmt: skip
    assert found[1]["precision"] == 0.5
    assert found[2] == {
        "class": "maybe", "support": 0, "precision": None, "recall": None, "f1": None, "roc_auc": None,
    }  # fmt: skip


def test_of_many_classes_the_most_frequent_are_told():
    """Of 130 classes the table has the 100 with the most rows, in their order."""
    classes = 130
    actual = np.concatenate([np.arange(classes), np.arange(30, classes)])
    found = per_class(actual, np.eye(classes)[actual], [str(k) for k in range(classes)])
    assert [one["class"] for one in found] == [str(k) for k in range(30, classes)]
    assert len(found) == MOST_CLASSES
    assert all(one["f1"] == 1.0 for one in found)


def test_a_report_is_told_everything():
    """Each task has its keys, with nothing in them that JSON does not know."""
    actual, predicted = drawn(80, 3)
    found = measure(Task.MULTICLASS, actual, predicted, classes=["a", "b", "c"], rows=np.arange(80))
    assert set(found) == {"intervals", "per_class", "calibration"}
    halves = measure(Task.BINARY, *drawn(80, 2), classes=["no", "yes"], rows=np.arange(80))
    assert halves["positive_class"] == "yes"
    numbers = np.arange(80.0)
    told = measure(Task.REGRESSION, numbers, numbers + 1, classes=[], rows=np.arange(100, 180))
    assert set(told) == {"intervals", "residuals"}
    assert told["residuals"]["worst"][0]["row"] == 100
    plain = {type(leaf) for leaf in _leaves([found, told])}
    assert plain == {float, int, str, type(None)}


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]
