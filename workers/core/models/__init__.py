"""The models, one file each and one row each in this table."""

from typing import Protocol

from shared.specs import ModelName, TrainSpec
from workers.core.loop import Data
from workers.core.models.candidate import Candidate, Followed
from workers.core.models.gbdt import fit_gbdt
from workers.core.models.linear import fit_linear
from workers.core.models.mlp import fit_mlp, fit_mlp_ple
from workers.core.models.tabm import fit_tabm
from workers.core.progress import Clock, Progress


class Model(Protocol):
    """Fits a member that `graph.py` can export."""

    def __call__(
        self,
        data: Data,
        spec: TrainSpec,
        *,
        progress: Progress,
        clock: Clock,
        threads: int,
        follow: Followed = None,
    ) -> Candidate: ...


MODELS: dict[ModelName, Model] = {
    ModelName.LINEAR: fit_linear,
    ModelName.MLP: fit_mlp,
    ModelName.MLP_PLE: fit_mlp_ple,
    ModelName.TABM: fit_tabm,
    ModelName.GBDT: fit_gbdt,
}
