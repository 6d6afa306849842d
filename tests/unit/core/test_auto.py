"""Any small table gives a model, whatever its shape: `auto` holds together with all that is beneath it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.core.models import MODELS

Write = Callable[..., Path]
Fit = Callable[..., dict[str, Any]]


def grouped(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Rows of customers, who stand on one side of the split."""
    lines = ["customer,a,b,kind"]
    for k in range(150):
        who = k // 6
        lines.append(f"c{who},{chance.gauss(who % 2, 1):.3f},{chance.gauss(0, 1):.3f},{'yn'[who % 2]}")
    return "\n".join(lines), {"group": "customer"}


def by_time(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A number that drifts along its days, in no order."""
    days = [f"2023-{1 + k // 28:02d}-{1 + k % 28:02d}" for k in range(150)]
    lines = [f"{day},{chance.gauss(0, 1):.3f},{k / 10 + chance.gauss(0, 1):.3f}" for k, day in enumerate(days)]
    chance.shuffle(lines)
    return "day,a,y\n" + "\n".join(lines), {"time": "day"}


def twenty_rows(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """As few rows as anybody would try."""
    return "a,kind\n" + "".join(f"{chance.gauss(k % 2, 1):.3f},{'yn'[k % 2]}\n" for k in range(20)), {}


def twenty_numbers(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """As few rows of a regression."""
    return "a,y\n" + "".join(f"{k},{3 * k + chance.gauss(0, 1):.3f}\n" for k in range(20)), {}


def a_rare_class(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Three classes, one of them with four rows."""
    kinds = ["rare"] * 4 + ["left", "right"] * 70
    lines = [
        f"{chance.gauss(('left', 'right', 'rare').index(kind), 0.7):.3f},{chance.choice('xyz')},{kind}"
        for kind in kinds
    ]
    chance.shuffle(lines)
    return "a,b,kind\n" + "\n".join(lines), {}


def nearly_constant(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Columns that hardly vary, of one large value with a little noise, of zeros with one outlier, and huge ones."""
    lines = [
        f"{1e9 + chance.random() * 1e-4:.6f},{'1e99' if k == 7 else 0},{k * 1e90:.3e},{int(k == 9)},"
        f"{chance.random():.4f},{'yn'[k % 2]}"
        for k in range(120)
    ]
    return "a,b,c,d,e,kind\n" + "\n".join(lines), {"number": ("a", "b", "c", "d")}


def never_known_in_training(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """By time: a number that only the latest rows have, and one that only the first have."""
    lines = [
        f"{2000 + k},{chance.random():.3f},{'' if k < 120 else chance.random()},{chance.random() if k < 60 else ''},"
        f"{chance.gauss(0, 1):.3f}"
        for k in range(150)
    ]
    return "when,a,late,early,y\n" + "\n".join(lines), {"time": "when", "number": ("late", "early")}


def one_category(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A single feature, of words."""
    words = [chance.choice("abc") for _ in range(90)]
    return "w,y\n" + "".join(f"{word},{'abc'.index(word) + chance.gauss(0, 0.5):.3f}\n" for word in words), {}


def wide(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """More columns than rows."""
    lines = [",".join(f"c{k}" for k in range(300)) + ",kind"]
    for k in range(100):
        cells = [f"{chance.gauss((k % 2) * (c < 5), 1):.3f}" for c in range(300)]
        lines.append(",".join(cells) + f",{'yn'[k % 2]}")
    return "\n".join(lines), {}


@pytest.mark.parametrize(
    "make",
    [
        grouped, by_time, twenty_rows, twenty_numbers, a_rare_class, nearly_constant, never_known_in_training,
        one_category, wide,
    ],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_any_small_table_gives_a_model(write: Write, fit: Fit, make: Callable[..., Any]) -> None:
    """Whatever its shape, `auto` ends with a model that passes the gate, and every score is a number."""
    text, words = make(random.Random(0))
    report = fit(write(text), **words, time_s=0.4)
    assert report["parity"]["max_difference"] < 1e-4
    for candidate in report["candidates"].values():
        assert np.isfinite(candidate["validation_loss"])
    assert report["metrics"]["test"]["log_loss" if report["classes"] else "rmse"] is not None
    assert sum(report["plan"]["weights"].values()) == pytest.approx(1.0)
    assert not any("could not be trained" in warning for warning in report["warnings"])


def test_each_model_alone_takes_a_table_of_twenty_rows(write: Write, fit: Fit) -> None:
    """Twenty rows with a class of four give a model, whichever is asked for."""
    text = "a,b,kind\n" + "".join(f"{k % 7},{k * k % 5},{'rare' if k % 5 == 0 else 'usual'}\n" for k in range(20))
    for model in MODELS:
        report = fit(write(text), model=model, epochs=5)
        assert report["parity"]["max_difference"] < 1e-4


def test_words_that_do_not_concern_a_candidate_are_told(write: Write, fit: Fit) -> None:
    """Of the words of networks and of penalties each candidate of `auto` says which it was trained without."""
    text, _ = one_category(random.Random(0))
    words = {"optimizer": "sgd", "lr": 0.01, "l1": 0.1, "l2": 2.0, "epochs": 2, "dropout": 0.5, "norm": "none"}
    warnings = fit(write(text), target="y", **words)["warnings"]
    assert [warning for warning in warnings if warning.startswith("In `auto`")] == [
        "In `auto`, words of steps and layers do not concern `linear`; it was trained without epochs=2 lr=0.01 "
        "optimizer=sgd dropout=0.5. With model=mlp they rule the whole run.",
        "In `auto`, words of steps, layers and penalties do not concern `gbdt`; it was trained without epochs=2 "
        "lr=0.01 optimizer=sgd dropout=0.5 l1=0.1 l2=2. With model=mlp they rule the whole run.",
    ]


def test_without_such_words_nothing_is_told(write: Write, fit: Fit) -> None:
    """Words that concern every candidate, and those that ask for nothing, need no note."""
    text, _ = one_category(random.Random(0))
    warnings = fit(write(text), target="y", time_s=0.5, norm="none", loss="mae", seed=3)["warnings"]
    assert not any("do not concern" in warning or "left out" in warning for warning in warnings)


def test_a_loss_that_trees_have_not_is_told(write: Write, fit: Fit) -> None:
    """`auto` says that it left out the trees, which have no focal loss."""
    text, _ = twenty_rows(random.Random(0))
    report = fit(write(text), loss="focal", epochs=1)
    assert "gbdt" not in report["candidates"]
    told = "`gbdt` was left out, for it trains with every loss but focal; say loss=cross_entropy to have it tried."
    assert told in report["warnings"]
