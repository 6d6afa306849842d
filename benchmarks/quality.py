"""How well `auto` predicts, and how soon, beside what people would train instead: real files, five splits each.

    python benchmarks/quality.py [--files a,b] [--seeds 0,1] [--only ours] [--jobs 1] [--cache peers.json] [--out FILE]

Every model learns from the same 80 % of the rows, one thread each, imports warm, and is scored on the other 20 %, which
it never sees; equal rows never stand on both sides. The others' results are kept in a file, so that ours can be
measured again without them. The files are no part of the repository; without them nothing is measured.
"""

import argparse
import functools
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers import PEERS, Split, Table, data_folder, file_names, load_split, load_table, train_spec
from standings import RANKED, RANKED_SECOND, Result, Standings, score

from shared.specs import Task, TrainSpec

OURS = "ours"
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
LEAST_LIMIT_S, TIMES_CATBOOST = 15.0, 2.0


def main() -> None:
    """Measure what the cache does not hold, then say how all models stand."""
    words = _words()
    if data_folder() is None:
        sys.stdout.write("quality: skipped, there is no folder of files; name it in LML_SHARED_DATA.\n")
        return
    cache = _Cache(words.cache)
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # for the processes that measure
    with ProcessPoolExecutor(words.jobs, mp_context=get_context("spawn"), initializer=_warm) as pool:
        for file in words.files:
            waiting = [
                pool.submit(_measure, file, seed, model)
                for seed in words.seeds
                for model in words.only
                if cache.get(file, seed, model) is None
            ]
            for done in as_completed(waiting):
                cache.put(done.result())
            if words.out:
                words.out.write_text(_report(cache, words.files, words.seeds), encoding="utf-8")
    sys.stdout.write(_report(cache, words.files, words.seeds))


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = [OURS, *PEERS]
    parser.add_argument(
        "--files", type=_some_of(file_names()), default=file_names(), help="names, with commas; else all"
    )
    parser.add_argument("--seeds", type=lambda word: [int(k) for k in word.split(",")], default=list(range(5)))
    only = f"models to measure, of {', '.join(models)}; the cache may still know the others; '' for none"
    parser.add_argument("--only", type=_some_of(models), default=models, help=only)
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes that measure at once; more than 1 spoils seconds"
    )
    default = Path(tempfile.gettempdir()) / "lml-bench-peers.json"
    parser.add_argument("--cache", type=Path, default=default, help="delete it when a peer's settings change")
    parser.add_argument("--out", type=Path, help="a file for the report, written anew after each file")
    return parser.parse_args()


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(word: str) -> list[str]:
        names = [name for name in word.split(",") if name]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known) or 'no files'}")
        return names

    return parse


