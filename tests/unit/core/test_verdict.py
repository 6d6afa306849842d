"""The learning curve in one sentence, for each way in which training can end."""

import pytest

from shared.specs import ModelName, Task
from workers.core.verdict import Training, is_still_falling, missed_quantile, verdict

METRICS = {Task.BINARY: "roc_auc", Task.MULTICLASS: "f1", Task.REGRESSION: "r2"}
BASELINES = {"roc_auc": 0.5, "f1": 0.1, "r2": -0.01, "pinball": 1000.0}
FALLING = tuple((2.0 - 0.05 * k, 2.0 - 0.05 * k) for k in range(20))


def training(**words: object) -> Training:
    """That of a network which ended because nothing got better."""
    return Training(**{"model": ModelName.MLP, "rows": 5_000, "ended_by": "patience", "curve": FALLING, **words})


def judged(task: Task | str, train: float | None, validation: float | None, *, interval=None, **words: object) -> str:
    """The verdict on two scores of the headline metric, beside the usual baseline."""
    metric = METRICS[task] if isinstance(task, Task) else task
    parts = ({metric: train}, {metric: validation}, {metric: BASELINES[metric]})
    return verdict(metric, *parts, training=training(**words), interval=interval)


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
            "to 0.22); a larger width= or depth=, or columns that say more about the target, would help.",
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
    assert sentence.endswith("; dropout=, a larger l2= or a smaller width= would help.")


def test_scores_out_of_any_range_stay_readable():
    """An r2 far below zero does not fill the line."""
    assert "-1.235e+09 on the validation part" in judged(Task.REGRESSION, 0.9, -1_234_567_890.0)


def test_a_loss_that_is_lower_when_better_is_judged_the_other_way_round():
    """Losses fall towards zero: a training loss below the interval, far below, is overfitting."""
    assert judged("pinball", 500.0, 520.0, interval=[480.0, 560.0]) == (
        "Healthy: pinball is 500 on the training part and 520 on the validation part (480 to 560)."
    )
    assert judged("pinball", 100.0, 700.0, interval=[650.0, 750.0]).startswith("Overfitting: pinball is 100 on")
    assert judged("pinball", 995.0, 1020.0, interval=[990.0, 1050.0]).startswith("Nothing learnt")
    assert judged("pinball", 900.0, 910.0, interval=[880.0, 940.0]).startswith("Underfitting")
    assert "1,235 on the validation part" in judged("pinball", 1_200.0, 1_234.9)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ({"ended_by": "epochs"}, "when the epochs ended; more epochs= or a higher lr= would help."),
        ({"ended_by": "time"}, "when the time ended; more time= would help."),
        (
            {"ended_by": "epochs", "model": ModelName.LINEAR, "has_rate": False},
            "when the epochs ended; more epochs= would help.",
        ),
        (
            {"ended_by": "epochs", "model": ModelName.GBDT},
            "when the epochs ended; more epochs= or a higher lr= with model=gbdt would help.",
        ),
    ],
)
def test_what_still_falls_is_under_trained(words, advice):
    """A validation loss that still falls at the end asks for more epochs, before anything else is said."""
    sentence = judged(Task.BINARY, 0.81, 0.80, interval=[0.77, 0.83], **words)
    assert sentence == (
        "Under-trained: roc_auc is 0.81 on the training part and 0.80 on the validation part (0.77 to 0.83), and the "
        f"validation loss still fell {advice}"
    )


@pytest.mark.parametrize(
    ("losses", "falls"),
    [
        ([2.0 - 0.05 * k for k in range(60)], True),
        ([0.6, 0.5, 0.42], True),
        ([0.6, 0.5], True),
        ([0.5], False),
        ([], False),
        ([0.46, 0.46, 0.45, 0.43, 0.44, 0.43, 0.43, 0.428, 0.4426, 0.42], False),  # noise that ended low
        ([0.9**k for k in range(60)], False),  # next to nothing is left
        ([*(1 - 0.05 * k for k in range(19)), 0.3], False),  # the last epoch was no improvement
    ],
)
def test_noise_is_not_falling(losses, falls):
    """Only a fall that has been steady, and that is more than a trace of the whole, is called one."""
    assert is_still_falling(training(ended_by="epochs", curve=[(loss, loss) for loss in losses])) is falls


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (ModelName.LINEAR, "more rows (it learnt from 5,000), a larger l2= or l1= would help."),
        (ModelName.GBDT, "more rows (it learnt from 5,000), a larger l2= with model=gbdt would help."),
        (ModelName.TABM, "more rows (it learnt from 5,000), dropout= or a larger l2= would help."),
    ],
)
def test_advice_names_words_that_the_model_takes(model, words):
    """A linear model and trees have no dropout, and nothing to widen."""
    assert judged(Task.BINARY, 0.99, 0.81, model=model).endswith(words)
    few = judged(Task.REGRESSION, 0.2, 0.19, model=model)
    assert ("width=" in few) is (model is ModelName.TABM)


def test_a_quantile_that_is_missed_is_said():
    """Beyond chance only: where the interval of the share holds the quantile, nothing is."""
    assert missed_quantile(0.9, 0.82, [0.76, 0.87]) == (
        "The predictions are too low for quantile=0.9: 82.0% of the test rows lie at or below them (76.0% to 87.0%)."
    )
    assert "too high for quantile=0.1" in missed_quantile(0.1, 0.2, [0.15, 0.26])
    assert missed_quantile(0.9, 0.87, [0.82, 0.91]) == missed_quantile(0.9, None, None) == ""
