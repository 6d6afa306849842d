"""Runs of each kind in each state, as cards are made of."""

from datetime import timedelta
from typing import Any

from shared.access import Source, Visibility
from shared.events import Queued, Started
from shared.log.runs import Run, RunState
from shared.specs import AnySpec, CompareSpec, DescribeSpec, EvaluateSpec, PredictSpec, ProbeSpec, TrainSpec
from support.sample_cards import BEGAN

SPECS: dict[str, AnySpec] = {
    "describe": DescribeSpec(dataset="in/churn.csv"),
    "train": TrainSpec(dataset="in/churn.csv"),
    "evaluate": EvaluateSpec(run=42, dataset="in/march.csv"),
    "predict": PredictSpec(run=42, dataset="in/new.csv"),
    "compare": CompareSpec(runs=(41, 42)),
    "probe": ProbeSpec(),
}
STARTED = [Queued(), Started(attempt=1, worker="w1")]


def run_in(state: RunState, kind: str = "train", **more: Any) -> Run:
    """A run of a kind in a state."""
    waits = state in (RunState.PREPARING, RunState.QUEUED)
    values: dict[str, Any] = {
        "id": 42,
        "team_id": "T1",
        "visibility": Visibility.TEAM,
        "requested_by": "ada",
        "source": Source.SHELL,
        "words": "words",
        "kind": kind,
        "spec": SPECS[kind],
        "state": state,
        "created_at": BEGAN,
        "queued_at": BEGAN + timedelta(seconds=1),
        "started_at": None if waits else BEGAN + timedelta(seconds=3),
        "ended_at": BEGAN + timedelta(seconds=68) if state.ended else None,
    }
    return Run(**{**values, **more})
