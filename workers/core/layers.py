"""The layers that models are made of; each has its counterpart in `graph_layers.py`, or it could not be exported.

Where several folds are trained as one program, every weight has the fold as its first dimension: a body reads [K, B, D]
while it learns, and [N, D], the same rows for each fold, when it predicts. With one fold there is no such dimension.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workers.core.features import Layout

FURTHEST = 10.0
"""Standardised numbers are cut here: an outlier must not drown the rest."""


class Expand(nn.Module):
    """The matrix of `Preprocess` to what a network reads: filled and cut numbers, missing flags, phases, one-hot codes,
    counts.

    Shape: [..., D] to [..., width] float32. A flag or code that no row of training has would keep its random weights,
    so it has no slot: an unseen word is all zeros.
    """

    def __init__(self, layout: Layout, x: Tensor, *, cut: float | None = FURTHEST, without: Sequence[int] = ()) -> None:
        """`x` [rows, D] are the rows of training; `without` names numbers that another layer reads."""
        super().__init__()
        self.layout, self.cut = layout, cut
        numbers = x[:, : layout.numbers]
        missing = numbers.isnan()
        kept = [k for k in range(layout.numbers) if k not in set(without)]
        self.register_buffer("kept", torch.tensor(kept, dtype=torch.int64))
        flagged = (missing.any(dim=0) & ~missing.all(dim=0)).nonzero()[:, 0]
        self.register_buffer("flagged", flagged.cpu())
        self.register_buffer("fill", numbers.nanmedian(dim=0).values.nan_to_num().cpu())  # [P] float32
        columns, codes = _slots(layout, x)
        self.register_buffer("slot_column", columns)  # [S] int64, a column of the matrix
        self.register_buffer("slot_code", codes)  # [S] float32

    kept: Tensor
    flagged: Tensor
    fill: Tensor
    slot_column: Tensor
    slot_code: Tensor

    @property
    def width(self) -> int:
        """The length of a row."""
        return len(self.kept) + len(self.flagged) + self.layout.phases + len(self.slot_column) + self.layout.counts

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        blocks, numbers = [], x[..., : self.layout.numbers]
        if len(self.kept):
            filled = torch.where(numbers.isnan(), self.fill, numbers)[..., self.kept]
            blocks.append(filled if self.cut is None else filled.clamp(-self.cut, self.cut))
        if len(self.flagged):
            blocks.append(numbers[..., self.flagged].isnan().float())
        if self.layout.phases:
            blocks.append(x[..., self.layout.dense])
        if len(self.slot_column):
            blocks.append((x[..., self.slot_column] == self.slot_code).float())
        if self.layout.counts:
            blocks.append(x[..., self.layout.counted])
        return torch.cat(blocks, dim=-1)


class PiecewiseLinear(nn.Module):
    """Numbers as piecewise-linear encodings (Gorishniy et al. 2022, "On embeddings for numerical features").

    Shape: [..., D] to [..., bins + expanded]. A number is encoded by how far it has come through each of its bins,
    quantiles of the training rows; a missing one is zero in all of them. Everything else comes from `Expand`.
    """

    def __init__(self, layout: Layout, x: Tensor, *, bins: int, check: Callable[[], None] = lambda: None) -> None:
        """`check` is called between the columns and may end the work by raising."""
        super().__init__()
        column, lower, width = list[int](), list[float](), list[float]()
        first, last = list[bool](), list[bool]()
        for k in range(layout.numbers):
            check()
            edges = _quantiles(x[:, k], bins)
            for j in range(len(edges) - 1):
                column.append(k)
                lower.append(float(edges[j]))
                width.append(float(edges[j + 1] - edges[j]))
                first.append(j == 0)
                last.append(j == len(edges) - 2)
        self.register_buffer("column", torch.tensor(column, dtype=torch.int64))
        self.register_buffer("lower", torch.tensor(lower))
        self.register_buffer("scale", 1.0 / torch.tensor(width))
        # Beyond the training rows the outer bins go on for once their own width.
        self.register_buffer("least", -torch.tensor(first).float())
        self.register_buffer("most", 1.0 + torch.tensor(last).float())
        self.expand = Expand(layout, x)
        encoded = self._encode(x[:65_536].cpu())
        self.register_buffer("centre", encoded.mean(dim=0))

    column: Tensor
    lower: Tensor
    scale: Tensor
    least: Tensor
    most: Tensor
    centre: Tensor

    @property
    def width(self) -> int:
        """The length of a row."""
        return len(self.column) + self.expand.width

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return torch.cat([self._encode(x) - self.centre, self.expand(x)], dim=-1)

    def _encode(self, x: Tensor) -> Tensor:
        through = ((x[..., self.column] - self.lower) * self.scale).clamp(self.least, self.most)
        return through.nan_to_num(0.0)


class Dense(nn.Module):
    """A linear layer, one for each of K folds: [N, in] or [K, N, in] to [N, out] or [K, N, out]."""

    def __init__(self, folds: int, inner: int, outer: int) -> None:
        super().__init__()
        first = (folds,) if folds > 1 else ()
        bound = 1.0 / math.sqrt(max(1, inner))  # that of torch.nn.Linear
        self.weight = nn.Parameter(torch.empty(*first, inner, outer).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(*first, *((1,) if folds > 1 else ()), outer).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if self.weight.dim() == 2 and x.dim() == 2:
            return torch.addmm(self.bias, x, self.weight)
        return x @ self.weight + self.bias


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015), one for each of K folds."""

    def __init__(self, folds: int, width: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        shape = (folds, 1, width) if folds > 1 else (width,)
        self.weight, self.bias = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))
        self.momentum, self.epsilon = momentum, epsilon

    running_mean: Tensor
    running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        mean, var = self.running_mean, self.running_var
        if self.training:
            batch_var, batch_mean = torch.var_mean(x, dim=-2, keepdim=True, correction=0)
            if mean.dim() == 1:
                batch_var, batch_mean = batch_var[0], batch_mean[0]
            with torch.no_grad():
                mean.lerp_(batch_mean, self.momentum)
                var.lerp_(batch_var, self.momentum)
            mean, var = batch_mean, batch_var
        return (x - mean) * torch.rsqrt(var + self.epsilon) * self.weight + self.bias


