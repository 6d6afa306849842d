"""The scores that runs are measured by: their names, how people shorten them, and which way is better."""

CLASSES = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
NUMBERS = ("r2", "rmse", "mse", "mae", "huber", "pinball", "coverage")
NAMES = (*CLASSES, *NUMBERS)

SHORT = {
    "acc": "accuracy",
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "rocauc": "roc_auc",
    "loss": "log_loss",
    "logloss": "log_loss",
    "prec": "precision",
    "rec": "recall",
    "f1_score": "f1",
    "r^2": "r2",
    "r²": "r2",
}

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mse", "mae", "huber", "pinball"})

HEADLINE = {"binary": "roc_auc", "multiclass": "f1", "regression": "r2"}
"""The score by which models of a task are ranked."""


def metric_named(word: str) -> str | None:
    """The score that a word names; None when it names none."""
    plain = word.lower().replace("-", "_")
    found = SHORT.get(plain, plain)
    return found if found in NAMES else None
