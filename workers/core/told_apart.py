"""Which of several models are better than which, beyond chance: every pair with its corrected tests, and in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from workers.core.paired import Difference, Differences, holm

LEVEL = 0.05
"""The chance of calling any two models different that are not, over all pairs of a comparison."""
_SHARES = frozenset(("accuracy", "precision", "recall", "f1"))


def told_apart(
    runs: Sequence[int], values: Mapping[int, float | None], found: Differences, *, headline: str, rows: int
) -> dict[str, Any]:
    """The keys `pairs`, `best`, `tied` and `sentence` of a report.

    `runs` stand as the models of `found` do; `values` holds what each reached in `headline`, where higher is better. Of
    a pair the better run comes first, and each p is corrected over the pairs for its score (Holm). `best` is the run
    that is told apart from every other one, or None; then `tied` names those that may be it.
    """
    pairs = _pairs(runs, found, headline)
    known = sorted((run for run in runs if values[run] is not None), key=lambda run: -(values[run] or 0.0))
    if not known:
        sentence = f"On {rows:,} rows {headline} is not defined, so no run is the best."
        return {"pairs": pairs, "best": None, "tied": [], "sentence": sentence}
    top = known[0]
    against = {run: _pair_of(pairs, top, run) for run in known[1:]}
    tied = [run for run, pair in against.items() if pair["tied"]]
    best = None if tied or len(known) < len(runs) else top
    return {
        "pairs": pairs,
        "best": best,
        "tied": sorted([top, *tied]) if tied else [],
        "sentence": _sentence(top, tied, against, headline, rows, len(pairs)),
    }


def _pairs(runs: Sequence[int], found: Differences, headline: str) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(name for pair in found.values() for name in pair))
    places = list(found)
    corrected: dict[tuple[str, tuple[int, int]], float | None] = {}
    for name in names:
        p_values = holm([found[place][name].p if name in found[place] else None for place in places])
        corrected |= {(name, place): p for place, p in zip(places, p_values, strict=True)}
    pairs = []
    for place in places:
        lead = found[place].get(headline)
        is_turned = lead is not None and lead.value < 0
        first, second = (place[1], place[0]) if is_turned else place
        told = {
            name: {**_plain(one, is_turned=is_turned), "p_corrected": corrected[name, place]}
            for name, one in found[place].items()
        }
        p = corrected.get((headline, place))
        pairs.append({"runs": [runs[first], runs[second]], "tied": p is None or p >= LEVEL, "differences": told})
    return pairs


def _plain(one: Difference, *, is_turned: bool) -> dict[str, Any]:
    interval = one.interval
    if is_turned and interval is not None:
        interval = [-interval[1], -interval[0]]
    value = -one.value if is_turned else one.value
    return {"difference": value, "interval": interval, "p": one.p, "test": one.test}


def _pair_of(pairs: Sequence[dict[str, Any]], first: int, second: int) -> dict[str, Any]:
    return next(pair for pair in pairs if set(pair["runs"]) == {first, second})


def _sentence(
    top: int, tied: Sequence[int], against: Mapping[int, dict[str, Any]], headline: str, rows: int, comparisons: int
) -> str:
    """`against` holds the other runs, the nearest first."""
    corrected = f", corrected for {comparisons} comparisons" if comparisons > 1 else ""
    if not against:
        return f"On {rows:,} rows only run {top} has a {headline}, so none is better than another."
    if not tied:
        nearest, pair = next(iter(against.items()))
        told = pair["differences"][headline]
        if len(against) == 1:
            return f"Run {top} is better than {nearest} by {_by(headline, told)}; the interval excludes zero."
        return (
            f"Run {top} is better than each of the {len(against)} others on {rows:,} rows{corrected}; than the next, "
            f"{nearest}, by {_by(headline, told)}."
        )
    named = sorted([top, *tied])
    told = against[tied[-1]]["differences"][headline]
    what = "the difference" if len(tied) == 1 else "the largest difference"
    who = f"{', '.join(map(str, named[:-1]))} and {named[-1]}"
    sentence = (
        f"Runs {who} cannot be told apart on {rows:,} rows{corrected}: {what} of {headline} is "
        f"{_difference(headline, told, with_name=False)}."
    )
    behind = [str(run) for run in against if run not in tied]
    if behind:
        sentence += f" Run{'s' if len(behind) > 1 else ''} {' and '.join(behind)} "
        sentence += f"{'are' if len(behind) > 1 else 'is'} worse than run {top}."
    return sentence


def _by(headline: str, told: Mapping[str, Any]) -> str:
    return _difference(headline, told, with_name=True)


def _difference(headline: str, told: Mapping[str, Any], *, with_name: bool) -> str:
    """`0.8 points of accuracy (95 % interval 0.2 to 1.4)`."""
    factor, unit = (100.0, " points") if headline in _SHARES else (1.0, "")
    value, interval = told["difference"] * factor, told["interval"]
    digits = 4 if interval is None else _digits((interval[1] - interval[0]) * factor)
    name = f" of {headline}" if with_name else ""
    chance = ""
    if interval is not None:
        low, high = (f"{end * factor:z.{digits}f}" for end in interval)
        chance = f" (95 % interval {low} to {high})"
    return f"{value:z.{digits}f}{unit}{name}{chance}"


def _digits(width: float) -> int:
    """So many that the ends of the interval differ in two."""
    return min(8, max(1, math.ceil(-math.log10(width)) + 1)) if width > 0 else 4
