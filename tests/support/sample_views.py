"""What the forms and the home tab show in tests and pictures; and runs and names that do their worst."""

from datetime import UTC, datetime
from typing import Any

from bot.board import Standing
from bot.slack.views.compare_modal import compare_loading, compare_modal
from bot.slack.views.fields import Place, View
from bot.slack.views.home_view import Home, home_view
from bot.slack.views.predict_modal import predict_modal
from bot.slack.views.train_modal import TrainForm, train_loading, train_modal
from shared.access import Source, Visibility
from shared.log.boards import Board
from shared.log.forecast import Forecast
from shared.log.runs import Run, RunState
from shared.specs import AnySpec, Device, TrainSpec
from shared.work import Slot

BAD = "<!channel> <@U0EVE> <http://evil|fine> *b* _i_ `c` :fire: & \u202egnp.exe\x07"
"""A text that would mention, link, format and turn around, if it could."""
COLUMNS = ("customer_id", "age", "plan", "churned")
PLACE = Place(channel="C0GENERAL")


def run(number: int = 42, *, state: RunState = RunState.SUCCEEDED, spec: AnySpec | None = None, **more: Any) -> Run:
    """A run as the log tells it."""
    asked = spec or TrainSpec(dataset="churn.csv", target="churned")
    measured = {"headline": "roc_auc", "score": 0.9012, "model": "mlp"} if state is RunState.SUCCEEDED else {}
    told = {
        "id": number,
        "team_id": "T0TEAM",
        "channel_id": "C0GENERAL",
        "visibility": Visibility.TEAM,
        "requested_by": "U0ADA",
        "source": Source.SLACK,
        "words": "train churn.csv target=churned",
        "kind": asked.kind,
        "spec": asked,
        "state": state,
        "dataset_name": "churn.csv",
        "created_at": datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
        "ended_at": datetime(2026, 11, 23, 12, 1, tzinfo=UTC) if state.ended else None,
        **(measured if asked.kind == "train" else {}),
    }
    return Run.model_validate(told | more)


def hostile_run(number: int = 66, **more: Any) -> Run:
    """A run all of whose names do their worst."""
    spec = TrainSpec(dataset=f"{BAD}.csv", target=BAD, name=BAD[:70])
    names: dict[str, Any] = {
        "dataset_name": f"{BAD}.csv",
        "name": BAD[:70],
        "words": f"train {BAD}",
        "requested_by": "<!here>",
    }
    return run(number, spec=spec, target=BAD, **names, **more)


def standing(*ranked: Run, name: str = "churn.csv", target: str = "churned") -> Standing:
    """A leaderboard."""
    board = Board("c" * 64, None, target, "binary", "5" * 64, "roc_auc", 42, (name,))
    return Standing(board, len(ranked), ranked)


def home(**more: Any) -> Home:
    """What a home tab shows on a busy day."""
    interval = {"intervals": {"test": {"roc_auc": [0.889, 0.914]}}}
    best = run(42, result=interval)
    others = [run(41, score=0.8951, model="gbdt", requested_by="U0EVE", result=interval), run(38, score=0.8423)]
    mine = [run(45, state=RunState.RUNNING), run(44, state=RunState.QUEUED), best, run(40, state=RunState.FAILED)]
    told: dict[str, Any] = {
        "mine": mine,
        "queue": [*mine[:2], run(46, state=RunState.QUEUED, requested_by="U0EVE", dataset_name="prices.csv")],
        "expected": {
            45: Forecast(position=None, starts_in_s=None, ends_in_s=(20.0, 45.0)),
            44: Forecast(position=1, starts_in_s=(20.0, 45.0), ends_in_s=(60.0, 120.0)),
            46: Forecast(position=2, starts_in_s=None, ends_in_s=None),
        },
        "slots": [Slot(devices=(Device.AUTO, Device.GPU), gpu="0"), Slot(devices=(Device.AUTO, Device.CPU))],
        "datasets": ["churn.csv", "prices.csv"],
        "dataset": "churn.csv",
        "standing": standing(best, *others),
    }
    return Home(**{**told, **more})


