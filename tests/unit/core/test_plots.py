"""Plots are drawn for any names and numbers."""

import numpy as np
import pytest

from shared.specs import Task
from workers.core import plots

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
    """One epoch, constant predictions and undefined metrics are drawn as well."""
    plots.loss_curve(tmp_path / "a.png", {"linear": [(1.0, 1.1)], "mlp": [(1.0, 2.0), (1e-5, 1e-6)]}, Task.REGRESSION)
    plots.predicted_vs_true(tmp_path / "b.png", np.ones(3), np.ones(3), "y")
    results = [{"run": k, "model": "mlp", "metrics": {"r2": value}} for k, value in enumerate((0.8, -0.2, None))]
    plots.comparison(tmp_path / "c.png", results, "r2", 0, "$y")
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in "abc")