class _Cache:
    """Results by what they follow from: the file, its split, the model and its version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def get(self, file: str, seed: int, model: str) -> Result | None:
        plain = self.found.get(_key(file, seed, model))
        return None if plain is None else Result(**{**plain, "task": Task(plain["task"])})

    def put(self, result: Result) -> None:
        self.found[_key(result.file, result.seed, result.model)] = asdict(result)
        written = self.path.with_suffix(".new")
        written.write_text(json.dumps(self.found, indent=1), encoding="utf-8")
        written.replace(self.path)


def _key(file: str, seed: int, model: str) -> str:
    version = _our_version() if model == OURS else PEERS[model].version
    rows = hashlib.sha256(load_split(file, seed).test_rows.tobytes()).hexdigest()
    return f"{load_table(file).sha256[:16]} {rows[:16]} {seed} {model} {version}"


@functools.cache  # of the sources that this run imports, also when they are edited meanwhile
def _our_version() -> str:
    sources = sorted((Path(__file__).parents[1] / "workers" / "core").rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _warm() -> None:
    """Import and run each model once, on a table of nothing."""
    warnings.filterwarnings("ignore")  # scikit-learn's MLP tells that its default iterations are few
    chance = np.random.default_rng(0)
    frame = pd.DataFrame({"a": chance.normal(size=100), "b": pd.Categorical(chance.choice(["x", "y"], 100))})
    y = (frame["a"] + (frame["b"] == "x") > 0.5).to_numpy().astype(np.int64)
    split = Split(frame, y, np.arange(80), np.arange(80, 100), ("b",))
    for peer in PEERS.values():
        peer.fit_and_predict(split, Task.BINARY, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        frame.assign(y=y).to_csv(path, index=False)
        _train(path, TrainSpec(dataset="data", target="y", time_s=2), Path(folder) / "out")


def _measure(file: str, seed: int, model: str) -> Result:
    table, split = load_table(file), load_split(file, seed)
    start = time.perf_counter()
    try:
        if model == OURS:
            outputs, facts = _fit_ours(table, split, seed)
        else:
            outputs, facts = PEERS[model].fit_and_predict(split, table.task, seed), {}
        seconds, scores = time.perf_counter() - start, score(table.task, split.y[split.test_rows], outputs)
    except Exception as error:  # noqa: BLE001 - one model that fails is a result, named in the report
        seconds, scores, facts = time.perf_counter() - start, {}, {"error": f"{type(error).__name__}: {error}"}
    shown = " ".join(f"{name} {value:.4f}" for name, value in scores.items()) or facts["error"]
    sys.stderr.write(f"{file} {seed} {model}: {seconds:.1f} s  {shown}\n")
    rows = len(split.train_rows), len(split.test_rows)
    return Result(file, table.task, seed, model, *rows, scores=scores, seconds=seconds, facts=facts)


def _fit_ours(table: Table, split: Split, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """From the file to outputs for the test rows, as the run's own artifact tells them, and what the run reports."""
    with tempfile.TemporaryDirectory() as folder:
        report = _train(table.path, train_spec(table, seed), Path(folder))
        told = pd.read_csv(Path(folder) / "test_predictions.csv", dtype={"actual": str}).sort_values("row")
    if not np.array_equal(told["row"].to_numpy() - 1, split.test_rows):
        raise ValueError("the run tested other rows than the split's")
    columns = [f"probability_{name}" for name in table.classes] or ["prediction"]
    outputs = told[columns].to_numpy(dtype=np.float64)
    facts = {"model": report["model"], "timing_s": report["timing_s"]}
    return outputs if table.classes else outputs[:, 0], facts


def _train(path: Path, spec: TrainSpec, out: Path) -> dict[str, Any]:
    from workers.core.train import train

    return train(path, spec, out=out, report=lambda _event: None, should_stop=lambda: False, threads=1)


def _report(cache: _Cache, files: Sequence[str], seeds: Sequence[int]) -> str:
    """Everything as Markdown; files that no model has results for yet are left out."""
    every = [cache.get(file, seed, model) for file in files for seed in seeds for model in [OURS, *PEERS]]
    results = [result for result in every if result is not None]
    if not results:
        return "No results yet.\n"
    standings = Standings(results)
    parts = [
        f"{len(standings.files)} files, {len(standings.splits)} splits; models: {', '.join(standings.models)}.",
        *(f"Left out, without results for every split: {model}." for model in standings.incomplete),
        *(f"FAILED: {r.model} on {r.file}, split {r.seed}: {r.facts['error']}" for r in results if not r.scores),
        *(f"### {title}\n\n{_table(rows)}" for title, rows in _tables(standings)),
    ]
    return "\n\n".join(parts) + "\n"


def _tables(standings: Standings) -> Iterator[tuple[str, list[list[str]]]]:
    yield "Mean rank (1 is the best)", _ranks(standings)
    yield "Scores on the test part: mean (standard deviation) over splits", _scores(standings)
    yield "Seconds, one thread", _seconds(standings)
    if OURS not in standings.models or len(standings.models) < 2:
        return
    yield "Ours beside each peer", _beside_each(standings)
    yield "Ours beside the best peer, chosen on the other splits", _beside_best(standings)
    if "catboost" in standings.models:
        yield f"Time limit: max({LEAST_LIMIT_S:g} s, {TIMES_CATBOOST:g} x CatBoost)", _limits(standings)


