"""Compare runs."""

from typing import Any

from workers.jobs import Bench

NEEDS = ("report.json", "test_predictions.csv")


def work(bench: Bench) -> dict[str, Any]:
    """Put train runs side by side on the test rows that they share."""
    from workers.core.compare import ComparedRun, compare

    compared = [ComparedRun(run=run, folder=folder) for run, folder in bench.models.items()]
    return compare(compared, out=bench.out, report=bench.report, should_stop=bench.should_stop)
