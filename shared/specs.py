"""What can be asked: one frozen model for each kind of run, the same from a shell, Slack and other services.

Specs are versioned and refuse unknown keys. A value of `None` means "not asked for": the worker decides, and writes
what it decided into the run's report.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Task(StrEnum):
    """What is predicted."""

    BINARY = "binary"  # one of two classes
    MULTICLASS = "multiclass"  # one of three or more classes
    REGRESSION = "regression"  # a number


class ModelName(StrEnum):
    """Which model is trained."""

    AUTO = "auto"  # several of the others inside one time budget; the best on validation is kept, or a blend
    LINEAR = "linear"  # linear, logistic or softmax regression
    MLP = "mlp"  # a fully connected network
    MLP_PLE = "mlp-ple"  # the same over piecewise-linear embeddings of the numbers
    TABM = "tabm"  # a parameter-efficient ensemble of networks
    GBDT = "gbdt"  # gradient-boosted trees


class Device(StrEnum):
    """What a run computes on."""

    AUTO = "auto"  # either: the first slot that is free
    GPU = "gpu"  # waits for a slot with a GPU
    CPU = "cpu"  # uses no GPU, also where there is one


class OptimizerName(StrEnum):
    """Which optimizer takes the steps."""

    GD = "gd"  # gradient descent on all rows at once
    SGD = "sgd"  # stochastic gradient descent
    ADAM = "adam"  # Kingma & Ba 2015
    ADAMW = "adamw"  # Loshchilov & Hutter 2019


class ScheduleName(StrEnum):
    """How the learning rate changes while training."""

    CONSTANT = "constant"  # it stays
    STEP = "step"  # times 0.1 after each third of the epochs
    EXPONENTIAL = "exponential"  # falls by the same factor each epoch, to 1 % at the end
    COSINE = "cosine"  # half a cosine to zero, again after each restart
    PLATEAU = "plateau"  # halved when the validation loss stalls


class Activation(StrEnum):
    """What stands between the layers of a network."""

    SIGMOID = "sigmoid"
    TANH = "tanh"
    RELU = "relu"
    GELU = "gelu"
    SILU = "silu"


class Norm(StrEnum):
    """What keeps the layers of a network in scale."""

    NONE = "none"
    BATCH = "batch"  # Ioffe & Szegedy 2015
    LAYER = "layer"  # Ba, Kiros & Hinton 2016


class LossName(StrEnum):
    """What training minimises."""

    MSE = "mse"  # regression: the squared error
    MAE = "mae"  # regression: the absolute error
    HUBER = "huber"  # regression: squared near zero, absolute beyond one standard deviation
    QUANTILE = "quantile"  # regression: the pinball loss of quantile=
    CROSS_ENTROPY = "cross_entropy"  # classes
    FOCAL = "focal"  # classes: cross-entropy that looks away from easy rows (Lin et al. 2017)


class ClassWeights(StrEnum):
    """How much a row of each class counts in training."""

    NONE = "none"  # every row the same
    BALANCED = "balanced"  # each class the same in sum


class Spec(BaseModel):
    """What every spec has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1


class TableSpec(Spec):
    """How a table is read; what is left out is found in the file."""

    dataset: str = Field(min_length=1)
    target: str | None = None
    task: Task | None = None
    drop: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    """Columns that are read as categories, whatever they look like; `text`, `date` and `number` likewise."""
    text: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    header: bool | None = None
    sep: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str | None = None