def _ranks(standings: Standings) -> list[list[str]]:
    first, second = standings.mean_ranks(RANKED), standings.mean_ranks(RANKED_SECOND)
    head = ["model", "AUC, log loss, RMSE: over splits", "over files", "accuracy, MAE: over splits", "over files"]
    ordered = sorted(standings.models, key=lambda model: first[model])
    return [head, *([m, *(f"{rank:.2f}" for rank in (*first[m], *second[m]))] for m in ordered)]


def _scores(standings: Standings) -> list[list[str]]:
    rows = [["file", "score", *standings.models]]
    for file in standings.files:
        found = {m: [standings.by[s, k, m].scores for s, k in standings.splits if s == file] for m in standings.models}
        names = list(dict.fromkeys(name for scores in found.values() for one in scores for name in one))
        for name in names:
            cells = [_mean_and_sd([one[name] for one in found[m] if name in one]) for m in standings.models]
            rows.append([file, name, *cells])
    return rows


def _mean_and_sd(values: Sequence[float]) -> str:
    if not values:
        return "failed"
    mean, sd = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{mean:.0f} ({sd:.0f})" if abs(mean) >= 1000 else f"{mean:.4f} ({sd:.4f})"


def _seconds(standings: Standings) -> list[list[str]]:
    rows = [["file", *(f"{model}: median (most)" for model in standings.models)]]
    for file in [*standings.files, "all"]:
        taken = [
            [standings.by[s, seed, model].seconds for s, seed in standings.splits if file in (s, "all")]
            for model in standings.models
        ]
        rows.append([file, *(f"{statistics.median(seconds):.2f} ({max(seconds):.2f})" for seconds in taken)])
    return rows


def _beside_each(standings: Standings) -> list[list[str]]:
    """The corrected t of each file (positive: ours is better), and the test over files."""
    rows = [["peer", *standings.files, "better / worse at p < 0.05", "Wilcoxon over files, p"]]
    for peer in [model for model in standings.models if model != OURS]:
        found = standings.against(OURS, peer)
        counts = [sum(1 for one in found if one.p < 0.05 and sign * one.difference > 0) for sign in (1, -1)]
        p = f"{standings.wilcoxon_p(OURS, peer):.3f}"
        rows.append([peer, *(f"{one.corrected_t:+.1f}" for one in found), f"{counts[0]} / {counts[1]}", p])
    return rows


def _beside_best(standings: Standings) -> list[list[str]]:
    """Aims: below -2 standard errors on no file, below -1 on at most 15 % of the files."""
    found = standings.against_best(OURS)
    rows = [["file", "the best peer on the other splits", "difference", "standard errors", "corrected t", "p"]]
    for one, best in found:
        numbers = [f"{one.difference:+.4g}", f"{one.standard_errors:+.2f}", f"{one.corrected_t:+.2f}", f"{one.p:.3f}"]
        rows.append([one.file, ", ".join(dict.fromkeys(best)), *numbers])
    below = [sum(1 for one, _ in found if one.standard_errors < -limit) for limit in (1, 2)]
    rows.append(["all", f"below -1 on {below[0]} of {len(found)} files, below -2 on {below[1]}", "", "", "", ""])
    return rows


def _limits(standings: Standings) -> list[list[str]]:
    rows = [
        ["file", "ours, most s", "of them training", "limit on that split, s", "splits over their limit", "kept models"]
    ]
    for file in standings.files:
        ours = [standings.by[s, k, OURS] for s, k in standings.splits if s == file]
        theirs = [standings.by[s, k, "catboost"].seconds for s, k in standings.splits if s == file]
        limits = [max(LEAST_LIMIT_S, TIMES_CATBOOST * seconds) for seconds in theirs]
        slowest = max(range(len(ours)), key=lambda k: ours[k].seconds)
        over = sum(1 for one, limit in zip(ours, limits, strict=True) if one.seconds > limit)
        training = ours[slowest].facts.get("timing_s", {}).get("train", float("nan"))
        kept = ", ".join(dict.fromkeys(str(one.facts.get("model")) for one in ours))
        numbers = [f"{ours[slowest].seconds:.1f}", f"{training:.1f}", f"{limits[slowest]:.1f}"]
        rows.append([file, *numbers, f"{over} of {len(ours)}", kept])
    return rows


def _table(rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
