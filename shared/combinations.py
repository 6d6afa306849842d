"""Which words of a training run do not go together, and why: nothing that is asked for is passed over in silence.

Asked twice: when the words are typed, and again once the task is known from the data. Pure.
"""

from collections.abc import Iterator, Sequence

from shared.errors import Problem
from shared.specs import (
    ClassWeights,
    LossName,
    ModelName,
    Norm,
    OptimizerName,
    ScheduleName,
    TableSpec,
    Task,
    TrainSpec,
)

REGRESSION_LOSSES = (LossName.MSE, LossName.MAE, LossName.HUBER, LossName.QUANTILE)
CLASS_LOSSES = (LossName.CROSS_ENTROPY, LossName.FOCAL)
MOST_SEED = 2**31 - 1
MOMENTUM_OPTIMIZERS = (OptimizerName.SGD, OptimizerName.GD)

_LAYERS = ("depth", "width", "activation", "dropout", "norm")
_SMOOTH = (None, LossName.MSE, LossName.CROSS_ENTROPY)  # losses whose optimum is solved for
_STEPS = ("schedule", "warmup", "restarts", "clip", "momentum", "nesterov", "smoothing")
_READ_AS = ("category", "text", "date", "number")
_OFF = (Norm.NONE, ClassWeights.NONE, False)  # a word that says none or no asks for nothing


def problems_of(spec: TrainSpec, task: Task | None) -> list[Problem]:
    """Every conflict between the words of a spec; `task` is None as long as it is not known. The code is always
    `words_conflict`.
    """
    not_taken = _not_taken(spec)
    asked = [word for word in _asked(spec) if word not in not_taken]
    return [
        *_of_model(spec, not_taken),
        *_of_optimizer(spec, asked),
        *_of_loss(spec, asked, task),
        *_of_split(spec),
        *_of_seeds(spec),
        *column_problems(spec),
    ]


def column_problems(spec: TableSpec) -> list[Problem]:
    """Columns of which two different things are said."""
    said: dict[str, list[str]] = {} if spec.target is None else {spec.target: ["target"]}
    for word in ("drop", *_READ_AS):
        for column in getattr(spec, word):
            words = said.setdefault(column, [])
            words += [] if word in words else [word]
    return [
        _conflict(
            f"A column is named by one of target=, drop=, category=, text=, date= and number=; `{column}` is named by "
            f"{_and([f'{word}=' for word in words])}.",
            "Name it once; task= says how the target is read." if words[0] == "target" else "Name it once.",
        )
        for column, words in said.items()
        if len(words) > 1
    ]


def _asked(spec: TrainSpec) -> list[str]:
    """The words that ask for something, among those that may conflict."""
    words = ("optimizer", "lr", "batch", *_STEPS, "patience", *_LAYERS, "loss", "quantile", "weights")
    given = {word: getattr(spec, word) for word in words}
    return [word for word, value in given.items() if value is not None and not any(value is off for off in _OFF)]


def _not_taken(spec: TrainSpec) -> list[str]:
    """The words that are asked for and that the model has no use for."""
    unknown: Sequence[str] = ()
    if spec.model is ModelName.LINEAR:
        takes_steps = spec.optimizer is not None or spec.loss not in _SMOOTH
        unknown = _LAYERS if takes_steps else (*_LAYERS, "lr", "batch", *_STEPS, "patience")
    if spec.model is ModelName.GBDT:
        unknown = ("optimizer", "batch", *_STEPS, *_LAYERS)
    return [word for word in _asked(spec) if word in unknown]


def _of_model(spec: TrainSpec, not_taken: Sequence[str]) -> Iterator[Problem]:
    layers = [word for word in not_taken if word in _LAYERS]
    others = [word for word in not_taken if word not in layers]
    if spec.model is ModelName.GBDT and not_taken:
        yield _conflict(
            f"`gbdt` grows trees and takes no words of networks; met {_met(spec, not_taken)}.",
            f"Leave {_words(not_taken)} out, or choose model=mlp.",
        )
    if spec.model is ModelName.LINEAR and layers:
        yield _conflict(
            f"`linear` has no layers; met {_met(spec, layers)}.",
            f"Leave {_words(layers)} out, or choose model=mlp.",
        )
    if spec.model is ModelName.LINEAR and others:
        yield _conflict(
            f"`linear` without optimizer= is solved to its optimum in one go; met {_met(spec, others)}.",
            f"Leave {_words(others)} out, or name an optimizer=.",
        )
    if spec.model is ModelName.GBDT and spec.loss is LossName.FOCAL:
        yield _conflict(
            "`gbdt` trains with every loss but focal; met loss=focal.",
            "Use loss=cross_entropy, or choose model=mlp.",
        )
    if spec.model is ModelName.TABM and spec.norm in (Norm.BATCH, Norm.LAYER):
        yield _conflict(
            f"The members of `tabm` share their layers, so it takes no norm; met {_met(spec, ['norm'])}.",
            "Leave norm= out, or choose model=mlp.",
        )


