"""The form of "Compare with…": which other runs on the same data, and on which rows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack import blocks as kit
from bot.slack.blocks import Block, Element
from bot.slack.views import ids
from bot.slack.views.fields import (
    MOST_OPTIONS,
    Place,
    View,
    dataset_fields,
    field,
    loading,
    modal,
    notice,
    option,
    values_of,
)
from bot.tables import number_text
from shared.log.runs import Run

TITLE = "Compare models"
MOST_OTHERS = 9
"""A comparison takes ten runs."""


@dataclass(frozen=True)
class CompareForm:
    """Which runs were chosen beside the one that the form is about, and the dataset to compare on, if any."""

    runs: tuple[str, ...] = ()
    dataset: str = ""

    def words(self, run: int) -> list[str]:
        """The command, as it would have been typed."""
        return ["compare", str(run), *self.runs, *([f"on={self.dataset}"] if self.dataset else [])]

    @classmethod
    def of_view(cls, view: Mapping[str, Any]) -> "CompareForm":
        """What was filled in."""
        values = values_of(view)
        return cls(runs=tuple(values.get(ids.RUNS) or ()), dataset=values.get(ids.DATASET) or "")


def compare_loading(*, place: Place) -> View:
    """The form before its data are there."""
    return loading(ids.COMPARE, TITLE, place=place, what="Looking for models of the same data…")


def compare_modal(run: Run, others: Sequence[Run], *, place: Place, datasets: Sequence[str] = ()) -> View:
    """The form; `others` are train runs that succeeded on the same data, the best first."""
    rest = [other for other in others if other.id != run.id]
    if not rest:
        return notice(
            ids.COMPARE,
            TITLE,
            f"No other model was trained on {run.dataset_name or 'the same data'} yet."
            f" “Change…” on run {run.id} trains another one.",
            place=place,
        )
    chosen: Element = {
        "type": "multi_static_select",
        "options": [_option(other) for other in rest[:MOST_OPTIONS]],
        "max_selected_items": MOST_OTHERS,
        "placeholder": kit.label("Choose up to nine runs"),
    }
    blocks: list[Block] = [
        kit.section(f"Run {run.id}, {_said(run)}"),
        field(ids.RUNS, "Compare it with", chosen, optional=False, hint="The models of the same data, the best first."),
    ]
    if datasets:
        on = dataset_fields(datasets, label="On another table")[0]
        on["hint"] = kit.label("Left empty: on the test rows that they share.", characters=300)
        blocks.append(on)
    return modal(ids.COMPARE, TITLE, blocks, place=place, submit="Compare")


def _option(run: Run) -> Element:
    return option(str(run.id), f"{run.id} · {_said(run)}", more=f"{run.created_at:%d %b %H:%M} UTC · {run.words}")


def _said(run: Run) -> str:
    reached = f" · {run.headline} {number_text(run.score)}" if run.headline and run.score is not None else ""
    return f"{run.model or run.kind}{reached}{f' · {run.name}' if run.name else ''}"
