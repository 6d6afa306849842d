"""The keys of `train` and `describe`: every one in every shape, with the words and bounds of the specs."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from support.typed_words import refusal, understood

from bot.grammar import Key, load_verb
from shared.specs import (
    Activation,
    ClassWeights,
    DescribeSpec,
    LossName,
    ModelName,
    Norm,
    OptimizerName,
    ScheduleName,
    Task,
    TrainSpec,
)

TRAIN_KEYS: dict[str, tuple[str, str, Any]] = {
    "target": ("churned", "target", "churned"),
    "task": ("Binary", "task", "binary"),
    "drop": ("id,name", "drop", ("id", "name")),
    "category": ("zip", "category", ("zip",)),
    "text": ("title,body", "text", ("title", "body")),
    "date": ("since", "date", ("since",)),
    "number": ("a,b", "number", ("a", "b")),
    "header": ("no", "header", False),
    "sep": ("semicolon", "sep", ";"),
    "encoding": ("cp1252", "encoding", "cp1252"),
    "model": ("MLP_ple", "model", "mlp-ple"),
    "depth": ("3", "depth", 3),
    "width": ("128", "width", 128),
    "activation": ("gelu", "activation", "gelu"),
    "dropout": ("0.2", "dropout", 0.2),
    "norm": ("batch", "norm", "batch"),
    "optimizer": ("adamw", "optimizer", "adamw"),
    "lr": ("1e-3", "lr", 0.001),
    "epochs": ("30", "epochs", 30),
    "batch": ("256", "batch", 256),
    "momentum": ("0.9", "momentum", 0.9),
    "nesterov": ("yes", "nesterov", True),
    "schedule": ("Cosine", "schedule", "cosine"),
    "warmup": ("0.1", "warmup", 0.1),
    "restarts": ("2", "restarts", 2),
    "loss": ("cross-entropy", "loss", "cross_entropy"),
    "quantile": ("0.9", "quantile", 0.9),
    "smoothing": ("0.1", "smoothing", 0.1),
    "weights": ("balanced", "weights", "balanced"),
    "l1": ("0.1", "l1", 0.1),
    "l2": ("0", "l2", 0.0),
    "clip": ("1", "clip", 1.0),
    "patience": ("16", "patience", 16),
    "budget": ("90", "time_s", 90.0),
    "group": ("customer_id", "group", "customer_id"),
    "time": ("2m", "time_s", 120.0),
    "split_seed": ("8", "split_seed", 8),
    "seed": ("7", "seed", 7),
    "seeds": ("5", "seeds", 5),
    "device": ("CPU", "device", "cpu"),
    "name": ("March", "name", "March"),
}


NEEDED = {"momentum": " optimizer=sgd", "nesterov": " optimizer=sgd", "restarts": " schedule=cosine"}


NEEDED |= {"quantile": " loss=quantile"}
"""What a key of train goes together with."""


NUMBERS = {"epochs", "batch", "lr", "momentum", "warmup", "restarts", "l1", "l2", "clip", "quantile", "smoothing"}


NUMBERS |= {"patience", "depth", "width", "dropout", "seed", "seeds", "split_seed", "budget"}


BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


DESCRIBE_KEYS = [*list(TRAIN_KEYS)[:10], "write"]


def bounds_of(field: str) -> dict[str, Any]:
    """The bounds of a field of the train spec, as a JSON schema says them; empty where it has none."""
    said = TrainSpec.model_json_schema()["properties"].get(field, {})
    parts: list[dict[str, Any]] = said.get("anyOf", [said])
    return next((part for part in parts if set(BOUNDS) & set(part)), {})


def is_taken(read: Callable[[Any], Any], value: Any) -> bool:
    """Whether a value is read."""
    try:
        read(value)
    except ValueError:  # pydantic's is one
        return False
    return True


def test_train_alone_leaves_everything_to_the_worker() -> None:
    """`train data.csv` asks for nothing else: every field that the worker may decide is open."""
    spec = understood("train data.csv").request
    assert spec == TrainSpec(dataset="data.csv")
    assert spec.model_dump(exclude_none=True) == {
        "version": 1,
        "kind": "train",
        "dataset": "data.csv",
        "model": "auto",
        "l1": 0.0,
        "seed": 0,
        "split_seed": 0,
        "drop": (),
        "category": (),
        "text": (),
        "date": (),
        "number": (),
        "device": "auto",
    }


def test_every_key_of_train_is_tested() -> None:
    """The table of this module and the keys of `train` are the same, so a new key needs its line here."""
    assert list(TRAIN_KEYS) == [key.name for key in load_verb("train").keys]


@pytest.mark.parametrize("key", TRAIN_KEYS)
@pytest.mark.parametrize(
    "shape", ["{key}={value}", "--{key} {value}", "--{key}={value}", "—{key} {value}", "–{key}={value}"]
)
def test_every_key_of_train_in_every_shape(key: str, shape: str) -> None:
    """A key is written key=value, --key value or --key=value, and the dashes may be the ones of a phone."""
    value, field, met = TRAIN_KEYS[key]
    more = NEEDED.get(key, "")
    spec = understood("train data.csv " + shape.format(key=key, value=value) + more).request
    assert getattr(spec, field) == met
    assert spec == understood(f"train data.csv{more}").request.model_copy(update={field: met})


@pytest.mark.parametrize("key", load_verb("train").keys, ids=lambda key: key.name)
def test_the_grammar_and_the_spec_have_the_same_bounds(key: Key) -> None:
    """A value at the edge of what a spec takes is read, and one beyond it is refused, by the grammar as by the spec."""
    name = {"budget": "time_s"}.get(key.name, key.name)
    bounds = bounds_of(name)
    assert bool(bounds) is (key.name in NUMBERS)
    edges = [float(bounds[word]) for word in BOUNDS if word in bounds]
    step = 1 if bounds.get("type") == "integer" else 1e-4
    for value in [edge + by for edge in edges for by in (-step, 0, step)]:
        typed = f"{value:.10g}"
        by_spec = is_taken(lambda met: TrainSpec(dataset="a.csv", **{name: met}), float(typed))
        assert is_taken(key.read, typed) is by_spec, typed


@pytest.mark.parametrize(
    ("key", "enum"),
    [
        ("task", Task),
        ("model", ModelName),
        ("optimizer", OptimizerName),
        ("schedule", ScheduleName),
        ("activation", Activation),
        ("norm", Norm),
        ("loss", LossName),
        ("weights", ClassWeights),
    ],
)
def test_the_grammar_and_the_spec_have_the_same_words(key: str, enum: type[StrEnum]) -> None:
    """Each word that a spec knows can be typed, with a dash or an underscore, and stands in the help; no other can."""
    (found,) = [one for one in load_verb("train").keys if one.name == key]
    for word in enum:
        assert found.read(word.value) == found.read(word.value.replace("_", "-").upper()) == word.value
    shown = found.looks.split("|") if "|" in found.looks else found.help.split(": ")[1].split(", ")
    assert shown == [word.value for word in enum]
    with pytest.raises(ValueError, match="needs one of"):
        found.read("else")


@pytest.mark.parametrize(
    ("words", "time_s", "time"),
    [
        ("time=60s", 60.0, None),
        ("time=1h30m", 5_400.0, None),
        ("time=day", None, "day"),
        ("time='sold at'", None, "sold at"),
        ("time=3rd", None, "3rd"),
        ("time=day budget=60s", 60.0, "day"),
        ("budget=5m", 300.0, None),
    ],
)
def test_time_is_a_budget_or_a_column(words: str, time_s: float | None, time: str | None) -> None:
    """What reads as a duration is the budget, anything else the column by which the rows are split."""
    spec = understood(f"train a.csv {words}").request
    assert (spec.time_s, spec.time) == (time_s, time)


@pytest.mark.parametrize("value", ["0", "8d", "-5s", "0s"])
def test_a_duration_that_is_none_is_no_column(value: str) -> None:
    """What is written like a duration and is out of bounds is refused, not taken for the name of a column."""
    rule = "needs a duration above 0 and up to 7d, such as 60s, 5m or 1h30m."
    assert refusal(f"train a.csv time={value}") == [("bad_value", f"`time={value}`: {rule}", "")]


def test_a_budget_is_given_once() -> None:
    """A budget in both of its words is refused with both."""
    assert refusal("train a.csv time=2m budget=60s") == [
        (
            "repeated_key",
            "The time budget is given once; met 120 s in time= and 60 s in budget=.",
            "Leave one out; time=COLUMN names the column to split by.",
        )
    ]


def test_every_key_of_describe() -> None:
    """`describe` takes the words of a table as `train` does, and the file to write."""
    assert [key.name for key in load_verb("describe").keys] == DESCRIBE_KEYS
    words = " ".join(f"{name}={TRAIN_KEYS[name][0]}" for name in DESCRIBE_KEYS[:-1])
    fields = {TRAIN_KEYS[name][1]: TRAIN_KEYS[name][2] for name in DESCRIBE_KEYS[:-1]}
    met = understood(f"describe data.csv {words} --write out/clean.csv").request
    assert met == DescribeSpec(dataset="data.csv", write="out/clean.csv", **fields)


def test_keys_in_any_case_and_order() -> None:
    """Keys may stand before the dataset, in any case, and with a hyphen for the underscore."""
    expected = TrainSpec(dataset="data.csv", split_seed=3, target="y")
    assert understood("train --Split-Seed 3 TARGET=y data.csv").request == expected


def test_the_drop_of_a_column_with_a_comma() -> None:
    """A column with a comma in its name can be dropped: quotes inside of quotes."""
    assert understood("""train a.csv 'drop="a, b",c'""").request.drop == ("a, b", "c")
