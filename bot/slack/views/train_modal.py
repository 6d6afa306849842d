"""The form of `train`: a dataset, the target, the model, a budget, a seed; the words of what was filled in. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bot.grammar import quoted
from bot.slack import blocks as kit
from bot.slack.blocks import Block
from bot.slack.views import ids
from bot.slack.views.fields import (
    MOST_OPTIONS,
    TYPED_CHARACTERS,
    Place,
    View,
    dataset_fields,
    field,
    fits,
    loading,
    modal,
    needed,
    option,
    select,
    typed,
    values_of,
)
from bot.words import split_words
from shared.errors import Problem
from shared.log.runs import Run
from shared.spec_words import words_of
from shared.specs import DescribeSpec, ModelName, TrainSpec

TITLE, CHANGE = "Train a model", "Train again, changed"

_MODELS = {
    ModelName.AUTO: "tries several and keeps the best, or a blend",
    ModelName.LINEAR: "linear, logistic or softmax regression",
    ModelName.MLP: "a fully connected network",
    ModelName.MLP_PLE: "a network over embeddings of the numbers",
    ModelName.TABM: "an ensemble of networks",
    ModelName.GBDT: "gradient-boosted trees",
}
_NOT_AGAIN = ("name", "write")
"""What another run is not asked for: its name, and the file that a description wrote."""

_KEYS = {"time": ids.BUDGET, "time_s": ids.BUDGET}


@dataclass(frozen=True)
class TrainForm:
    """What stands in the form, as it was typed."""

    dataset: str = ""
    target: str = ""
    model: str = ModelName.AUTO.value
    budget: str = ""
    seed: str = ""
    more: str = ""
    """Other keys, in words."""

    def words(self, *, dataset: str = "") -> list[str]:
        """The command, as it would have been typed; raises `RefusedWords` without a dataset, or for an open quote.

        `dataset` is the name of the file that was uploaded or shared; without it the one that was chosen counts.
        """
        chosen = "" if self.model == ModelName.AUTO else self.model
        pairs = ((ids.TARGET, self.target), (ids.MODEL, chosen), (ids.BUDGET, self.budget), (ids.SEED, self.seed))
        said = [f"{key}={value}" for key, value in pairs if value]
        return ["train", needed(dataset or self.dataset), *said, *split_words(self.more)]

    def plain(self) -> dict[str, str]:
        """To be remembered as somebody's last choice."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "TrainForm":
        """The counterpart of `plain`; what is not understood is left out."""
        known = {name: str(plain[name]) for name in asdict(cls()) if isinstance(plain.get(name), str)}
        form = cls(**known)
        return form if form.model in set(ModelName) else replace(form, model=ModelName.AUTO.value)

    @classmethod
    def of_run(cls, run: Run) -> "TrainForm":
        """What a run was asked for, to be changed; of a description, the table as it was described."""
        if not isinstance(run.spec, TrainSpec | DescribeSpec):
            return cls(dataset=run.dataset_name or "")
        fields: dict[str, str] = {}
        more = []
        for word in split_words(words_of(run.spec))[2:]:
            key, _, value = word.partition("=")
            if key in (ids.TARGET, ids.MODEL, ids.BUDGET, ids.SEED):
                fields[key] = f"{value.removesuffix('.0')}s" if key == ids.BUDGET else value
            elif key not in _NOT_AGAIN:
                more.append(quoted(word))
        target = (run.result or {}).get("target") if isinstance(run.spec, DescribeSpec) else None
        fields.setdefault(ids.TARGET, str(target or ""))
        return cls(dataset=run.spec.dataset, more=" ".join(more), **fields)

    @classmethod
    def of_view(cls, view: Mapping[str, Any]) -> "TrainForm":
        """What was filled in."""
        values = values_of(view)
        known = {name: values[name] for name in asdict(cls()) if isinstance(values.get(name), str)}
        form = cls(**known)
        return form if form.model else replace(form, model=ModelName.AUTO.value)


def train_loading(*, place: Place) -> View:
    """The form before its data are there."""
    return loading(ids.TRAIN, _title(place), place=place, what="Reading what can be trained on…")


def train_modal(
    form: TrainForm,
    *,
    place: Place,
    datasets: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    note: str = "",
    kept: bool = False,
) -> View:
    """The form. `columns` are those of the dataset, None where they are not known; `note` says why they are not; with
    `kept` the dataset is what the run read that is changed.

    Where the place names a file, the form is about that file and asks for no dataset.
    """
    about: list[Block]
    if place.file:
        about = [kit.section(f"📄 {place.name or 'The file that was shared'}")]
    else:
        about = dataset_fields(datasets, initial=form.dataset, tells=True)
        if kept:
            about[0]["hint"] = kit.label(f"As run {place.run} read it, whatever is called so by now.", characters=300)
    blocks = [
        *about,
        _target(form, columns, of=place.file or form.dataset),
        *([kit.context(kit.plain(note, characters=500))] if note else []),
        field(ids.MODEL, "Model", select(_models(), initial=form.model)),
        field(ids.BUDGET, "Time budget", typed(form.budget, placeholder="60s, 5m or 1h", characters=20)),
        field(ids.SEED, "Seed", typed(form.seed, placeholder="0", characters=10)),
        field(
            ids.MORE,
            "Other keys",
            typed(form.more, placeholder="drop=customer_id lr=0.01", characters=TYPED_CHARACTERS),
            hint="As they are typed; /lml help train lists them.",
        ),
    ]
    return modal(ids.TRAIN, _title(place), blocks, place=place, submit="Train")


def field_of(problem: Problem) -> str:
    """The field at which a problem of the words is shown."""
    if problem.code.startswith("dataset_") or problem.code == "missing_word":
        return ids.DATASET
    met = re.match(r"`(\w+)", problem.message)
    key = _KEYS.get(met[1], met[1]) if met else ""
    mine = key in (ids.TARGET, ids.MODEL, ids.BUDGET, ids.SEED) and problem.code != "repeated_key"
    return key if mine else ids.MORE


def problems_at(problems: Sequence[Problem]) -> dict[str, str]:
    """Problems of the words, by the field at which each is shown; for `fields.errors`."""
    told: dict[str, str] = {}
    for problem in problems:
        name = field_of(problem)
        told[name] = f"{told[name]} {problem.sentence()}" if name in told else problem.sentence()
    return told


def _title(place: Place) -> str:
    return CHANGE if place.run is not None else TITLE


def _target(form: TrainForm, columns: Sequence[str] | None, *, of: str) -> Block:
    """The columns to choose from; a line to type in where they are unknown, too many, or too long for Slack."""
    names = list(dict.fromkeys(columns or ()))
    hint = "Left empty: a column named target, label, y or class, else the last one."
    label = "Target, the column to predict"
    if names and len(names) <= MOST_OPTIONS and all(map(fits, names)):
        element = select([option(name) for name in names], initial=form.target, placeholder="Found out")
        return field(ids.TARGET, label, element, hint=hint, of="\n".join((of, *names)))
    known = form.target if columns is None or form.target in names else ""
    return field(ids.TARGET, label, typed(known, placeholder="Found out"), hint=hint, of=of)


def _models() -> list[dict[str, Any]]:
    return [option(name.value, more=what) for name, what in _MODELS.items()]
