"""Plots are drawn for any names and numbers."""

import numpy as np
import pytest

from workers.core import plots
from workers.core.calibration import calibration
from workers.core.plots_compared import differences_plot

ODD = ["$x_", "a\nb", "日本", "x" * 200, ""]


@pytest.mark.parametrize("classes", [2, 5, 12, 60])
def test_confusion_matrices_of_any_number_of_classes(tmp_path, classes):
    """Many classes, long names and dollar signs are drawn, never an error; the picture stays of a readable size."""
    names = [ODD[k % len(ODD)] + str(k) for k in range(classes)]
    actual = np.arange(400) % classes
    plots.confusion(tmp_path / "plot.png", actual, np.roll(actual, 7), names, "$target_")
    content = (tmp_path / "plot.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 400_000


def test_the_other_plots(tmp_path):
    """One epoch, none, constant predictions and undefined metrics are drawn as well."""
    curves = {"linear": [(1.0, 1.1)], "mlp": [(1.0, 2.0), (1e-5, 1e-6)], "gbdt": []}
    plots.loss_curve(tmp_path / "a.png", {name: plots.Curve(losses, "$x_", "Tree") for name, losses in curves.items()})
    plots.predicted_vs_true(tmp_path / "b.png", np.ones(3), np.ones(3), "y")
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in "ab")


@pytest.mark.parametrize("runs", [2, 3, 10])
def test_comparisons_of_any_number_of_runs(tmp_path, runs):
    """Undefined scores, missing intervals and many pairs are drawn; the picture stays of a readable size."""
    values = [0.8, -0.2, None, *(k / 10 for k in range(7))][:runs]
    results = [
        {"run": k, "model": "mlp", "metrics": {"r2": one}, "intervals": {"r2": None if k % 2 else [-0.3, 0.9]}}
        for k, one in enumerate(values)
    ]
    pairs = [
        {"runs": [a, b], "tied": a > 0, "differences": {"r2": {"difference": 0.1, "interval": [0.0, 0.2]}}}
        for a in range(runs)
        for b in range(a + 1, runs)
    ]
    facts = {"headline": "r2", "runs": results, "pairs": pairs, "best": 0, "target": "$y", "rows_shared": 9}
    differences_plot(tmp_path / "plot.png", {**facts, "rows_of": "test"})
    content = (tmp_path / "plot.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 400_000


@pytest.mark.parametrize(("classes", "rows"), [(2, 400), (3, 25), (60, 400), (2, 0)])
def test_reliability_of_any_probabilities(tmp_path, classes, rows):
    """The plot of any calibration is drawn, with odd names and without any row."""
    predicted = np.random.default_rng(0).dirichlet(np.ones(classes), size=rows)
    measured = calibration(np.arange(rows) % classes, predicted)
    names = [ODD[k % len(ODD)] + str(k) for k in range(classes)]
    plots.reliability(tmp_path / "plot.png", measured, names, "$target_")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("target", ODD)
def test_residuals_of_any_numbers(tmp_path, target):
    """Errors of a model, none at all, a single row and one far outlier are drawn."""
    actual = np.linspace(0, 1e6, 700)
    for number, predicted in enumerate((actual * 1.1, actual, np.where(actual == 0, 1e30, actual))):
        plots.residuals(tmp_path / f"{number}.png", actual, predicted.astype(np.float32), target)
    plots.residuals(tmp_path / "3.png", np.ones(1), np.ones(1), target)
    assert all((tmp_path / f"{k}.png").read_bytes().startswith(b"\x89PNG") for k in range(4))


@pytest.mark.parametrize("candidates", [1, 3, 5])
def test_the_losses_of_any_number_of_candidates(tmp_path, candidates):
    """Panels stand three in a row, so that the picture stays readable in a chat."""
    losses = [(1.0, 1.1), (0.5, 0.7), (0.4, 0.6)]
    curves = {f"model{k}": plots.Curve(losses, "Focal loss") for k in range(candidates)}
    plots.loss_curve(tmp_path / "plot.png", curves)
    content = (tmp_path / "plot.png").read_bytes()
    assert int.from_bytes(content[16:20], "big") < 2_000


def test_a_panel_says_what_fell_and_over_what(tmp_path, monkeypatch):
    """The axes name the loss that was asked for and what was counted; a single point is told in numbers."""
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, _: drawn.append(figure))
    curves = {
        "gbdt": plots.Curve([(2.0, 2.5), (1.0, 1.5)], "Pinball loss at 0.9 (standardised)", "Tree"),
        "linear": plots.Curve([(0.25, 0.5)], "Pinball loss at 0.9 (standardised)", "Epoch"),
    }
    plots.loss_curve(tmp_path / "plot.png", curves)
    trees, one = drawn[0].axes
    assert (trees.get_xlabel(), trees.get_ylabel()) == ("Tree", "Pinball loss at 0.9 (standardised)")
    assert [line.get_label() for line in trees.get_lines()] == ["training", "validation"]
    assert one.get_lines()[:] == []
    assert (
        one.texts[0].get_text() == "Pinball loss at 0.9 (standardised) after one epoch\ntraining 0.25\nvalidation 0.5"
    )