def hostile_home() -> Home:
    """The same, where everything is hostile."""
    runs = [hostile_run(number) for number in range(60, 75)]
    waiting = [hostile_run(number, state=RunState.QUEUED) for number in range(80, 99)]
    names = [BAD, *(f"{BAD}{number}" for number in range(150))]
    return home(
        mine=runs,
        queue=waiting,
        queue_size=500,
        datasets=names,
        dataset=BAD,
        standing=standing(*runs, name=BAD, target=BAD),
    )


def sample_views() -> dict[str, View]:
    """Each view by the name of its golden file."""
    form = TrainForm(
        dataset="churn.csv", target="churned", model="mlp", budget="60s", seed="7", more="drop=customer_id"
    )
    changed = Place(channel="C0GENERAL", run=42)
    others = [run(42), run(41, score=0.8951, model="gbdt"), run(38, score=0.8423, name="baseline")]
    shared_file = Place(channel="C0GENERAL", file="F0123", name="churn.csv")
    return {
        "train_loading": train_loading(place=PLACE),
        "train": train_modal(TrainForm(), place=PLACE, datasets=["churn.csv", "prices.csv"]),
        "train_changed": train_modal(form, place=changed, datasets=["churn.csv"], columns=COLUMNS),
        "train_file": train_modal(TrainForm(), place=shared_file, columns=COLUMNS),
        "train_parquet": train_modal(
            TrainForm(dataset="big.parquet"), place=PLACE, datasets=["big.parquet"], note="Its columns cannot be seen."
        ),
        "train_nothing": train_modal(TrainForm(), place=PLACE),
        "compare_loading": compare_loading(place=changed),
        "compare": compare_modal(run(42), others, place=changed, datasets=["march.csv"]),
        "compare_none": compare_modal(run(42), [run(42)], place=changed),
        "predict": predict_modal(run(42), place=changed, datasets=["march.csv"]),
        "home": home_view(home()),
        "home_empty": home_view(Home()),
    }


def hostile_views() -> dict[str, View]:
    """Each view where every name does its worst, and there are more of them than Slack takes."""
    mine, many = hostile_run(), [f"{BAD}{number}" for number in range(150)]
    form = TrainForm(dataset=BAD, target=BAD, model="mlp", budget=BAD, seed=BAD, more=BAD * 60)
    place = Place(channel="C0GENERAL", run=66)
    others = [hostile_run(number) for number in range(200)]
    return {
        "train": train_modal(form, place=place, datasets=many, columns=many[:100], note=BAD * 30),
        "train_wide": train_modal(form, place=place, datasets=many[:5], columns=many),
        "train_long": train_modal(form, place=place, datasets=[BAD * 9], columns=[BAD * 9]),
        "train_file": train_modal(form, place=Place("C0GENERAL", file="F1", name=BAD), columns=[BAD, " ", ""]),
        "compare": compare_modal(mine, others, place=place, datasets=many),
        "predict": predict_modal(mine, place=place, datasets=many),
        "home": home_view(hostile_home()),
    }


def sent(view: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The view as Slack sends it back with these values in its fields."""
    state: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            name = block["element"]["action_id"]
            state[block["block_id"]] = {name: _element(block["element"], values.get(name))}
    return {**view, "state": {"values": state}}


def _element(element: dict[str, Any], value: Any) -> dict[str, Any]:
    if element["type"] in ("static_select", "external_select"):
        return {"type": element["type"], "selected_option": {"value": value} if value else None}
    if element["type"] == "multi_static_select":
        return {"type": element["type"], "selected_options": [{"value": one} for one in value or []]}
    if element["type"] == "file_input":
        return {"type": element["type"], "files": value or []}
    return {"type": element["type"], "value": value}
