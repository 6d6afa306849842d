"""The form of "Predict…": the table that a run's model predicts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack import blocks as kit
from bot.slack.views import ids
from bot.slack.views.fields import Place, View, dataset_fields, loading, modal, needed, values_of
from bot.tables import number_text
from shared.log.runs import Run

TITLE = "Predict"


@dataclass(frozen=True)
class PredictForm:
    """The dataset that was chosen."""

    dataset: str = ""

    def words(self, run: int, *, dataset: str = "") -> list[str]:
        """The command, as it would have been typed; `dataset` is the name of the file that was uploaded.

        Raises `RefusedWords` without either.
        """
        return ["predict", str(run), needed(dataset or self.dataset)]

    @classmethod
    def of_view(cls, view: Mapping[str, Any]) -> "PredictForm":
        """What was filled in."""
        return cls(dataset=values_of(view).get(ids.DATASET) or "")


def predict_loading(*, place: Place) -> View:
    """The form before its data are there."""
    return loading(ids.PREDICT, TITLE, place=place)


def predict_modal(run: Run, *, place: Place, datasets: Sequence[str] = ()) -> View:
    """The form."""
    reached = f", {run.headline} {number_text(run.score)}" if run.headline and run.score is not None else ""
    model = f"The model of run {run.id} ({run.model or run.kind}, trained on {run.dataset_name or 'its data'}{reached})"
    blocks = [
        kit.section(f"{model} predicts each row; predictions.csv comes into the channel."),
        *dataset_fields(datasets, label="Rows to predict"),
    ]
    return modal(ids.PREDICT, TITLE, blocks, place=place, submit="Predict")
