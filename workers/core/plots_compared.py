"""The plot of a comparison, as a PNG file. Drawn on a figure of its own, as in `plots`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workers.core.plots import plain, save, short

_MOST_PAIRS = 15
_APART, _ALIKE = "tab:blue", "tab:gray"


def differences_plot(path: Path, facts: Mapping[str, Any]) -> None:
    """Above, each run's headline score; below, the differences of its pairs, both with 95 % intervals: where one holds
    zero, the two cannot be told apart. Of many pairs, those of the run that is ahead.
    """
    headline, results = facts["headline"], facts["runs"]
    pairs = [pair for pair in facts["pairs"] if pair["differences"].get(headline)]
    if len(pairs) > _MOST_PAIRS:
        known = [one for one in results if one["metrics"][headline] is not None]
        top = max(known, key=lambda one: one["metrics"][headline])["run"]
        pairs = [pair for pair in pairs if top in pair["runs"]]
    lines = (len(results), max(1, len(pairs)))
    figure = Figure(figsize=(7.2, 2.2 + 0.42 * sum(lines)), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[one + 1 for one in lines])
    _scores(above, results, headline, facts.get("best"))
    _pairs(below, pairs, headline)
    which = "shared test rows" if facts["rows_of"] == "test" else "rows"
    figure.legend(*below.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(plain(f"{headline} of {short(facts['target'], 30)} on {facts['rows_shared']:,} {which}"))
    save(figure, path)


def _scores(axes: Axes, results: list[dict[str, Any]], headline: str, best: int | None) -> None:
    for place, one in enumerate(results):
        value, interval = one["metrics"][headline], one["intervals"].get(headline)
        if value is None:
            axes.text(0.5, place, "not defined", ha="center", va="center", transform=axes.get_yaxis_transform())
            continue
        _point(axes, place, value, interval, _APART if one["run"] == best else _ALIKE)
    named = [f"run {one['run']} ({one['model']})" + (", best" if one["run"] == best else "") for one in results]
    _rows(axes, named)
    axes.set_xlabel(f"{headline}, 95 % interval")


def _pairs(axes: Axes, pairs: list[dict[str, Any]], headline: str) -> None:
    for place, pair in enumerate(pairs):
        told = pair["differences"][headline]
        _point(axes, place, told["difference"], told["interval"], _ALIKE if pair["tied"] else _APART)
    axes.axvline(0, color="black", linewidth=1, linestyle="--")
    _rows(axes, [f"{first} minus {second}" for first, second in (pair["runs"] for pair in pairs)])
    for color, label in ((_APART, "told apart"), (_ALIKE, "not told apart")):
        axes.plot([], [], color=color, marker="o", linewidth=3, label=label)
    axes.set_xlabel(f"Difference of {headline}, 95 % interval")


def _point(axes: Axes, place: int, value: float, interval: list[float] | None, color: str) -> None:
    if interval is not None:
        axes.hlines(place, interval[0], interval[1], color=color, alpha=0.45, linewidth=4)
    axes.plot([value], [place], marker="o", color=color)
    axes.annotate(f"{value:.4g}", (value, place), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(np.arange(len(names)), [plain(name) for name in names])
    axes.set_ylim(max(1, len(names)) - 0.4, -0.7)
    axes.grid(alpha=0.3, axis="x")
