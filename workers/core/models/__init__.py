"""The models, one file each and one row each in this table."""

from typing import Protocol

from shared.specs import ModelName, TrainSpec
from workers.core.loop import Data, Fit
from workers.core.models.linear import fit_linear
from workers.core.models.mlp import fit_mlp
from workers.core.progress import Clock, Progress


class Model(Protocol):
    """Trains a body of layers that `graph.py` can export."""

    def __call__(self, data: Data, spec: TrainSpec, *, progress: Progress, clock: Clock) -> Fit: ...


# The order is that of `auto`: cheap ones first, so that a short time budget still gives a model.
MODELS: dict[ModelName, Model] = {
    ModelName.LINEAR: fit_linear,
    ModelName.MLP: fit_mlp,
}