def _of_optimizer(spec: TrainSpec, asked: Sequence[str]) -> Iterator[Problem]:
    wanted = [word for word in asked if word in ("momentum", "nesterov")]
    if wanted and spec.optimizer not in MOMENTUM_OPTIMIZERS:
        chosen = "no optimizer=" if spec.optimizer is None else f"optimizer={spec.optimizer}"
        yield _conflict(
            f"momentum= and nesterov= go with optimizer=sgd or optimizer=gd; met {_met(spec, wanted)} with {chosen}.",
            f"Say optimizer=sgd, or leave {_words(wanted)} out.",
        )
    elif "nesterov" in wanted and not _momentum(spec):
        default = " (optimizer=gd has none unless it is given)" if spec.momentum is None else ""
        yield _conflict(
            f"nesterov=yes looks ahead along the momentum, so it needs one above 0; momentum is 0{default}.",
            "Say momentum=0.9, or leave nesterov= out.",
        )
    if "restarts" in asked and spec.schedule is not ScheduleName.COSINE:
        schedule = "no schedule=" if spec.schedule is None else f"schedule={spec.schedule}"
        yield _conflict(
            f"restarts= goes with schedule=cosine; met restarts={spec.restarts} with {schedule}.",
            "Say schedule=cosine, or leave restarts= out.",
        )
    if "batch" in asked and spec.optimizer is OptimizerName.GD:
        yield _conflict(
            f"optimizer=gd takes each step on all rows at once; met batch={spec.batch}.",
            "Leave batch= out, or say optimizer=sgd.",
        )


def _momentum(spec: TrainSpec) -> float:
    """What the optimizer will have."""
    default = 0.9 if spec.optimizer is OptimizerName.SGD else 0.0
    return default if spec.momentum is None else spec.momentum


def _of_loss(spec: TrainSpec, asked: Sequence[str], task: Task | None) -> Iterator[Problem]:
    is_regression = spec.loss in REGRESSION_LOSSES if task is None else task is Task.REGRESSION
    why = f"loss={spec.loss} is of regression" if task is None else f"the task is {task}"
    as_classes = as_number = ""
    if spec.task is None:  # the data told the task: a person may know better
        as_classes = ", or say task=multiclass if the numbers of the target stand for classes"
        as_number = ", or say task=regression if the target is a number"
    if task is not None and is_regression and spec.loss in CLASS_LOSSES:
        yield _conflict(
            f"loss={spec.loss} is for classes; {why}.",
            f"Use loss=mse, mae, huber or quantile, or leave loss= out{as_classes}.",
        )
    if task is not None and not is_regression and spec.loss in REGRESSION_LOSSES:
        yield _conflict(
            f"loss={spec.loss} is for regression; {why}.",
            f"Use loss=cross_entropy or focal, or leave loss= out{as_number}.",
        )
    if "quantile" in asked and spec.loss is not LossName.QUANTILE:
        loss = "no loss=" if spec.loss is None else f"loss={spec.loss}"
        yield _conflict(
            f"quantile= goes with loss=quantile; met quantile={spec.quantile:g} with {loss}.",
            "Say loss=quantile, or leave quantile= out.",
        )
    of_classes = [word for word in asked if word in ("smoothing", "weights")]
    if of_classes and is_regression:
        yield _conflict(
            f"{_words(of_classes)} {'is' if len(of_classes) == 1 else 'are'} for classes; {why}.",
            f"Leave {_words(of_classes)} out.",
        )
    if "smoothing" in asked and spec.loss is LossName.FOCAL:
        yield _conflict(
            f"smoothing= softens the labels of loss=cross_entropy; met {_met(spec, ['smoothing'])} with loss=focal.",
            "Leave one of them out.",
        )


def _of_split(spec: TrainSpec) -> Iterator[Problem]:
    if spec.group is not None and spec.time is not None:
        yield _conflict(
            f"Rows are split by group or by time, not by both; met group={spec.group} and time={spec.time}.",
            "Leave one of them out.",
        )
    for word in ("group", "time"):
        column = getattr(spec, word)
        if column is not None and column == spec.target:
            yield _conflict(
                f"Rows are not split by what is predicted; {word}= and target= both name `{column}`.",
                f"Name another column in {word}=, or leave it out.",
            )


def _of_seeds(spec: TrainSpec) -> Iterator[Problem]:
    if spec.seeds is not None and spec.seed + spec.seeds > MOST_SEED + 1:
        yield _conflict(
            f"Seeds end at {MOST_SEED:,}; met seeds={spec.seeds} that begin with seed={spec.seed}.",
            "Begin with a smaller seed=.",
        )


def _conflict(message: str, hint: str) -> Problem:
    return Problem("words_conflict", message, hint)


def _met(spec: TrainSpec, words: Sequence[str]) -> str:
    """The words as they can be typed."""
    return " ".join(f"{word}={_typed(getattr(spec, word))}" for word in words)


def _typed(value: object) -> str:
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(words: Sequence[str]) -> str:
    return _and([f"{word}=" for word in words])


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