class TrainSpec(TableSpec):
    """Train a model on a table."""

    kind: Literal["train"] = "train"
    model: ModelName = ModelName.AUTO
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    batch: int | None = Field(default=None, ge=1, le=1_000_000)
    lr: float | None = Field(default=None, gt=0, le=10, allow_inf_nan=False)
    optimizer: OptimizerName | None = None
    momentum: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    nesterov: bool | None = None
    schedule: ScheduleName | None = None
    warmup: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    """The share of the epochs in which the learning rate rises from zero."""
    restarts: int | None = Field(default=None, ge=0, le=100)
    l1: float = Field(default=0.0, ge=0, le=1_000, allow_inf_nan=False)
    l2: float | None = Field(default=None, ge=0, le=1_000, allow_inf_nan=False)
    clip: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)
    """The largest norm of a gradient."""
    loss: LossName | None = None
    quantile: float | None = Field(default=None, gt=0, lt=1, allow_inf_nan=False)
    smoothing: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    """The share of label smoothing."""
    weights: ClassWeights | None = None
    patience: int | None = Field(default=None, ge=1, le=100_000)
    """Epochs without an improvement after which training ends."""
    depth: int | None = Field(default=None, ge=1, le=20)
    width: int | None = Field(default=None, ge=1, le=4096)
    activation: Activation | None = None
    dropout: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    norm: Norm | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    seeds: int | None = Field(default=None, ge=2, le=20)
    """How many seeds are trained, `seed` and those after it, a run for each; this run says what they reach together."""
    split_seed: int = Field(default=0, ge=0, lt=2**31)
    group: str | None = None
    """Rows that share its value stand on one side of the split."""
    time: str | None = None
    """The column by whose order the rows are split: the latest ones test."""
    time_s: float | None = Field(default=None, gt=0, le=7 * 24 * 3600, allow_inf_nan=False)
    device: Device = Device.AUTO
    name: str | None = Field(default=None, max_length=80)


class ProbeSpec(Spec):
    """Do nothing for a while: shows that the way from the words to a worker and back is open."""

    kind: Literal["probe"] = "probe"
    seconds: float = Field(default=0.0, ge=0, le=3600, allow_inf_nan=False)


class DescribeSpec(TableSpec):
    """Say what a table holds, as training would understand it."""

    kind: Literal["describe"] = "describe"
    write: str | None = Field(default=None, min_length=1, max_length=200)
    """The name of a CSV file to write with the table as it was understood."""


class EvaluateSpec(Spec):
    """Score the model of a train run on a table."""

    kind: Literal["evaluate"] = "evaluate"
    run: int = Field(ge=1)
    dataset: str = Field(min_length=1)


class PredictSpec(Spec):
    """Write the predictions of a train run's model for a table."""

    kind: Literal["predict"] = "predict"
    run: int = Field(ge=1)
    dataset: str = Field(min_length=1)


class CompareSpec(Spec):
    """Compare the models of train runs on the test rows that they share, or on a table that is given."""

    kind: Literal["compare"] = "compare"
    runs: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=2, max_length=10)
    dataset: str | None = Field(default=None, min_length=1)
    """Typed as `on=`."""


AnySpec = Annotated[
    TrainSpec | EvaluateSpec | PredictSpec | CompareSpec | DescribeSpec | ProbeSpec, Field(discriminator="kind")
]

SPEC: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)

SPEC_TYPES: dict[
    str,
    type[TrainSpec] | type[EvaluateSpec] | type[PredictSpec] | type[CompareSpec] | type[DescribeSpec] | type[ProbeSpec],
] = {
    "train": TrainSpec,
    "evaluate": EvaluateSpec,
    "predict": PredictSpec,
    "compare": CompareSpec,
    "describe": DescribeSpec,
    "probe": ProbeSpec,
}


def seeds_of(spec: AnySpec) -> range | None:
    """The seeds that a spec asks to be trained, a run for each; None where it asks for one run."""
    if not isinstance(spec, TrainSpec) or spec.seeds is None:
        return None
    return range(spec.seed, spec.seed + spec.seeds)


def parents_of(spec: AnySpec) -> tuple[int, ...]:
    """The train runs whose models a spec uses."""
    if isinstance(spec, EvaluateSpec | PredictSpec):
        return (spec.run,)
    return spec.runs if isinstance(spec, CompareSpec) else ()


def dataset_of(spec: AnySpec) -> str | None:
    """The dataset that a spec names; None for kinds that read none."""
    return getattr(spec, "dataset", None)
