"""From cells to the one matrix that every model reads: the torch side of a model's preprocessing.

All statistics are buffers fitted on the development rows (training and validation part), never on the test part.
Training, scoring and the exported graph go through the same arithmetic in the same precision, so they agree by
construction: numbers are handled in float64 until they are standardised.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from workers.core.columns import Kind
from workers.core.encode import Cells, Feature, category_features, number_features

YEAR_DAYS, WEEK_DAYS = 365.2425, 7.0
FARTHEST = 1e15
"""In deviations; numbers further out are not told apart, for a float32 may overflow, and sums of infinities are NaN."""


@dataclass(frozen=True)
class Layout:
    """How the columns of the matrix are ordered: numbers, phases, codes, counts."""

    numbers: int
    phases: int
    codes: int
    counts: int

    @property
    def width(self) -> int:
        return self.numbers + self.phases + self.codes + self.counts

    @property
    def dense(self) -> slice:
        """What is a number and never missing: phases."""
        return slice(self.numbers, self.numbers + self.phases)

    @property
    def coded(self) -> slice:
        return slice(self.numbers + self.phases, self.numbers + self.phases + self.codes)

    @property
    def counted(self) -> slice:
        return slice(self.numbers + self.phases + self.codes, self.width)


class Preprocess(nn.Module):
    """Cells to one row of float32: standardised numbers (NaN where missing), phases of dates, codes, log counts.

    Shapes: numbers [N, P] float64 (NaN where missing), codes [N, Q] int64 and counts [N, T] float32 to [N, width]
    float32. A code is kept as the number it is, which float32 holds exactly below 2^24.
    """

    def __init__(self, features: Sequence[Feature], cells: Cells, rows: np.ndarray) -> None:
        """The statistics are those of `rows` [n] int64, which are no test rows."""
        super().__init__()
        numbers = number_features(features)
        median, mean, sd = _statistics(cells, rows)
        self.register_buffer("median", torch.from_numpy(median))  # [P] float64
        self.register_buffer("mean", torch.from_numpy(mean))  # [P] float64
        self.register_buffer("sd", torch.from_numpy(sd))  # [P] float64, never 0
        dates = [k for k, feature in enumerate(numbers) if feature.kind is Kind.DATE]
        timed = [k for k in dates if np.any(np.nan_to_num(cells.numbers[k][rows]) % 1.0)]
        self.register_buffer("dates", _indices(dates))
        self.register_buffer("timed", _indices(timed))  # dates with a time of day
        counts = cells.counts.shape[1] if cells.counts is not None else 0
        phases = 4 * len(dates) + 2 * len(timed)
        self.layout = Layout(len(numbers), phases, len(category_features(features)), counts)

    median: Tensor
    mean: Tensor
    sd: Tensor
    dates: Tensor
    timed: Tensor

    def forward(self, numbers: Tensor, codes: Tensor, counts: Tensor) -> Tensor:
        """See the class; every step has its counterpart in `graph.py`."""
        blocks = [((numbers - self.mean) / self.sd).clamp(-FARTHEST, FARTHEST).float()]
        if len(self.dates):
            filled = torch.where(numbers.isnan(), self.median, numbers)
            days = filled[:, self.dates]
            blocks += _phase(days / YEAR_DAYS) + _phase(days.floor() / WEEK_DAYS) + _phase(filled[:, self.timed])
        return torch.cat([*blocks, codes.float(), counts.log1p()], dim=1)

    def matrix(self, cells: Cells, rows: np.ndarray | None = None, *, chunk_rows: int = 65_536) -> Tensor:
        """Some rows [n] int64 of the cells, or all of them, as the models read them: [n, width] float32."""
        count = cells.rows if rows is None else len(rows)
        out = torch.empty(count, self.layout.width)
        with torch.inference_mode():
            for start in range(0, count, chunk_rows):
                part = slice(start, min(count, start + chunk_rows))
                taken = cells.matrices(part if rows is None else rows[part])
                out[part] = self(*(torch.from_numpy(one) for one in taken))
        return out


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of finite values, also of huge ones; the deviation is 1 where nothing varies."""
    if not len(values):
        return 0.0, 1.0
    values = values.astype(np.float64)
    scale = max(float(np.abs(values).max()), 1e-300)  # squares of what is left neither overflow nor vanish
    mean, sd = float((values / scale).mean()) * scale, float((values / scale).std()) * scale
    return mean, sd if sd > 1e-12 * scale else 1.0


def _statistics(cells: Cells, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, mean and deviation of each number's known cells, [P] float64 each."""
    width = len(cells.numbers)
    median, mean, sd = np.zeros(width), np.zeros(width), np.ones(width)
    for k, column in enumerate(cells.numbers):
        known = column[rows]
        known = known[~np.isnan(known)]
        median[k] = np.median(known) if len(known) else 0.0
        mean[k], sd[k] = mean_and_sd(known)
    return median, mean, sd


def _phase(turns: Tensor) -> list[Tensor]:
    """Where in its period a time stands, [N, D] float64 turns to two blocks [N, D] float32."""
    angle = (turns - turns.floor()) * (2.0 * math.pi)
    return [angle.sin().float(), angle.cos().float()]


def _indices(values: Sequence[int] | np.ndarray) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=np.int64))
