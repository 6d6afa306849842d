"""Training and validation scores are those of the same models: each fold's, on its own rows."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.errors import RunStopped
from shared.specs import ModelName, TrainSpec
from workers.core import fold_scores
from workers.core.auto import Fitted, fit_candidates
from workers.core.dataset import understand_dataset
from workers.core.development import Development, development
from workers.core.fold_scores import kept_held_out, kept_learnt
from workers.core.metrics import score_folds
from workers.core.progress import Progress

Write = Callable[..., Path]
Fit = Callable[..., dict[str, Any]]


def noise(rows: int = 300) -> str:
    """Columns that tell nothing of the class."""
    chance = random.Random(1)
    lines = (f"{chance.gauss(0, 1):.4f},{chance.gauss(0, 1):.4f},{chance.choice('yn')}\n" for _ in range(rows))
    return "a,b,kind\n" + "".join(lines)


def kept(path: Path, **words: Any) -> tuple[Development, Fitted, np.ndarray]:
    """The rows, what was fitted on them, and the values of the target."""
    spec = TrainSpec(dataset="data", **words)
    dataset = understand_dataset(path, spec)
    rows = development(dataset, spec, torch.device("cpu"))
    progress = Progress(lambda _: None, lambda: False)
    fitted = fit_candidates(rows.data, spec, progress=progress, time_s=60, threads=1, follow=None)
    return rows, fitted, dataset.target.values[rows.rows]


@pytest.mark.parametrize("model", ["linear", "gbdt", "mlp", "tabm", "auto"])
def test_each_fold_is_asked_for_its_own_rows(write: Write, model: str) -> None:
    """Five parts on either side; what was held out is every row once, what was learnt is never among it."""
    rows, fitted, values = kept(write(noise()), model=model, epochs=5)
    learnt, held = kept_learnt(rows, values, fitted), kept_held_out(rows, values, fitted)
    assert len(learnt) == len(held) == 5
    assert sum(len(actual) for actual, _ in held) == len(rows.rows)
    assert [len(actual) for actual, _ in learnt] == [min(len(fold.train) for fold in rows.data.folds)] * 5
    for actual, said in (*learnt, *held):
        assert said.shape == (len(actual), 2)
        np.testing.assert_allclose(said.sum(axis=1), 1.0, rtol=1e-5)


def test_a_fold_says_of_its_held_out_rows_what_it_would_say_as_a_part_of_the_model(write: Write) -> None:
    """`fold_outputs` of trees and of networks gives the outputs that the candidates were chosen by."""
    for model in (ModelName.GBDT, ModelName.MLP):
        rows, fitted, _ = kept(write(noise()), model=model, epochs=5)
        candidate = fitted.candidates[model]
        places = torch.stack([fold.validation[:20] for fold in rows.data.folds])
        said = fold_scores.fold_outputs(candidate.member, rows.data.x[places])
        np.testing.assert_allclose(said.detach().numpy(), candidate.outputs[places.numpy()], atol=1e-5)


def test_a_hold_out_is_judged_alone(write: Write) -> None:
    """Rows in the order of time have one fold: one part on either side."""
    lines = [f"2024-{1 + k // 28:02d}-{1 + k % 28:02d},{k % 7},{'yn'[k % 2]}" for k in range(300)]
    rows, fitted, values = kept(write("day,a,kind\n" + "\n".join(lines)), time="day", model="gbdt", epochs=3)
    assert len(kept_learnt(rows, values, fitted)) == len(kept_held_out(rows, values, fitted)) == 1


def test_what_differs_in_scale_only_is_no_overfitting(write: Write, fit: Fit, mixed_table: Callable[..., str]) -> None:
    """Folds that have hardly begun rank their own rows alike on both sides, and are told to go on."""
    report = fit(write(mixed_table()), model="linear", optimizer="gd", lr=0.01, epochs=40)
    scores = report["metrics"]
    assert scores["train"]["roc_auc"] - scores["validation"]["roc_auc"] < 0.08
    assert report["verdict"].startswith("Under-trained: roc_auc is ")
    assert report["verdict"].endswith("when the epochs ended; more epochs= or a higher lr= would help.")


def test_what_is_learnt_by_heart_is_seen(write: Write, fit: Fit) -> None:
    """Noise that trees learnt scores far better on the training part; the interval of chance is told."""
    report = fit(write(noise()), model="gbdt", epochs=200, lr=0.5, patience=200)
    assert report["metrics"]["train"]["roc_auc"] > report["metrics"]["validation"]["roc_auc"] + 0.1
    assert report["verdict"].startswith(("Overfitting: ", "Too few rows to tell: "))
    assert " to " in report["verdict"].split("validation part")[1]


def test_a_stop_is_heard_between_the_rows(write: Write) -> None:
    """Whoever asks in the middle may raise."""
    rows, fitted, values = kept(write(noise(120)), model="linear")

    def stop() -> None:
        raise RunStopped

    with pytest.raises(RunStopped):
        kept_learnt(rows, values, fitted, stop)
    assert score_folds(rows.data.task, kept_learnt(rows, values, fitted))["roc_auc"] is not None
