"""Gradient-boosted trees by LightGBM: the yardstick that people would use instead, and often a good part of a blend."""

from collections.abc import Callable, Sequence
from typing import Any

import lightgbm
import numpy as np
from torch import Tensor

from shared.events import EpochDone
from shared.specs import LossName, ModelName, Task, TrainSpec
from workers.core.checkpoints import Part
from workers.core.loop import Data
from workers.core.models.candidate import Candidate, Followed, out_of_fold
from workers.core.objective import HUBER_TURN
from workers.core.predictor import TreeMember, tree_outputs
from workers.core.progress import Clock, Progress

TREES, PATIENCE = 2000, 50
MANY_ROWS, MANY_COLUMNS = 10_000, 10
BINS = 255
MOST_ONE_HOT = 64  # words up to which a split asks for one of them; beyond, for a set of them

_OBJECTIVES = {
    LossName.MSE: "regression",
    LossName.MAE: "regression_l1",
    LossName.HUBER: "huber",
    LossName.QUANTILE: "quantile",
}


def fit_gbdt(
    data: Data, spec: TrainSpec, *, progress: Progress, clock: Clock, threads: int, follow: Followed = None
) -> Candidate:
    """Train trees for each fold, each stopped early on the fold's validation rows."""
    parameters = resolve_parameters(data, spec, threads)
    trees, patience = spec.epochs or TREES, spec.patience or PATIENCE
    if follow is not None:
        parameters = {name: follow.get(name, value) for name, value in parameters.items()}
        trees, patience = follow["epochs"], follow["patience"]
    boosting = _Boosting(data, parameters, progress, clock, trees=trees, patience=patience)
    boosting.told = None if follow is None else follow["trees"]
    if (kept := progress.kept(ModelName.GBDT)) is not None:
        boosting.restore(kept)
    progress.keep(ModelName.GBDT, boosting.part)
    for k in range(len(boosting.boosters), len(data.folds)):
        boosting.fit(k)
    grown = [booster.current_iteration() for booster in boosting.boosters]
    if boosting.curve:
        boosting.tell(max(grown), boosting.curve[min(len(boosting.curve), max(grown)) - 1])
    progress.last_epoch()
    outs = [boosting.outputs(k) for k in range(len(data.folds))]
    progress.check_now_and_then()
    losses = [_loss(data, out, fold.validation) for out, fold in zip(outs, data.folds, strict=True)]
    plan = {"optimizer": "boosting", **parameters, "trees": grown}
    plan |= {"epochs": trees, "patience": patience, "bins": BINS} | (
        {"smoothing": 0.0} if data.objective.is_of_classes else {}
    )
    plan |= {"epochs_done": max(grown), "ended_by": boosting.ended}
    member = TreeMember(boosting.boosters, data.task, classes=data.outputs)
    loss = float(np.mean(losses))
    return Candidate(ModelName.GBDT, member, out_of_fold(data, outs), loss, plan, boosting.curve)


