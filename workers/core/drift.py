"""How far data is from what a model learnt from, column by column.

The population stability index (PSI) of all columns: bins of numbers are the tenths of the training rows, a missing cell
is a bin of its own. 0.1 and 0.25 are its customary marks for some and for strong drift. Chance alone makes a PSI: of
equal populations it is about (1/n + 1/m) times a chi-square with one degree of freedom less than there are bins
(Yurdakul & Naranjo 2020). Numbers also get the two-sample Kolmogorov-Smirnov test. A column is said to drift where its
PSI is beyond a mark and, corrected for the number of columns (Holm), beyond chance.
"""

from typing import Any, Literal

import numpy as np
import polars as pl
from scipy.stats import chi2, kstwo

from workers.core.kinds import Kind
from workers.core.paired import holm
from workers.core.profile import as_numbers, as_words, readings
from workers.core.stored import StoredModel

SOME, STRONG = 0.1, 0.25
LEVEL = 0.05
_LEAST_ROWS = 30
_BINS = 10
_MOST_SHOWN_BINS = 20  # words beyond the most frequent ones are one bin
_SHOWN = 5
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def schema_differences(stored: StoredModel, frame: pl.DataFrame, profile: dict[str, Any] | None) -> dict[str, Any]:
    """How the columns differ from the training file's: those that are `missing` or `new`; of another kind, with the
    number of cells; and, where the profile tells, words that training has not met, with their number.

    `frame` has every column that the model uses.
    """
    trained = [column["name"] for column in stored.report["columns"]]
    features = [name for name in trained if name != stored.model.target]
    other_kind, unseen = [], []
    for name, (kind, style, date) in readings(stored.report["columns"]).items():
        words = as_words(frame, name, kind)
        present = len(words) - words.null_count()
        if kind in {Kind.NUMBER, Kind.DATE} and present:
            read = np.isfinite(as_numbers(frame[name], style=style, date=date))
            wrong = int((~read & words.is_not_null().to_numpy()).sum())
            if wrong:
                other_kind.append({"column": name, "kind": kind.value, "cells": wrong, "of": present})
        known = _known_words(profile, name)
        if known is not None:
            strange = words.drop_nulls().filter(~words.drop_nulls().is_in(list(known)))
            counts = strange.value_counts(sort=True).rows()
            if counts:
                shown = [str(word) for word, _ in sorted(counts, key=lambda one: (-one[1], one[0]))[:_SHOWN]]
                unseen.append(
                    {"column": name, "cells": len(strange), "of": present, "words": shown, "different": len(counts)}
                )
    return {
        "missing": [name for name in features if name not in frame.columns],
        "new": [name for name in frame.columns if name not in trained],
        "other_kind": other_kind,
        "unseen_words": unseen,
    }


def drift(stored: StoredModel, frame: pl.DataFrame, profile: dict[str, Any] | None) -> dict[str, Any] | None:
    """`columns`, those that drift most first, each with its PSI, p and shares of missing cells; `drifted` names those
    beyond a mark and chance. None without a profile or below 30 rows on either side.
    """
    if profile is None or min(profile["rows"], frame.height) < _LEAST_ROWS:
        return None
    columns = []
    for name, (kind, style, date) in readings(stored.report["columns"]).items():
        then = profile["columns"].get(name)
        if then is None or then["kind"] != kind.value or kind is Kind.TEXT:
            continue
        if kind in {Kind.NUMBER, Kind.DATE}:
            found = _of_numbers(then, as_numbers(frame[name], style=style, date=date), profile["rows"])
        else:
            found = _of_words(then, as_words(frame, name, kind), profile["rows"])
        columns.append({"column": name, "kind": kind.value, **found})
    # A column counts once: by the test that looks at its order where it has one.
    corrected = holm([one["p"] for one in columns])
    for one, p in zip(columns, corrected, strict=True):
        one["p_corrected"] = p
        beyond_chance = p is not None and p < LEVEL
        one["drift"] = "none" if not beyond_chance or one["psi"] < SOME else "some" if one["psi"] < STRONG else "strong"
    columns.sort(key=lambda one: (-one["psi"], one["column"]))
    drifted = [one["column"] for one in columns if one["drift"] != "none"]
    return {"rows_trained": profile["rows"], "rows": frame.height, "columns": columns, "drifted": drifted}


def drift_sentences(schema: dict[str, Any], drifted: dict[str, Any] | None) -> list[str]:
    """What of both a person should read."""
    said = []
    for key, text in (("missing", "that training had"), ("new", "that training had not")):
        names = schema[key]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            listed = ", ".join(f"`{name}`" for name in names[:_SHOWN])
            verb = "is missing" if key == "missing" else "is new"
            verb = verb.replace("is", "are") if len(names) > 1 else verb
            said.append(
                f"{'Columns' if len(names) > 1 else 'Column'} {text} {verb}: {listed}{more}.".replace("  ", " ")
            )
    said += [
        f"`{one['column']}`: {one['cells']:,} of {one['of']:,} cells are no {one['kind']}."
        for one in schema["other_kind"][:_SHOWN]
    ]
    for one in schema["unseen_words"][:_SHOWN]:
        words = ", ".join(f"`{word}`" for word in one["words"]) + (" and more" if one["different"] > _SHOWN else "")
        said.append(
            f"`{one['column']}`: {one['cells']:,} of {one['of']:,} cells hold words that training has not met: {words}."
        )
    if drifted is None:
        said.append(
            "Drift is not told: that takes 30 rows here and in training, and a model whose run kept a profile of them."
        )
        return said
    strongest = [one for one in drifted["columns"] if one["drift"] != "none"]
    if strongest:
        listed = ", ".join(f"`{one['column']}` ({one['drift']}, PSI {one['psi']:.2f})" for one in strongest[:_SHOWN])
        more = f" and {len(strongest) - _SHOWN} more" if len(strongest) > _SHOWN else ""
        said.append(f"The data has drifted from the rows that the model learnt from: {listed}{more}.")
    return said


