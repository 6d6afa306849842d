"""A spec as a person would have typed it."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from shared.specs import AnySpec, CompareSpec, EvaluateSpec, PredictSpec, dataset_of


def words_of(spec: AnySpec, *, always: Collection[str] = ()) -> str:
    """The words; what was not asked for is left out, but for the keys in `always`."""
    plain: Sequence[str | int] = ()
    if isinstance(spec, CompareSpec):
        plain = spec.runs
    elif isinstance(spec, EvaluateSpec | PredictSpec):
        plain = (spec.run, spec.dataset)
    elif (dataset := dataset_of(spec)) is not None:
        plain = (dataset,)
    plainly = {"version", "kind", "run", "runs", *(() if isinstance(spec, CompareSpec) else ("dataset",))}
    said = spec.model_dump(mode="json", exclude_defaults=True, exclude=plainly)
    said |= {name: getattr(spec, name) for name in always if name not in said}
    renamed = {"time_s": "budget", "dataset": "on"}
    values = [f"{renamed.get(name, name)}={_quoted(_value_in_words(value))}" for name, value in said.items()]
    return " ".join([spec.kind, *(_quoted(str(word)) for word in plain), *values])


def _quoted(word: str) -> str:
    if word and not re.search(r"""[\s\\'"“”„‘’«»]""", word):
        return word
    return '"' + re.sub(r'(["“”„\\])', r"\\\1", word) + '"'


def _value_in_words(value: Any) -> str:
    if isinstance(value, list):  # of column names, of which one with a comma stands in quotes
        return ",".join(f'"{name}"' if "," in name else name for name in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
