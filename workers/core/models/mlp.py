"""A fully connected network, over plain numbers or over piecewise-linear encodings of them.

The defaults work untuned on tables of some hundred to some hundred thousand rows.
"""

from dataclasses import asdict

from torch import nn

from shared.specs import ModelName, TrainSpec
from workers.core.layers import Dense, Expand, PiecewiseLinear
from workers.core.loop import Data
from workers.core.models.candidate import Candidate, Followed
from workers.core.models.networks import fit_network, resolve_hidden, resolve_recipe
from workers.core.progress import Clock, Progress

WIDTHS, DROPOUT, LR, L2 = [128, 64], 0.1, 2e-3, 1e-2
MOST_ENCODED = 2048
PLE_WIDTHS, PLE_DROPOUT, PLE_LR, PLE_L2, PLE_BINS = [128, 128], 0.1, 2e-3, 1e-2, 32


def fit_mlp(
    data: Data,
    spec: TrainSpec,
    *,
    progress: Progress,
    clock: Clock,
    threads: int,  # noqa: ARG001
    follow: Followed = None,
) -> Candidate:
    """Train the network; what `spec` leaves open gets the defaults of this file."""

    shape = resolve_hidden(spec, WIDTHS, DROPOUT, follow)

    def make() -> nn.Module:
        first = Expand(data.layout, data.x)
        hidden = shape.layers(len(data.folds), first.width)
        return nn.Sequential(first, *hidden, Dense(len(data.folds), last_width(hidden), data.outputs))

    recipe = resolve_recipe(data, spec, lr=LR, l2=L2)
    slow = spec.lr is None
    return fit_network(
        ModelName.MLP,
        make,
        data,
        recipe,
        progress=progress,
        clock=clock,
        may_slow_down=slow,
        shape=asdict(shape),
        follow=follow,
    )


def fit_mlp_ple(
    data: Data,
    spec: TrainSpec,
    *,
    progress: Progress,
    clock: Clock,
    threads: int,  # noqa: ARG001
    follow: Followed = None,
) -> Candidate:
    """Train the network over encodings; what `spec` leaves open gets the defaults of this file."""

    shape = resolve_hidden(spec, PLE_WIDTHS, PLE_DROPOUT, follow)
    bins = affordable_bins(data, PLE_BINS) if follow is None else follow["bins"]

    def make() -> nn.Module:
        first = PiecewiseLinear(data.layout, data.x, bins=bins, check=progress.check_now_and_then)
        hidden = shape.layers(len(data.folds), first.width)
        return nn.Sequential(first, *hidden, Dense(len(data.folds), last_width(hidden), data.outputs))

    recipe = resolve_recipe(data, spec, lr=PLE_LR, l2=PLE_L2)
    slow = spec.lr is None
    facts = {**asdict(shape), "bins": bins}
    return fit_network(
        ModelName.MLP_PLE,
        make,
        data,
        recipe,
        progress=progress,
        clock=clock,
        may_slow_down=slow,
        shape=facts,
        follow=follow,
    )


def affordable_bins(data: Data, most: int) -> int:
    """Fewer bins where the columns are many: their product is the width of the first layer."""
    return max(4, min(most, MOST_ENCODED // max(1, data.layout.numbers)))


def last_width(layers: list[nn.Module]) -> int:
    """The width of the last dense layer among `layers`."""
    return next(int(layer.weight.shape[-1]) for layer in reversed(layers) if isinstance(layer, Dense))
