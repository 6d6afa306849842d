"""`train DATASET`: fit a model and check what it exports."""

from typing import Any

from bot import values
from bot.grammar import Key, Verb, Words


def build(words: Words) -> Any:
    """The spec of a training run."""
    from shared.specs import TrainSpec

    asked = {("time_s" if key == "time" else key): value for key, value in words.values.items()}
    return TrainSpec(dataset=words.plain[0], **asked)


VERB = Verb(
    name="train",
    summary="Train a model on a table and get a checked ONNX file.",
    plain="DATASET",
    keys=(
        Key(
            "target",
            "COL",
            "the column to predict; else one named target, label, y or class, else the last",
            values.text,
        ),
        Key(
            "task",
            "binary|multiclass|regression",
            "what is predicted; else inferred from the target",
            values.one_of(("binary", "multiclass", "regression")),
        ),
        Key(
            "model",
            "auto|linear|mlp",
            "which model; auto tries each and keeps the best",
            values.one_of(("auto", "linear", "mlp")),
        ),
        Key("epochs", "N", "the most epochs", values.whole(least=1, most=100_000)),
        Key("batch", "N", "rows in a batch", values.whole(least=1, most=1_000_000)),
        Key("lr", "X", "the learning rate", values.number(above=0, most=10)),
        Key("optimizer", "sgd|adam|adamw", "what takes the steps", values.one_of(("sgd", "adam", "adamw"))),
        Key("l1", "X", "the weight of the L1 penalty", values.number(least=0, most=1_000)),
        Key("l2", "X", "the weight of the L2 penalty", values.number(least=0, most=1_000)),
        Key("seed", "N", "drives initialisation and shuffling; 0 unless given", values.whole(least=0, most=2**31 - 1)),
        Key("split_seed", "N", "drives the split; 0 unless given", values.whole(least=0, most=2**31 - 1)),
        Key("time", "60s", "the time budget of the training", values.duration_s),
        Key("drop", "COL,COL", "columns to leave out", values.columns),
        Key("header", "yes|no", "whether the first row names the columns", values.yes_or_no),
        Key("sep", "X", "the character between cells, or comma, semicolon, tab, pipe, space", values.separator),
        Key("encoding", "X", "the text encoding of the file", values.encoding),
        Key("name", "...", "a name for the run", values.title),
    ),
    examples=(
        "train churn.csv",
        "train churn.csv target=churned drop=customer_id model=mlp time=2m",
        "train prices.csv target=price task=regression sep=semicolon",
    ),
    build=build,
)
