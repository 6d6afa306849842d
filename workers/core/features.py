"""From numbers and codes to what a network reads, and from there to predictions: the torch side of a model.

All statistics are buffers fitted on the training part. Training, scoring and the exported graph go through the same
arithmetic in the same precision, so they agree by construction: numbers are handled in float64 until they are
standardised.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from shared.specs import Task
from workers.core.columns import Kind
from workers.core.encode import Cells, Feature, category_features, number_features

YEAR_DAYS, WEEK_DAYS = 365.2425, 7.0


class Preprocess(nn.Module):
    """Numbers and codes to one row of float32: standardised numbers, missing flags, phases of dates, one-hot
    categories.

    Shapes: numbers [N, P] float64 (NaN where missing) and codes [N, Q] int64 to [N, width] float32.
    """

    def __init__(self, features: Sequence[Feature], train: Cells) -> None:
        """`train` holds the rows of the training part, and no others."""
        super().__init__()
        numbers = number_features(features)
        median, mean, sd = _statistics(train.numbers)
        self.register_buffer("median", torch.from_numpy(median))  # [P] float64
        self.register_buffer("mean", torch.from_numpy(mean))  # [P] float64
        self.register_buffer("sd", torch.from_numpy(sd))  # [P] float64, never 0
        missing = np.isnan(train.numbers)
        # A flag that is the same in every training row cannot be learnt from.
        self.register_buffer("flagged", _indices(np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))))
        dates = [k for k, feature in enumerate(numbers) if feature.kind is Kind.DATE]
        timed = [k for k in dates if np.any(np.nan_to_num(train.numbers[:, k]) % 1.0)]
        self.register_buffer("dates", _indices(dates))
        self.register_buffer("timed", _indices(timed))  # dates with a time of day
        columns, values = _slots(features, train.codes)
        self.register_buffer("slot_column", _indices(columns))  # [S] the category that the slot belongs to
        self.register_buffer("slot_code", _indices(values))  # [S] the code that fills it

    median: Tensor
    mean: Tensor
    sd: Tensor
    flagged: Tensor
    dates: Tensor
    timed: Tensor
    slot_column: Tensor
    slot_code: Tensor

    @property
    def width(self) -> int:
        """The length of a row."""
        return len(self.mean) + len(self.flagged) + 4 * len(self.dates) + 2 * len(self.timed) + len(self.slot_column)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """See the class; every step has its counterpart in `graph.py`."""
        missing = numbers.isnan()
        filled = torch.where(missing, self.median, numbers)
        blocks = [((filled - self.mean) / self.sd).float(), missing[:, self.flagged].float()]
        days = filled[:, self.dates]
        blocks += _phase(days / YEAR_DAYS) + _phase(days.floor() / WEEK_DAYS) + _phase(filled[:, self.timed])
        blocks.append((codes[:, self.slot_column] == self.slot_code).float())
        return torch.cat(blocks, dim=1)


class Network(nn.Module):
    """Preprocessing, body and output of one model.

    Shapes: numbers [N, P] float64 and codes [N, Q] int64 to probabilities [N, C] float32, or to predictions [N, 1]
    float32 in the target's unit.
    """

    def __init__(self, preprocess: Preprocess, body: nn.Sequential, task: Task, *, mean: float, sd: float) -> None:
        super().__init__()
        self.preprocess, self.body, self.task = preprocess, body, task
        # Regression is learnt in standardised units; kept in float64, because a target such as a year has a small
        # spread.
        self.register_buffer("target_mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("target_sd", torch.tensor(sd, dtype=torch.float64))

    target_mean: Tensor
    target_sd: Tensor

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.body(self.preprocess(numbers, codes))
        if self.task is Task.REGRESSION:
            return (out.double() * self.target_sd + self.target_mean).float()
        return out.softmax(dim=1)


def run_network(network: Network, cells: Cells, *, chunk_rows: int = 8192) -> np.ndarray:
    """The network's outputs for all rows of `cells`, on the CPU: [rows, classes] or [rows, 1] float32."""
    outputs = []
    with torch.inference_mode():
        for start in range(0, len(cells.numbers), chunk_rows):
            part = slice(start, start + chunk_rows)
            outputs.append(network(torch.from_numpy(cells.numbers[part]), torch.from_numpy(cells.codes[part])).numpy())
    return np.concatenate(outputs)


def preprocess_rows(preprocess: Preprocess, cells: Cells, rows: np.ndarray, *, chunk_rows: int = 65_536) -> Tensor:
    """The rows numbered `rows` as the network reads them, once for the whole training: [len(rows), width] float32."""
    out = torch.empty(len(rows), preprocess.width)
    with torch.inference_mode():
        for start in range(0, len(rows), chunk_rows):
            part = rows[start : start + chunk_rows]
            numbers, codes = torch.from_numpy(cells.numbers[part]), torch.from_numpy(cells.codes[part])
            out[start : start + len(part)] = preprocess(numbers, codes)
    return out


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of finite values, also of huge ones; the deviation is 1 where nothing varies."""
    if not len(values):
        return 0.0, 1.0
    scale = max(float(np.abs(values).max()), 1e-300)  # squares of what is left neither overflow nor vanish
    mean, sd = float((values / scale).mean()) * scale, float((values / scale).std()) * scale
    return mean, sd if sd > 1e-12 * scale else 1.0


def _statistics(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, mean and deviation of each column's known values, [P] float64 each."""
    width = numbers.shape[1]
    median, mean, sd = np.zeros(width), np.zeros(width), np.ones(width)
    for k in range(width):
        known = numbers[:, k][~np.isnan(numbers[:, k])]
        median[k] = np.median(known) if len(known) else 0.0
        mean[k], sd[k] = mean_and_sd(known)
    return median, mean, sd


def _slots(features: Sequence[Feature], codes: np.ndarray) -> tuple[list[int], list[int]]:
    """Category and code of each slot: one for each word; for other words and for missing where training has such cells.

    A slot that no training row fills would keep its random weights; without it, an unseen word is all zeros.
    """
    columns, values = [], []
    for k, feature in enumerate(category_features(features)):
        met = set(np.unique(codes[:, k]).tolist())
        for code in (*range(len(feature.words)), feature.other, feature.missing):
            if code in met:
                columns.append(k)
                values.append(code)
    return columns, values


def _phase(turns: Tensor) -> list[Tensor]:
    """Where in its period a time stands, [N, D] float64 turns to two blocks [N, D] float32."""
    angle = (turns - turns.floor()) * (2.0 * math.pi)
    return [angle.sin().float(), angle.cos().float()]


def _indices(values: Sequence[int] | np.ndarray) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=np.int64))
