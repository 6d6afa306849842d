"""The plots of data that is given to a model, as PNG files: worst slices and drift. Drawn as those of `plots`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from workers.core.drift import SOME, STRONG
from workers.core.plots import plain, save, short

_MOST_COLUMNS = 20
_COLORS = {"none": "lightsteelblue", "some": "tab:orange", "strong": "tab:red"}


def slices_plot(path: Path, slices: Mapping[str, Any], target: str) -> None:
    """The slices that are worse beyond chance, each with its difference from the whole; no file where there is none."""
    worst = slices["worst"]
    if not worst:
        return
    figure = Figure(figsize=(8.0, 2.0 + 0.45 * len(worst)), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(worst):
        axes.hlines(place, *one["interval"], color="tab:red", alpha=0.4, linewidth=4)
        axes.plot([one["difference"]], [place], marker="o", color="tab:red")
    axes.axvline(0, color="black", linewidth=1, linestyle="--")
    named = [f"{short(one['slice'].replace('`', ''), 44)}\n{one['rows']:,} rows" for one in worst]
    axes.set_yticks(np.arange(len(worst)), [plain(name) for name in named])
    axes.set_ylim(len(worst) - 0.4, -0.6)
    axes.grid(alpha=0.3, axis="x")
    metric = slices["metric"]
    axes.set_xlabel(f"{metric} less that of all rows ({slices['whole']:.4g}), 95 % interval")
    figure.suptitle(plain(f"Slices where {short(target, 30)} is predicted worse; {slices['looked_at']} were looked at"))
    save(figure, path)


def drift_plot(path: Path, drifted: Mapping[str, Any] | None) -> None:
    """The population stability index of the columns that moved most; no file where drift is not known."""
    if drifted is None or not drifted["columns"]:
        return
    shown = drifted["columns"][:_MOST_COLUMNS]
    figure = Figure(figsize=(7.2, 2.0 + 0.36 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.barh(np.arange(len(shown)), [one["psi"] for one in shown], color=[_COLORS[one["drift"]] for one in shown])
    most = max(one["psi"] for one in shown)
    for mark, word in ((SOME, "some"), (STRONG, "strong")):
        axes.axvline(mark, color="black", linewidth=1, linestyle=":" if mark == SOME else "--", label=f"{word}, {mark}")
    axes.set_xlim(0, max(1.15 * most, 1.15 * STRONG))
    for place, one in enumerate(shown):
        axes.annotate(
            f"{one['psi']:.3f}", (one["psi"], place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(np.arange(len(shown)), [plain(short(one["column"], 30)) for one in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("Population stability index; in pale blue what may be chance or is small")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(loc="lower right")
    total = len(drifted["columns"])
    which = f", the {len(shown)} of {total} columns that moved most" if total > len(shown) else ""
    axes.set_title(plain(f"{drifted['rows']:,} rows beside {drifted['rows_trained']:,} of training{which}"))
    save(figure, path)
