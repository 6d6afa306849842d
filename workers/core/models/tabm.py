"""TabM-mini over piecewise-linear encodings (Gorishniy et al. 2024): an ensemble whose members share their layers.

A thin module of our own, since the published one fixes the batch size when it is exported.
"""

from dataclasses import asdict

from torch import nn

from shared.specs import ModelName, TrainSpec
from workers.core.layers import Members, PiecewiseLinear
from workers.core.loop import Data
from workers.core.models.candidate import Candidate, Followed
from workers.core.models.mlp import affordable_bins, last_width
from workers.core.models.networks import fit_network, resolve_hidden, resolve_recipe
from workers.core.progress import Clock, Progress

MEMBERS, CPU_MEMBERS = 32, 8
WIDTHS, CPU_WIDTHS = [512, 512], [128, 128]  # the large one takes seconds a step on a CPU
DROPOUT, LR, L2, CLIP, BINS = 0.1, 2e-3, 3e-4, 1.0, 48


def fit_tabm(
    data: Data,
    spec: TrainSpec,
    *,
    progress: Progress,
    clock: Clock,
    threads: int,  # noqa: ARG001
    follow: Followed = None,
) -> Candidate:
    """Train the ensemble; what `spec` leaves open gets the defaults of this file."""
    fast = data.x.device.type == "cuda"
    members, widths = (MEMBERS, WIDTHS) if fast else (CPU_MEMBERS, CPU_WIDTHS)
    shape, bins = resolve_hidden(spec, widths, DROPOUT, follow), affordable_bins(data, BINS)
    if follow is not None:
        members, bins = follow["members"], follow["bins"]

    def make() -> nn.Module:
        folds = len(data.folds)
        first = PiecewiseLinear(data.layout, data.x, bins=bins, check=progress.check_now_and_then)
        shared = nn.Sequential(*shape.layers(folds, first.width))
        width = last_width(list(shared))
        return nn.Sequential(first, Members(folds, members, first.width, shared, width, data.outputs))

    recipe = resolve_recipe(data, spec, lr=LR, l2=L2, clip=CLIP)
    return fit_network(
        ModelName.TABM,
        make,
        data,
        recipe,
        progress=progress,
        clock=clock,
        may_slow_down=spec.lr is None,
        shape={**asdict(shape), "bins": bins, "members": members},
        membered=True,
        follow=follow,
    )