class LayerNorm(nn.Module):
    """Layer normalisation (Ba, Kiros & Hinton 2016), one for each of K folds."""

    def __init__(self, folds: int, width: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        shape = (folds, 1, width) if folds > 1 else (width,)
        self.weight, self.bias = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return nn.functional.layer_norm(x, x.shape[-1:], eps=self.epsilon) * self.weight + self.bias


class Members(nn.Module):
    """The members of an ensemble that share a body, "TabM-mini" (Gorishniy et al. 2024): each scales the inputs by an
    adapter of its own, goes through the shared layers, and has a head of its own.

    Shape: [..., B, in] to [..., B, members, out].
    """

    def __init__(self, folds: int, members: int, inner: int, shared: nn.Sequential, width: int, outer: int) -> None:
        super().__init__()
        first = (folds, 1) if folds > 1 else ()
        signs = torch.randint(0, 2, (*first, members, inner)).float() * 2.0 - 1.0
        self.adapter = nn.Parameter(signs)  # [K, 1, members, in] or [members, in]
        self.shared = shared
        bound = 1.0 / math.sqrt(width)
        shape = (folds,) if folds > 1 else ()
        self.weight = nn.Parameter(torch.empty(*shape, members, width, outer).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(*shape, members, 1, outer).uniform_(-bound, bound))
        self.members, self.folds = members, folds

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        scaled = x[..., None, :] * self.adapter  # [(K,) B, members, in]
        rows = scaled.shape[-3]
        flat = scaled.flatten(-3, -2)  # [(K,) B * members, in]
        inner = self.shared(flat).unflatten(-2, (rows, self.members)).transpose(-3, -2)  # [(K,) members, B, width]
        heads: Tensor = inner @ self.weight + self.bias
        return heads.transpose(-3, -2)


def _slots(layout: Layout, x: Tensor) -> tuple[Tensor, Tensor]:
    """The column and the code of each one-hot slot, one for each code that is in the training rows."""
    columns, codes = list[Tensor](), list[Tensor]()
    for column in range(layout.coded.start, layout.coded.stop):
        met: Tensor = torch.unique(x[:, column]).cpu()
        columns.append(torch.full((len(met),), column, dtype=torch.int64))
        codes.append(met)
    if not columns:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    return torch.cat(columns), torch.cat(codes)


def _quantiles(column: Tensor, bins: int) -> np.ndarray:
    """The edges of at most `bins` bins that hold about as many rows each, [edges] float32; none for a constant."""
    known = column[~column.isnan()].cpu().numpy()
    if not len(known):
        return np.zeros(0, dtype=np.float32)
    edges = np.unique(np.quantile(known, np.linspace(0.0, 1.0, bins + 1)).astype(np.float32))
    # A bin that is far narrower than the column would explode on a value between its neighbours.
    keep = np.concatenate(([True], np.diff(edges) > 1e-5 * max(1e-30, float(edges[-1] - edges[0]))))
    return edges[keep]