def resolve_parameters(data: Data, spec: TrainSpec, threads: int) -> dict[str, Any]:
    """LightGBM's parameters for the task; every repeat with them gives the same trees.

    Small tables get small trees and small steps; many columns are sampled, which makes the trees differ.
    """
    many_rows = len(data.x) >= MANY_ROWS
    columns = data.layout.numbers + data.layout.codes
    parameters: dict[str, Any] = {
        "learning_rate": spec.lr or (0.1 if many_rows else 0.05),
        "num_leaves": 15 if not many_rows else 63 if data.task is Task.REGRESSION else 31,
        "min_data_in_leaf": 20,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.5 if columns >= MANY_COLUMNS else 0.8,
        "lambda_l1": spec.l1,
        "lambda_l2": 1.0 if spec.l2 is None else spec.l2,
        "max_cat_to_onehot": MOST_ONE_HOT,
        "seed": spec.seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    match data.task:
        case Task.REGRESSION:
            parameters["objective"] = _OBJECTIVES[data.objective.name]
            if data.objective.name is LossName.QUANTILE:
                parameters["alpha"] = data.objective.quantile
            if data.objective.name is LossName.HUBER:
                parameters["alpha"] = HUBER_TURN
        case Task.BINARY:
            parameters["objective"] = "binary"
        case Task.MULTICLASS:
            parameters |= {"objective": "multiclass", "num_class": data.outputs}
    return parameters


class _Boosting:
    """The trees of one fold after the other; a fold that was interrupted begins anew, since LightGBM's draws cannot be
    taken up in its middle.
    """

    def __init__(
        self, data: Data, parameters: dict[str, Any], progress: Progress, clock: Clock, *, trees: int, patience: int
    ) -> None:
        self.data, self.parameters, self.progress, self.clock = data, parameters, progress, clock
        self.trees, self.patience, self.ended = trees, patience, "patience"
        self.x = data.x.cpu().numpy()
        self.y = data.y.cpu().numpy()
        weights = data.objective.class_weights
        self.weight = None if weights is None else weights.cpu().numpy()[self.y]
        if data.task is Task.REGRESSION:
            self.y = self.y[:, 0].astype(np.float64)
        self.boosters: list[lightgbm.Booster] = []
        self.curve: list[tuple[float, float]] = []
        self.mark = clock.mark()  # after the last whole fold
        self._texts: list[str] = []
        self.told: Sequence[int] | None = None
        """How many trees each fold keeps, where that is not to be found out."""

    def part(self) -> Part:
        """The whole folds."""
        self._texts += [booster.model_to_string() for booster in self.boosters[len(self._texts) :]]
        arrays = {f"trees.{k}": np.frombuffer(text.encode(), dtype=np.uint8) for k, text in enumerate(self._texts)}
        plain = {"ended": self.ended, "curve": self.curve, "clock": self.mark | {"seconds": self.clock.seconds()}}
        return Part(arrays, plain, f"fold {len(self.boosters)}")

    def restore(self, part: Part) -> None:
        """Go on from what `part` said."""
        self._texts = [part.arrays[f"trees.{k}"].tobytes().decode() for k in range(len(part.arrays))]
        self.boosters = [lightgbm.Booster(model_str=text) for text in self._texts]
        self.ended, self.curve = part.plain["ended"], [(one, other) for one, other in part.plain["curve"]]
        self.clock.go_on(part.plain["clock"])
        self.mark = self.clock.mark()

    def fit(self, k: int) -> None:
        """Train on fold `k`."""
        fold, history = self.data.folds[k], dict[str, dict[str, list[float]]]()
        train = self._dataset(fold.train)
        validation = self._dataset(fold.validation, like=train)
        stopping = lightgbm.early_stopping(self.patience, first_metric_only=True, verbose=False)
        booster = lightgbm.train(
            self.parameters,
            train,
            self.trees,
            valid_sets=[validation, train] if k == 0 else [validation],
            valid_names=["validation", "training"][: 2 if k == 0 else 1],
            callbacks=[lightgbm.record_evaluation(history), self._watch(k, history), stopping],
        )
        if booster.current_iteration() == self.trees and self.ended != "time":
            self.ended = "epochs"
        best = booster.best_iteration or booster.current_iteration()
        best = best if self.told is None else min(self.told[k], booster.current_iteration())
        # What comes after the best iteration is left out of the model for good.
        self.boosters.append(lightgbm.Booster(model_str=booster.model_to_string(num_iteration=best)))
        if k == 0:
            training, watched = (next(iter(history[name].values())) for name in ("training", "validation"))
            self.curve = list(zip(training, watched, strict=True))
        self.mark = self.clock.mark()

    def outputs(self, k: int) -> Tensor:
        """What fold `k` says of its validation rows."""
        rows = self.x[self.data.folds[k].validation.cpu().numpy()]
        raw = self.boosters[k].predict(rows, raw_score=True, num_threads=self.parameters["num_threads"])
        return tree_outputs(np.asarray(raw), self.data.task)

    def tell(self, trees: int, losses: tuple[float | None, float]) -> None:
        """Report what so many trees have reached; the last word is that of the largest fold."""
        self.progress.epoch(
            EpochDone(
                model=ModelName.GBDT.value,
                epoch=trees,
                epochs=self.trees,
                train_loss=losses[0],
                validation_loss=losses[1],
                eta_s=self.clock.eta_s(trees, self.trees),
            )
        )

    def _dataset(self, rows: Tensor, *, like: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        """The rows in bins, in those of `like` where there is one."""
        places, layout = rows.cpu().numpy(), self.data.layout
        self.progress.check_now_and_then()
        made = lightgbm.Dataset(
            self.x[places],
            self.y[places],
            weight=None if self.weight is None else self.weight[places],
            categorical_feature=list(range(layout.coded.start, layout.coded.stop)),
            params={"verbosity": -1, "max_bin": BINS, "num_threads": self.parameters["num_threads"]},
            reference=like,
            free_raw_data=True,
        )
        made.construct()
        self.progress.check_now_and_then()
        return made

    def _watch(
        self, k: int, history: dict[str, dict[str, list[float]]]
    ) -> Callable[[lightgbm.callback.CallbackEnv], None]:
        """Tells of each iteration, and ends fold `k` at its best one so far when its share of the time is over."""
        share = (k + 1) / len(self.data.folds)

        def watch(env: lightgbm.callback.CallbackEnv) -> None:
            self.progress.check_now_and_then()
            results = env.evaluation_result_list or []
            losses = {name: value for name, _, value, *_ in results}
            self.tell(env.iteration + 1, (losses.get("training"), losses["validation"]))
            if self.clock.is_over(share):
                self.ended = "time"
                best = int(np.argmin(next(iter(history["validation"].values()))))
                raise lightgbm.callback.EarlyStopException(best, results)

        watch.order = 25  # type: ignore[attr-defined]  # after the history was written, before early stopping
        return watch


def _loss(data: Data, outputs: Tensor, rows: Tensor) -> float:
    """The objective's validation loss of probabilities or deviations."""
    out = outputs if data.task is Task.REGRESSION else outputs.clamp(min=1e-12).log()
    return float(data.objective.validation_loss(out.to(data.y.device), data.y[rows]))
