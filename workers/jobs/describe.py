"""Describe runs."""

from typing import Any, cast

from shared.specs import DescribeSpec
from workers.jobs import Bench

NEEDS: tuple[str, ...] = ()


def work(bench: Bench) -> dict[str, Any]:
    """Say what the run's dataset holds."""
    from workers.core.describe import describe

    spec = cast(DescribeSpec, bench.spec)
    return describe(bench.data, spec, out=bench.out, report=bench.report, should_stop=bench.should_stop)