def no_target_sentence(target: str) -> str:
    """Of data that cannot be scored."""
    return f"The file has no column `{target}`, so nothing is scored: these are predictions and drift only."


def _known_words(profile: dict[str, Any] | None, name: str) -> set[str] | None:
    then = None if profile is None else profile["columns"].get(name)
    if then is None or not then.get("is_whole") or then["kind"] not in {Kind.CATEGORY.value, Kind.BOOLEAN.value}:
        return None
    return set(then["words"])


def _of_numbers(then: dict[str, Any], values: np.ndarray, rows_then: int) -> dict[str, Any]:
    known = np.sort(values[np.isfinite(values)])
    missing = len(values) - len(known)
    present_then = rows_then - then["missing"]
    if not present_then or not len(known):
        return _psi(np.array([present_then, then["missing"]]), np.array([len(known), missing]), rows_then, len(values))
    edges = np.unique([_quantile(then, k / _BINS) for k in range(1, _BINS)])
    shares = np.diff([0.0, *_shares_to(then, edges), 1.0])
    counts = np.diff([0, *np.searchsorted(known, edges, side="right"), len(known)])
    found = _psi(
        np.array([*(shares * present_then), then["missing"]]), np.array([*counts, missing]), rows_then, len(values)
    )
    d = _ks_distance(then, known)
    # The distribution of the largest distance of two samples, by that of one sample of their harmonic size.
    size = max(1, round(present_then * len(known) / (present_then + len(known))))
    ks_p = float(kstwo.sf(d, size))
    tests = [p for p in (ks_p, found["p"]) if p is not None]
    return {**found, "ks": d, "ks_p": ks_p, "p": min(1.0, len(tests) * min(tests))}


def _of_words(then: dict[str, Any], words: pl.Series, rows_then: int) -> dict[str, Any]:
    shown = list(then["words"])[:_MOST_SHOWN_BINS]
    counts = dict(words.drop_nulls().value_counts().rows())
    now = [counts.get(word, 0) for word in shown]
    told = [then["words"][word] for word in shown]
    missing_then, missing = then["missing"], int(words.null_count())
    others_then, others = rows_then - missing_then - sum(told), len(words) - missing - sum(now)
    return _psi(np.array([*told, others_then, missing_then]), np.array([*now, others, missing]), rows_then, len(words))


def _psi(then: np.ndarray, now: np.ndarray, rows_then: int, rows: int) -> dict[str, Any]:
    """Of the counts of the same bins; an empty bin counts as half a row, and one that is empty in both as none."""
    kept = (then > 0) | (now > 0)
    expected, found = np.maximum(then[kept], 0.5) / rows_then, np.maximum(now[kept], 0.5) / rows
    psi = float(((found - expected) * np.log(found / expected)).sum())
    freedom = int(kept.sum()) - 1
    p = float(chi2.sf(psi / (1 / rows_then + 1 / rows), freedom)) if freedom else None
    return {
        "psi": psi,
        "p": p,
        "missing_trained": float(then[-1] / rows_then),
        "missing": float(now[-1] / rows),
    }


def _ks_distance(then: dict[str, Any], known: np.ndarray) -> float:
    """The largest distance of both distribution functions, looked at on either side of each value."""
    places = np.unique(np.concatenate([known, then.get("values") or then["points"]]))
    distances = [
        np.abs(np.searchsorted(known, places, side=side) / len(known) - _shares_to(then, places, side=side)).max()
        for side in _SIDES
    ]
    return float(max(distances))


def _shares_to(then: dict[str, Any], places: np.ndarray, *, side: Literal["left", "right"] = "right") -> np.ndarray:
    """[places]: the share of the training rows' known values that are at most each place; with `left`, below it."""
    if "values" in then:
        reached = np.cumsum([0, *then["counts"]])
        shares: np.ndarray = reached[np.searchsorted(then["values"], places, side=side)] / reached[-1]
        return shares
    points = np.array(then["points"])
    k = np.searchsorted(points, places, side=side)
    inside = np.clip(k, 1, len(points) - 1)
    low, high = points[inside - 1], points[inside]
    # Where it lies between two different points; the ends are set below.
    into = (places - low) / np.where(high > low, high - low, 1.0)
    shares = (inside - 1 + into) / (len(points) - 1)
    return np.where(k == 0, 0.0, np.where(k == len(points), 1.0, shares))


def _quantile(then: dict[str, Any], share: float) -> float:
    if "values" in then:
        reached = np.cumsum(then["counts"]) / sum(then["counts"])
        return float(then["values"][int(np.searchsorted(reached, share))])
    return float(np.interp(share, np.linspace(0, 1, len(then["points"])), then["points"]))
