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

    AUTO = "auto"  # each of the others in turn; the best on the validation part is kept
    LINEAR = "linear"  # linear, logistic or softmax regression
    MLP = "mlp"  # a fully connected network


class OptimizerName(StrEnum):
    """Which optimizer takes the steps."""

    SGD = "sgd"  # stochastic gradient descent with Nesterov momentum 0.9
    ADAM = "adam"  # Kingma & Ba 2015
    ADAMW = "adamw"  # Loshchilov & Hutter 2019


class Spec(BaseModel):
    """What every spec has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1


class TrainSpec(Spec):
    """Train a model on a table."""

    kind: Literal["train"] = "train"
    dataset: str = Field(min_length=1)
    target: str | None = None
    task: Task | None = None
    model: ModelName = ModelName.AUTO
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    batch: int | None = Field(default=None, ge=1, le=1_000_000)
    lr: float | None = Field(default=None, gt=0, le=10, allow_inf_nan=False)
    optimizer: OptimizerName | None = None
    l1: float = Field(default=0.0, ge=0, le=1_000, allow_inf_nan=False)
    l2: float | None = Field(default=None, ge=0, le=1_000, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0, lt=2**31)
    split_seed: int = Field(default=0, ge=0, lt=2**31)
    time_s: float = Field(default=60.0, gt=0, le=7 * 24 * 3600, allow_inf_nan=False)
    drop: tuple[str, ...] = ()
    header: bool | None = None
    sep: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str | None = None
    name: str | None = Field(default=None, max_length=80)


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
    """Compare the models of train runs on the test rows that they share."""

    kind: Literal["compare"] = "compare"
    runs: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=2, max_length=10)


AnySpec = Annotated[TrainSpec | EvaluateSpec | PredictSpec | CompareSpec, Field(discriminator="kind")]

SPEC: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)

SPEC_TYPES: dict[str, type[TrainSpec] | type[EvaluateSpec] | type[PredictSpec] | type[CompareSpec]] = {
    "train": TrainSpec,
    "evaluate": EvaluateSpec,
    "predict": PredictSpec,
    "compare": CompareSpec,
}


def parents_of(spec: AnySpec) -> tuple[int, ...]:
    """The train runs whose models a spec uses."""
    if isinstance(spec, EvaluateSpec | PredictSpec):
        return (spec.run,)
    return spec.runs if isinstance(spec, CompareSpec) else ()
