"""Predict runs."""

from typing import Any, cast

from shared.specs import PredictSpec
from workers.jobs import Bench

NEEDS = ("model.onnx", "report.json")


def work(bench: Bench) -> dict[str, Any]:
    """Write a train run's predictions for the run's dataset."""
    from workers.core.predict import predict

    model = bench.models[cast(PredictSpec, bench.spec).run]
    return predict(model, bench.data, out=bench.out, report=bench.report, should_stop=bench.should_stop)
