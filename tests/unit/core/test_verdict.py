"""The learning curve in one sentence, for each way in which training can end."""

import pytest

from shared.specs import Task
from workers.core.verdict import verdict


def judged(task: Task, train: float | None, validation: float | None, **more: object) -> str:
    """The verdict on two scores of the headline metric, beside the usual baseline."""
    metric = {Task.BINARY: "roc_auc", Task.MULTICLASS: "f1", Task.REGRESSION: "r2"}[task]
    baseline = {Task.BINARY: 0.5, Task.MULTICLASS: 0.1, Task.REGRESSION: -0.01}[task]
    parts = ({metric: train}, {metric: validation}, {metric: baseline})
    return verdict(task, *parts, **{"rows": 5_000, "interval": None, **more})


@pytest.mark.parametrize(
    ("task", "train", "validation", "interval", "sentence"),
    [
        (
            Task.BINARY, 0.93, 0.91, [0.9, 0.92],
            "Healthy: roc_auc is 0.93 on the training part and 0.91 on the validation part (0.90 to 0.92).",
        ),
        (
            Task.BINARY, 0.88, 0.91, None,
            "Healthy: roc_auc is 0.88 on the training part and 0.91 on the validation part.",
        ),
        (
            Task.BINARY, 0.99, 0.81, [0.78, 0.84],
            "Overfitting: roc_auc is 0.99 on the training part and 0.81 on the validation part (0.78 to 0.84); more "
            "rows (it learnt from 5,000), dropout= or a larger l2= would help.",
        ),
        (
            Task.MULTICLASS, 1.0, 0.11, [0.09, 0.13],
            "Overfitting: f1 is 1.00 on the training part and 0.11 on the validation part (0.09 to 0.13), no better "
            "than a baseline without features (0.10); more rows (it learnt from 5,000), dropout= or a larger l2= "
            "would help.",
        ),
        (
            Task.REGRESSION, 0.2, 0.19, [0.15, 0.22],
            "Underfitting, or little to learn: r2 is 0.20 on the training part and 0.19 on the validation part (0.15 "
            "to 0.22); a larger model, more time= or columns that say more about the target would help.",
        ),
        (
            Task.REGRESSION, 0.01, -0.02, [-0.05, 0.02],
            "Nothing learnt: r2 is 0.01 on the training part and -0.02 on the validation part (-0.05 to 0.02), no "
            "better than a baseline without features (-0.01); these columns may not tell the target.",
        ),
        (
            Task.BINARY, 0.8, 0.71, [0.45, 0.9],
            "Too few rows to tell: roc_auc is 0.80 on the training part and 0.71 on the validation part, where chance "
            "alone moves it by that much (0.45 to 0.90); more rows are needed.",
        ),
        (Task.BINARY, 0.99, None, None, "Not judged: roc_auc is not defined on every part."),
    ],
)  # fmt: skip
def test_each_outcome_has_its_sentence(task, train, validation, interval, sentence):
    """Whatever training came to is said with both scores, what chance leaves open, and what to do about it."""
    assert judged(task, train, validation, interval=interval) == sentence


@pytest.mark.parametrize(
    ("train", "validation", "interval", "kind"),
    [
        (0.95, 0.85, [0.7, 0.96], "Healthy"),  # more than chance must lie between the two
        (0.95, 0.85, [0.83, 0.87], "Healthy"),  # a tenth of 0.45 is a loss that every model has
        (0.95, 0.80, [0.78, 0.82], "Overfitting"),
        (0.66, 0.65, [0.63, 0.67], "Underfitting"),
        (0.68, 0.67, [0.65, 0.69], "Healthy"),
        (0.52, 0.51, [0.49, 0.53], "Nothing learnt"),
        (0.52, 0.51, [0.40, 0.62], "Too few rows"),
        (1.00, 0.60, [0.45, 0.75], "Overfitting"),  # a small part, and yet no doubt
    ],
)
def test_where_one_outcome_ends_and_the_next_begins(train, validation, interval, kind):
    """Differences count beyond chance, losses from a quarter of what was gained, little is below a third."""
    assert judged(Task.BINARY, train, validation, interval=interval).startswith(kind)


def test_many_rows_are_not_asked_for_more():
    """A model that overfits 50,000 rows is told to be smaller, not to find more."""
    sentence = judged(Task.BINARY, 0.99, 0.81, rows=50_000)
    assert sentence.endswith("; dropout=, a larger l2= or a smaller model would help.")


def test_scores_out_of_any_range_stay_readable():
    """An r2 far below zero does not fill the line."""
    assert "-1.23e+09 on the validation part" in judged(Task.REGRESSION, 0.9, -1_234_567_890.0)
