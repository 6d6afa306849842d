"""The rows that a model may learn from or be chosen on, as tensors; the test part is never among them."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.specs import Task, TrainSpec
from workers.core.dataset import Dataset
from workers.core.features import Preprocess, mean_and_sd
from workers.core.loop import Data, Fold
from workers.core.objective import resolve_objective
from workers.core.split import SET_ASIDE, TEST, VALIDATION, folds

FOLDS = 5
MOST_FOLDED_ROWS = 200_000
"""Above, one hold-out judges the candidates as well as folds do, in a fifth of the time."""

MOST_WATCHING_ROWS = 100_000  # enough for any difference that matters


@dataclass(frozen=True)
class Development:
    """The development rows, ready for every model."""

    data: Data
    preprocess: Preprocess
    rows: np.ndarray
    """[rows of the matrix] int64: their numbers in the table."""
    test: Tensor
    """[test rows, D] float32 on the CPU: what the test part looks like to a model."""
    mean: float
    sd: float


def development(dataset: Dataset, spec: TrainSpec, device: torch.device) -> Development:
    """Fit the preprocessing on the training and validation part, and lay the folds."""
    rows = np.flatnonzero((dataset.parts != TEST) & (dataset.parts != SET_ASIDE))
    preprocess = Preprocess(dataset.features, dataset.cells, rows)
    values = dataset.target.values[rows]
    task, classes = dataset.target.task, len(dataset.target.classes)
    mean, sd = mean_and_sd(values) if task is Task.REGRESSION else (0.0, 1.0)
    if task is Task.REGRESSION:
        y = torch.from_numpy((values - mean) / sd).float()[:, None].to(device)
    else:
        y = torch.from_numpy(values.astype(np.int64)).to(device)
    data = Data(
        task=task,
        outputs=classes or 1,
        layout=preprocess.layout,
        x=preprocess.matrix(dataset.cells, rows).to(device),
        y=y,
        folds=tuple(_folds(dataset, rows, device)),
        objective=resolve_objective(spec, task, y, classes),
    )
    test = preprocess.matrix(dataset.cells, np.flatnonzero(dataset.parts == TEST))
    return Development(data, preprocess, rows, test, mean, sd)


def digest(data: Data) -> str:
    """A hash of all that a model learns from: the rows as models read them, their targets and folds."""
    whole = hashlib.sha256()
    for tensor in (data.x, data.y, *(rows for fold in data.folds for rows in (fold.train, fold.validation))):
        whole.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        whole.update(tensor.cpu().contiguous().numpy().data)
    return whole.hexdigest()


def _folds(dataset: Dataset, rows: np.ndarray, device: torch.device) -> list[Fold]:
    """Each development row watches once; where rows are many or time orders them, rows of the validation part alone
    do, and all others learn.
    """

    def places(mask: np.ndarray) -> Tensor:
        return torch.from_numpy(np.flatnonzero(mask)).to(device)

    if len(rows) > MOST_FOLDED_ROWS or dataset.by_time:
        watching = dataset.parts[rows] == VALIDATION
        places_of = np.flatnonzero(watching)
        watching[:] = False
        watching[places_of[:: -(-len(places_of) // MOST_WATCHING_ROWS)]] = True
        return [Fold(places(~watching), places(watching))]
    fold = folds(dataset.hashes, dataset.target, dataset.parts, k=FOLDS, groups=dataset.groups)[rows]
    return [Fold(places(fold != k), places(fold == k)) for k in np.unique(fold)]
