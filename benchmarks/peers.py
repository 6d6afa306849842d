"""What people would train instead: six other models with their own defaults, on the same rows as ours.

Columns are typed as a notebook would type them, by `pandas.read_csv`: numbers are floats with NaN, words are
categories. Only the split comes from our code, so that every model learns from the same rows and is tested on the same
rows; columns that are no features (`drop` in the folder's `index.json`) are left out for everyone.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from shared.specs import Task, TrainSpec
from workers.core.dataset import understand_dataset
from workers.core.split import SET_ASIDE, TEST

MISSING = "missing"  # CatBoost takes no NaN among words; its documentation asks for a word of one's own
MOST_HISTOGRAM_WORDS = 254  # HistGradientBoosting takes at most 255 words in a column; rarer ones become one word


@dataclass(frozen=True)
class Table:
    """One file of the folder, typed."""

    path: Path
    sha256: str
    task: Task
    target: str
    drop: tuple[str, ...]
    frame: pd.DataFrame
    """[rows, features] float64 or category."""
    y: np.ndarray
    """[rows] float64 for regression, else int64 numbers of `classes`; NaN or -1 where the target is missing."""
    classes: tuple[str, ...]
    categorical: tuple[str, ...]


class Split(NamedTuple):
    """The typed columns, the target, and which rows learn and which test."""

    frame: pd.DataFrame
    y: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    categorical: tuple[str, ...]


def data_folder() -> Path | None:
    """The folder of real files, which are no part of the repository; None where there is none."""
    folder = Path(os.environ.get("LML_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return folder if (folder / "index.json").is_file() else None


def file_names() -> list[str]:
    """The files of the folder, by name."""
    return [facts["name"] for facts in _index()]


@functools.cache
def load_table(name: str) -> Table:
    """The file `name` of the folder, read and typed by pandas."""
    facts = next(facts for facts in _index() if facts["name"] == name)
    path = next(path for path in Path(data_folder() or ".").iterdir() if path.stem == name)
    frame = pd.read_csv(
        path, sep=facts["sep"], header=0 if facts["header"] else None, na_values=facts["na_values"], low_memory=False
    )
    if not facts["header"]:
        frame.columns = [f"column_{k + 1}" for k in range(frame.shape[1])]
    task = Task(facts["task"])
    y, classes = _target(frame.pop(facts["target"]), task)
    frame = frame.drop(columns=facts["drop"])
    words = tuple(str(column) for column in frame if not _is_number(frame[column]))
    frame = pd.DataFrame({c: frame[c].astype("category" if c in words else "float64") for c in frame})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Table(path, digest, task, facts["target"], tuple(facts["drop"]), frame, y, classes, words)


@functools.lru_cache(maxsize=8)
def load_split(name: str, seed: int) -> Split:
    """The file `name` as our code splits it with `split_seed=seed`: duplicates grouped, classes stratified.

    Rows that our code would validate on are among `train_rows`: how to choose is every model's own affair.
    """
    table = load_table(name)
    parts = understand_dataset(table.path, train_spec(table, seed)).parts
    if len(parts) != len(table.frame):
        raise ValueError(f"pandas reads {len(table.frame)} rows of {name}, our reader {len(parts)}")
    train = np.flatnonzero((parts != TEST) & (parts != SET_ASIDE))
    return Split(table.frame, table.y, train, np.flatnonzero(parts == TEST), table.categorical)


def train_spec(table: Table, seed: int) -> TrainSpec:
    """What a person would type for this file; everything else is left to our code."""
    return TrainSpec(dataset=table.path.name, target=table.target, task=table.task, drop=table.drop, split_seed=seed)


@dataclass(frozen=True)
class Peer:
    """A model to compare with."""

    package: str
    make: Callable[[Task, tuple[str, ...], int], Any]
    """An estimator of scikit-learn's shape for a task, the names of the categories, and a seed."""
    prepare: Callable[[pd.DataFrame, tuple[str, ...]], pd.DataFrame] = lambda frame, _: frame
    """The columns as the estimator's documentation wants them."""

    @property
    def version(self) -> str:
        return version(self.package)

    def fit_and_predict(self, split: Split, task: Task, seed: int) -> np.ndarray:
        """Outputs for the test rows: probabilities [rows, classes], or numbers [rows]."""
        # Some of them refuse names with brackets.
        renamed = {name: f"f{k}" for k, name in enumerate(split.frame)}
        words = tuple(renamed[name] for name in split.categorical)
        frame = self.prepare(split.frame.rename(columns=renamed), words)
        model = self.make(task, words, seed)
        model.fit(frame.iloc[split.train_rows], split.y[split.train_rows])
        test = frame.iloc[split.test_rows]
        outputs = model.predict(test) if task is Task.REGRESSION else model.predict_proba(test)
        return np.asarray(outputs, dtype=np.float64)


