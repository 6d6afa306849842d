"""The rows of a linear model as what its sums need: dense numbers, and for each category the slot of its word.

Of thousands of one-hot slots a row has one for each category, so a product gathers that weight instead of multiplying
zeros. On a GPU all slots are dense: there the sums of scattered gradients come out in another order each time.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.specs import Task
from workers.core.layers import Expand
from workers.core.loop import Data


@dataclass(frozen=True)
class Design:
    """Some rows, as `Expand` lays them out: numbers and phases, then one-hot slots, then counts."""

    dense: Tensor
    """[n, width - slots] float32 or float64."""
    slot: tuple[Tensor, ...]
    """For each category [n] int64: which of the slots the row's code has."""
    first: int
    """The place of the first slot in a row."""
    slots: int

    def __len__(self) -> int:
        return len(self.dense)

    @property
    def width(self) -> int:
        """The length of a row."""
        return self.dense.shape[1] + self.slots

    def rows(self, rows: Tensor) -> "Design":
        """Those rows [m] int64."""
        return Design(self.dense[rows], tuple(one[rows] for one in self.slot), self.first, self.slots)

    def times(self, weights: Tensor) -> Tensor:
        """The rows times [width, O]: [n, O]."""
        if not self.slots:
            return self.dense @ weights
        end = self.first + self.slots
        out = self.dense @ torch.cat((weights[: self.first], weights[end:]))
        for one in self.slot:
            out += weights[self.first : end].index_select(0, one)
        return out

    def transposed_times(self, values: Tensor) -> Tensor:
        """The sum over the rows of each row's outer product with its [n, O]: [width, O]."""
        dense = self.dense.T @ values
        if not self.slots:
            return dense
        sums = torch.zeros(self.slots, values.shape[1], dtype=values.dtype, device=values.device)
        for one in self.slot:
            sums.index_add_(0, one, values)
        return torch.cat((dense[: self.first], sums, dense[self.first :]))

    def whole(self) -> Tensor:
        """All columns and one of ones, for the intercept: [n, width + 1]."""
        out = self.dense.new_zeros(len(self), self.width + 1)
        out[:, : self.first], out[:, -1] = self.dense[:, : self.first], 1.0
        out[:, self.first + self.slots : -1] = self.dense[:, self.first :]
        for one in self.slot:
            out[torch.arange(len(self), device=out.device), self.first + one] = 1.0
        return out


class Designer:
    """Makes designs of rows that `expand` was fitted on, so that each of their codes has a slot."""

    def __init__(self, expand: Expand, *, gathers: bool) -> None:
        self.expand, self.codes, places = expand, dict[int, Tensor](), expand.slot_column.tolist()
        self.slots = len(places) if gathers else 0
        self.first = expand.width - expand.layout.counts - self.slots
        if self.slots:
            self.codes = {k: expand.slot_code[expand.slot_column == k] for k in dict.fromkeys(places)}
        self._dense = deepcopy(expand)
        if self.slots:
            self._dense.slot_column, self._dense.slot_code = expand.slot_column[:0], expand.slot_code[:0]

    @property
    def cells(self) -> int:
        """How many numbers a row takes."""
        return self.expand.width - self.slots + len(self.codes)

    def design(self, x: Tensor, dtype: torch.dtype) -> Design:
        """Of rows of the matrix [n, D]."""
        dense = self._dense(x).to(dtype) if self._dense.width else x.new_zeros(len(x), 0, dtype=dtype)
        slot, start = list[Tensor](), 0
        for column, codes in self.codes.items():
            slot.append(start + torch.searchsorted(codes, x[:, column].contiguous()))
            start += len(codes)
        return Design(dense, tuple(slot), self.first, self.slots)


def designer(data: Data) -> Designer:
    """That of all development rows, on their device."""
    expand = Expand(data.layout, data.x, cut=None).to(data.x.device)
    return Designer(expand, gathers=data.x.is_cpu)


def curvature(data: Data, design: Design, y: Tensor) -> float:
    """What the curvature of the loss of some rows does not exceed, whatever the weights: that of the squared error is
    2, that of the cross-entropy at most 1/2, times the largest eigenvalue of the second moment of the features with
    their intercept, by power iteration.
    """
    factor = 2.0 if data.task is Task.REGRESSION else 0.5
    weights, like = data.objective.class_weights, design.dense
    share = like.new_full((len(y), 1), 1.0 / len(y))
    if weights is not None:
        share = weights.to(like)[y][:, None] / len(y)
    # At random, for it must not stand at a right angle to what is looked for: features come in pairs that cancel out.
    vector = torch.randn(design.width + 1, 1, generator=torch.Generator().manual_seed(0)).to(like)
    size = 1.0
    for _ in range(20):
        vector = vector / vector.norm()
        out = (design.times(vector[:-1]) + vector[-1]) * share
        vector = torch.cat((design.transposed_times(out), out.sum(dim=0)[None]))
        size = float(vector.norm())
    return factor * size


def second_moment(pieces: Sequence[Design], count: int) -> Tensor:
    """The mean of each row's outer product with itself, the intercept's one last: [width + 1, width + 1] float64."""
    return torch.stack([one.whole().double().T @ one.whole().double() for one in pieces]).sum(dim=0) / count
