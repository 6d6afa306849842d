"""Train runs."""

from typing import Any, cast

from shared.specs import TrainSpec
from workers.jobs import Bench

NEEDS: tuple[str, ...] = ()


def work(bench: Bench) -> dict[str, Any]:
    """Fit a model on the run's dataset."""
    from workers.core.train import train

    spec = cast(TrainSpec, bench.spec)
    return train(
        bench.data,
        spec,
        out=bench.out,
        report=bench.report,
        should_stop=bench.should_stop,
        checkpoints=bench.checkpoints,
    )
