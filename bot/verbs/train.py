"""`train DATASET`: fit a model and check what it exports."""

from collections.abc import Mapping
from typing import Any

from bot import values
from bot.grammar import Key, Verb, Words
from bot.verbs.table_keys import COLUMN_KEYS, FILE_KEYS, TARGET_KEYS
from shared.errors import RefusedWords, refused

_MODELS = ("auto", "linear", "mlp", "mlp-ple", "tabm", "gbdt")
_OPTIMIZERS = ("gd", "sgd", "adam", "adamw")
_SCHEDULES = ("constant", "step", "exponential", "cosine", "plateau")
_LOSSES = ("mse", "mae", "huber", "quantile", "cross_entropy", "focal")
_ACTIVATIONS = ("sigmoid", "tanh", "relu", "gelu", "silu")
_NORMS = ("none", "batch", "layer")
_WEIGHTS = ("none", "balanced")
_DEVICES = ("auto", "gpu", "cpu")


def build(words: Words) -> Any:
    """The spec of a training run; words that do not go together are refused, all of them at once."""
    from shared.combinations import problems_of
    from shared.specs import TrainSpec

    spec = TrainSpec(dataset=words.plain[0], **_with_times(words.values))
    problems = problems_of(spec, spec.task)
    if problems:
        raise RefusedWords(*problems)
    return spec


def _with_times(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the spec: `time` is a budget where it reads as a duration, else the column to split by."""
    fields = dict(asked)
    budget_s = fields.pop("budget", None)
    if isinstance(fields.get("time"), float):
        time_s = fields.pop("time")
        if budget_s is not None:
            raise refused(
                "repeated_key",
                f"The time budget is given once; met {time_s:g} s in time= and {budget_s:g} s in budget=.",
                "Leave one out; time=COLUMN names the column to split by.",
            )
        budget_s = time_s
    return fields if budget_s is None else {**fields, "time_s": budget_s}


def _choice(name: str, words: tuple[str, ...], help_: str, heading: str) -> Key:
    """A key that takes one of some words."""
    return Key(name, "|".join(words), help_, values.one_of(words), heading)


def _long_choice(name: str, words: tuple[str, ...], help_: str, heading: str) -> Key:
    """The same, with its words in the help, where there is room for them."""
    return Key(name, "WORD", f"{help_}: {', '.join(words)}", values.one_of(words), heading)


_MODEL, _TRAINING, _SPLIT, _RUN = (
    "The model",
    "Training; what is left out is chosen from the data",
    "Repeats and the split",
    "The run",
)

VERB = Verb(
    name="train",
    summary="Train a model on a table and get a checked ONNX file.",
    plain="DATASET",
    keys=(
        *TARGET_KEYS,
        *COLUMN_KEYS,
        *FILE_KEYS,
        _choice("model", _MODELS, "auto tries several and keeps the best, or a blend", _MODEL),
        Key("depth", "N", "networks: how many layers", values.whole(least=1, most=20), _MODEL),
        Key("width", "N", "networks: units of a layer", values.whole(least=1, most=4096), _MODEL),
        _choice("activation", _ACTIVATIONS, "networks: between layers", _MODEL),
        Key("dropout", "X", "networks: the share of units left out", values.number(least=0, below=1), _MODEL),
        _choice("norm", _NORMS, "networks: what keeps layers in scale", _MODEL),
        _choice("optimizer", _OPTIMIZERS, "what takes the steps; gd is on all rows at once", _TRAINING),
        Key("lr", "X", "the learning rate", values.number(above=0, most=10), _TRAINING),
        Key("epochs", "N", "the most epochs", values.whole(least=1, most=100_000), _TRAINING),
        Key("batch", "N", "rows in a batch", values.whole(least=1, most=1_000_000), _TRAINING),
        Key("momentum", "X", "of gd and sgd", values.number(least=0, below=1), _TRAINING),
        Key("nesterov", "yes|no", "look ahead along the momentum", values.yes_or_no, _TRAINING),
        _long_choice("schedule", _SCHEDULES, "how the learning rate changes", _TRAINING),
        Key("warmup", "X", "the share of epochs in which it rises", values.number(least=0, below=1), _TRAINING),
        Key("restarts", "N", "of the cosine schedule", values.whole(least=0, most=100), _TRAINING),
        _long_choice("loss", _LOSSES, "what training minimises", _TRAINING),
        Key(
            "quantile", "X", "of loss=quantile; 0.9 is the 90th percentile", values.number(above=0, below=1), _TRAINING
        ),
        Key("smoothing", "X", "classes: the share of label smoothing", values.number(least=0, below=1), _TRAINING),
        _choice("weights", _WEIGHTS, "classes: balanced counts each class the same", _TRAINING),
        Key("l1", "X", "the weight of the L1 penalty", values.number(least=0, most=1_000), _TRAINING),
        Key("l2", "X", "the weight of the L2 penalty", values.number(least=0, most=1_000), _TRAINING),
        Key("clip", "X", "the largest norm of a gradient", values.number(above=0, most=1_000_000), _TRAINING),
        Key("patience", "N", "epochs without gain until it ends", values.whole(least=1, most=100_000), _TRAINING),
        Key("budget", "60s", "the time budget; time=60s says the same", values.duration_s, _TRAINING),
        Key("group", "COL", "rows that share its value stay on one side of the split", values.text, _SPLIT),
        Key(
            "time",
            "COL|60s",
            "a column: the latest rows test; a duration: budget=",
            values.duration_s_or_column,
            _SPLIT,
        ),
        Key("split_seed", "N", "drives the split; 0 unless given", values.whole(least=0, most=2**31 - 1), _SPLIT),
        Key(
            "seed",
            "N",
            "drives initialisation and shuffling; 0 unless given",
            values.whole(least=0, most=2**31 - 1),
            _SPLIT,
        ),
        Key(
            "seeds", "N", "train so many seeds, from seed= on; scores are means", values.whole(least=2, most=20), _SPLIT
        ),
        _choice("device", _DEVICES, "what it computes on; auto takes what is free first", _RUN),
        Key("name", "...", "a name for the run", values.title, _RUN),
    ),
    examples=(
        "train churn.csv",
        "train churn.csv target=churned drop=customer_id model=mlp time=2m",
        "train prices.csv target=price task=regression sep=semicolon",
        "train visits.csv target=bought group=customer_id",
        "train churn.csv model=gbdt seeds=5",
        "train sales.csv target=units time=day budget=5m loss=quantile quantile=0.9",
        "train prices.csv target=price model=mlp optimizer=sgd momentum=0.9 nesterov=yes schedule=cosine warmup=0.1",
    ),
    build=build,
)
