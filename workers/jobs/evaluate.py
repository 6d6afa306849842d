"""Evaluate runs."""

from typing import Any, cast

from shared.specs import EvaluateSpec
from workers.jobs import Bench

NEEDS = ("model.onnx", "profile.json", "report.json", "rows.parquet")


def work(bench: Bench) -> dict[str, Any]:
    """Score a train run's model on the run's dataset."""
    from workers.core.evaluate import evaluate

    model = bench.models[cast(EvaluateSpec, bench.spec).run]
    return evaluate(model, bench.data, out=bench.out, report=bench.report, should_stop=bench.should_stop)