def _lightgbm(task: Task, _words: tuple[str, ...], seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if task is Task.REGRESSION else LGBMClassifier
    return kind(n_jobs=1, random_state=seed, verbose=-1)


def _xgboost(task: Task, _words: tuple[str, ...], seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    kind = XGBRegressor if task is Task.REGRESSION else XGBClassifier
    return kind(n_jobs=1, random_state=seed, enable_categorical=True)


def _catboost(task: Task, words: tuple[str, ...], seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostRegressor if task is Task.REGRESSION else CatBoostClassifier
    quiet = {"verbose": False, "allow_writing_files": False}
    return kind(thread_count=1, random_seed=seed, cat_features=list(words), **quiet)


def _named_missing(frame: pd.DataFrame, words: tuple[str, ...]) -> pd.DataFrame:
    return frame.assign(**{c: frame[c].astype(object).where(frame[c].notna(), MISSING).astype(str) for c in words})


def _histogram(task: Task, words: tuple[str, ...], seed: int) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    kind = HistGradientBoostingRegressor if task is Task.REGRESSION else HistGradientBoostingClassifier
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_HISTOGRAM_WORDS
    )
    columns = make_column_transformer((encoder, list(words)), remainder="passthrough", verbose_feature_names_out=False)
    columns.set_output(transform="pandas")
    return make_pipeline(columns, kind(categorical_features=list(words), random_state=seed))


def _network(task: Task, words: tuple[str, ...], seed: int) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task is not Task.REGRESSION:
        return make_pipeline(_standardised(words), MLPClassifier(random_state=seed))
    # Without a standardised target it would hardly leave its start within its iterations.
    network = TransformedTargetRegressor(MLPRegressor(random_state=seed), transformer=StandardScaler())
    return make_pipeline(_standardised(words), network)


def _linear(task: Task, words: tuple[str, ...], _seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        _standardised(words), Ridge() if task is Task.REGRESSION else LogisticRegression(max_iter=1000)
    )


def _standardised(words: tuple[str, ...]) -> Any:
    """Numbers with their gaps filled by the median, standardised; words one-hot, with one column for a gap."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), list(words)),
    )


PEERS: dict[str, Peer] = {
    "lightgbm": Peer("lightgbm", _lightgbm),
    "xgboost": Peer("xgboost-cpu", _xgboost),
    "catboost": Peer("catboost", _catboost, _named_missing),
    "sklearn_hgb": Peer("scikit-learn", _histogram),
    "sklearn_mlp": Peer("scikit-learn", _network),
    "linear": Peer("scikit-learn", _linear),
}


def _index() -> list[dict[str, Any]]:
    folder = data_folder()
    return [] if folder is None else json.loads((folder / "index.json").read_text(encoding="utf-8"))


def _target(cells: pd.Series, task: Task) -> tuple[np.ndarray, tuple[str, ...]]:
    if task is Task.REGRESSION:
        return cells.to_numpy(dtype=np.float64), ()
    words = cells.map(lambda cell: str(cell).strip(), na_action="ignore").astype("category")
    return words.cat.codes.to_numpy(dtype=np.int64), tuple(words.cat.categories)


def _is_number(cells: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells)
