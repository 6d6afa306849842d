"""What fitting a model gives, whichever it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.specs import ModelName
from workers.core.loop import Data
from workers.core.predictor import Member

Followed = Mapping[str, Any] | None
"""The plan of the same candidate in an earlier run, where it is to be repeated: it wins over what was asked for."""


@dataclass
class Candidate:
    """A fitted model, and what it says of rows that it had not learnt from."""

    name: ModelName
    member: Member
    outputs: np.ndarray
    """[development rows, classes] probabilities or [development rows, 1] deviations: each row by a fold that it was not
    in; NaN for rows that only ever learnt."""
    validation_loss: float
    plan: dict[str, Any]
    """What was done, in plain values: enough to do it again without a clock."""
    curve: list[tuple[float, float]] = field(default_factory=list)
    """Training and validation loss after each epoch."""
    notes: list[str] = field(default_factory=list)


def out_of_fold(data: Data, outputs: Sequence[Tensor]) -> np.ndarray:
    """What each fold says of its validation rows, [n, O] each, put in the rows' places: [rows, O] float32."""
    placed = torch.full((len(data.x), data.outputs), torch.nan)
    for fold, out in zip(data.folds, outputs, strict=True):
        placed[fold.validation.cpu()] = out.float().cpu()
    return placed.numpy()
