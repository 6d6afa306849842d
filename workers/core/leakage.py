"""Columns that predict the target by themselves: often what is only known once the target is.

For each feature a model of it alone: the mean of the target in each of its words, or in each quantile bin of a number,
judged on rows that the mean has not seen (five folds); or, number against number, a line. H2O's Driverless AI looks for
leaks in the same way. Of a text it is single words that are judged: all of them together may well tell the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from workers.core.encode import Cells, Feature, category_features, number_features, text_features
from workers.core.findings import Finding
from workers.core.kinds import name_parts, quote
from workers.core.names import typed
from workers.core.target import Target

MOST_ROWS = 20_000
LEAST_ROWS, LEAST_COPIED = 50, 12
SUSPICIOUS = 0.98
SUSPICIOUS_BY_NAME = 0.9
_BINS, _FOLDS = 64, 5
_MOST_CLASSES, _SHOWN_WORDS = 30, 5
_LEAST_OF_A_WORD = 10  # rows with a word and without it, of a class and of none: some word meets few rows by chance


@dataclass(frozen=True)
class _Rows:
    """The rows that are looked at."""

    folds: np.ndarray
    """[n] the fold of each, from 0."""
    y: np.ndarray
    """[n] their classes or values."""
    target: Target

    def score(self, codes: np.ndarray) -> float:
        """How well `codes` [n] alone predict the target."""
        return single_score(codes, self.folds, self.y, len(self.target.classes))


def leak_findings(cells: Cells, features: Sequence[Feature], target: Target, rows: np.ndarray) -> list[Finding]:
    """A finding for each feature that alone predicts the target of `rows` (numbers of rows to look at)."""
    if len(rows) < LEAST_COPIED or len(features) < 2 or len(target.classes) > _MOST_CLASSES:
        return []
    if len(rows) < LEAST_ROWS:
        return _copies(cells, features, target, rows)
    chance = np.random.default_rng(0)
    rows = np.sort(chance.choice(rows, MOST_ROWS, replace=False)) if len(rows) > MOST_ROWS else rows
    seen, found = _Rows(chance.permutation(len(rows)) % _FOLDS, target.values[rows], target), list[Finding]()
    for feature, values in zip(number_features(features), cells.numbers, strict=True):
        codes, missing = _bins(values[rows])
        line = 0.0 if target.classes else _line(values[rows].astype(np.float64), seen.y, missing)
        found += _judge(feature, codes, missing, seen, least=line)
    for feature, values in zip(category_features(features), cells.codes, strict=True):
        codes = values[rows]
        found += _judge(feature, codes, codes == feature.missing, seen, least=0.0)
    return found + _told_by_words(cells, features, rows, seen)


def single_score(codes: np.ndarray, folds: np.ndarray, y: np.ndarray, classes: int) -> float:
    """How well `codes` [n] alone predict `y` [n] on rows not seen: the area under the ROC curve, each class against
    the others and weighted by its size, or R2 where `classes` is 0.
    """
    cells = codes.astype(np.int64) * _FOLDS + folds
    size = (int(codes.max(initial=0)) + 1) * _FOLDS
    counts = np.bincount(cells, minlength=size).reshape(-1, _FOLDS).astype(np.float64)
    if not classes:
        mean, total = y.mean(), np.square(y - y.mean()).sum()
        sums = np.bincount(cells, weights=y - mean, minlength=size).reshape(-1, _FOLDS)
        guess = _from_others(sums, counts, 0.0)
        return float((2.0 * guess * sums - guess**2 * counts).sum() / total) if total else 0.0
    score = 0.0
    for k in range(1 if classes == 2 else 0, classes):
        own = (y == k).astype(np.float64)
        sums = np.bincount(cells, weights=own, minlength=size).reshape(-1, _FOLDS)
        area = _area(_from_others(sums, counts, own.mean()).ravel(), sums.ravel(), (counts - sums).ravel())
        score += area * (1.0 if classes == 2 else own.mean())
    return score


def _copies(cells: Cells, features: Sequence[Feature], target: Target, rows: np.ndarray) -> list[Finding]:
    """A finding for each feature that is the target itself, as few rows can prove: each value stands for one of it."""
    found, y = list[Finding](), target.values[rows]
    columns = [*zip(number_features(features), cells.numbers, strict=True)]
    columns += zip(category_features(features), cells.codes, strict=True)
    for feature, values in columns:
        own = values[rows].astype(np.float64)
        if np.isnan(own).any():
            continue
        if target.classes:
            pairs, met, classes = len(np.unique(np.stack([own, y]), axis=1).T), len(np.unique(own)), len(np.unique(y))
            copied = pairs == met == classes > 1
        else:
            copied = np.ptp(own) > 0 and np.ptp(y) > 0 and abs(np.corrcoef(own, y)[0, 1]) > 1 - 1e-9
        if copied:
            sentence = (
                f"`{feature.name}` tells `{target.name}` without a fault in all {len(rows)} rows that are not tested; "
                f"if it is not known before the target is, leave it out with {typed('drop', feature.name)}."
            )
            found.append(Finding("leak", sentence, feature.name, {"rows": len(rows)}))
    return found


def _judge(feature: Feature, codes: np.ndarray, missing: np.ndarray, seen: _Rows, *, least: float) -> list[Finding]:
    """What is to be said of one column, whose score is `least` at least."""
    target, measure = seen.target, "AUC" if seen.target.classes else "R2"
    score = max(least, seen.score(codes))
    facts = {measure.lower(): round(score, 4)}
    remedy = f"if it is not known before the target is, leave it out with {typed('drop', feature.name)}"
    if score > SUSPICIOUS:
        code, why = "leak", f"`{feature.name}` alone predicts `{target.name}`"
        if missing.any() and seen.score(missing.astype(np.int64)) > SUSPICIOUS:
            code, why = "leak_missing", f"whether `{feature.name}` is missing alone predicts `{target.name}`"
    elif score > SUSPICIOUS_BY_NAME and _share_a_name(feature.name, target.name):
        code, why = "leak_name", f"`{feature.name}` is named like `{target.name}` and predicts it well"
    else:
        return []
    sentence = f"{why[0].upper()}{why[1:]} (cross-validated {measure} {score:.3f}); {remedy}."
    return [Finding(code, sentence, feature.name, facts)]


def _told_by_words(cells: Cells, features: Sequence[Feature], rows: np.ndarray, seen: _Rows) -> list[Finding]:
    """A finding for each text where a word, or one of each of several classes, alone predicts the target."""
    if cells.counts is None:
        return []
    held, start, found = csr_array(cells.counts[rows] > 0, dtype=np.float64), 0, list[Finding]()
    for feature in text_features(features):
        own, start = held[:, start : start + len(feature.words)], start + len(feature.words)
        words = _telling(own, seen)
        if not words:
            continue
        # Each row's first such word, 0 for none.
        codes = ((own[:, words].toarray() > 0) * np.arange(len(words), 0, -1)).max(axis=1, initial=0)
        score, measure = seen.score(codes), "AUC" if seen.target.classes else "R2"
        if score <= SUSPICIOUS:
            continue
        shown = ", ".join(quote(feature.words[k]) for k in words[:_SHOWN_WORDS])
        shown += " and more" if len(words) > _SHOWN_WORDS else ""
        what = f"The word {shown} in `{feature.name}` alone predicts"
        if len(words) > 1:
            what = f"The words {shown} in `{feature.name}` alone predict"
        sentence = (
            f"{what} `{seen.target.name}` (cross-validated {measure} {score:.3f}); if the text is not known before the "
            f"target is, leave it out with {typed('drop', feature.name)}."
        )
        facts = {measure.lower(): round(score, 4), "words": [feature.words[k] for k in words]}
        found.append(Finding("leak", sentence, feature.name, facts))
    return found


def _telling(held: csr_array, seen: _Rows) -> list[int]:
    """Of the words that rows hold, [rows, words] of 1 and 0, the one that tells most of the target: for each class, or
    for both of two.
    """
    rows, met = held.shape[0], held.sum(axis=0)
    if not seen.target.classes:
        y = seen.y - seen.y.mean()
        frequent = np.minimum(met, rows - met) >= _LEAST_OF_A_WORD
        apart = frequent * np.square(held.T @ y) / np.maximum(met * (rows - met), 1.0)
        return [int(apart.argmax())]
    best = list[tuple[float, int]]()
    for k in range(len(seen.target.classes)):
        own = (seen.y == k).astype(np.float64)
        size = own.sum()
        if not _LEAST_OF_A_WORD <= size <= rows - _LEAST_OF_A_WORD:
            continue
        hits = held.T @ own
        apart = hits / size - (met - hits) / (rows - size)
        best.append((float(apart.max()), int(apart.argmax())))
    if len(seen.target.classes) == 2:
        best = [max(best)] if best else []
    return list(dict.fromkeys(word for _, word in best))


def _bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each value's quantile bin, missing ones in one of their own; and which are missing."""
    missing = np.isnan(values)
    known = values[~missing]
    bins = min(_BINS, max(2, len(known) // 10))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else known
    codes = np.searchsorted(edges, values, side="right")
    codes[missing] = len(edges) + 1
    return codes, missing


def _line(values: np.ndarray, y: np.ndarray, missing: np.ndarray) -> float:
    """The share of the target's variance that a line explains, where nearly every row has a number."""
    known = ~missing
    if known.mean() < 1 - (1 - SUSPICIOUS) / 2 or np.ptp(values[known]) == 0 or np.ptp(y[known]) == 0:
        return 0.0
    return float(np.corrcoef(values[known], y[known])[0, 1] ** 2)


def _from_others(sums: np.ndarray, counts: np.ndarray, prior: float) -> np.ndarray:
    """[codes, folds]: the mean in the other folds, drawn towards the prior by one row."""
    others, rows = sums.sum(axis=1, keepdims=True) - sums, counts.sum(axis=1, keepdims=True) - counts
    guess: np.ndarray = (others + prior) / (rows + 1.0)
    return guess


def _area(scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """The area under the ROC curve of cells that hold so many rows of the class and of the others."""
    if not positive.sum() or not negative.sum():
        return 0.5
    _, place = np.unique(scores, return_inverse=True)
    hits, misses = np.bincount(place, weights=positive), np.bincount(place, weights=negative)
    below = np.cumsum(misses) - misses
    return float((hits * (below + misses / 2)).sum() / (positive.sum() * negative.sum()))


def _share_a_name(column: str, target: str) -> bool:
    ours, theirs = set(name_parts(column)), set(name_parts(target))
    common = ours & theirs
    return bool(common) and common in (ours, theirs) and len("".join(common)) >= 3
