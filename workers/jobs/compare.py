"""Compare runs."""

from typing import Any, cast

from shared.specs import CompareSpec
from workers.jobs import Bench

NEEDS = ("model.onnx", "report.json", "rows.parquet", "test_predictions.csv")


def work(bench: Bench) -> dict[str, Any]:
    """Put train runs side by side on the test rows that they share, or on the dataset of `on=`."""
    from workers.core.compare import ComparedRun, compare

    compared = [ComparedRun(run=run, folder=folder, spec=_asked(bench, run)) for run, folder in bench.models.items()]
    data = bench.data if cast(CompareSpec, bench.spec).dataset is not None else None
    return compare(compared, out=bench.out, report=bench.report, should_stop=bench.should_stop, data=data)


def _asked(bench: Bench, run: int) -> dict[str, Any] | None:
    """What a run was asked, less its form."""
    spec = bench.model_specs.get(run)
    return None if spec is None else spec.model_dump(mode="json", exclude={"version", "kind"})
