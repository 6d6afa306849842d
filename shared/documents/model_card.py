"""The model card of a train run: a README as Hugging Face reads it, with the sections of Mitchell et al. 2019.

M. Mitchell et al., Model Cards for Model Reporting, FAT* 2019. Made from the report alone, whatever its age; what a
machine cannot know is a visible gap.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.documents.markdown import bullets, code, escape, front_matter, gap, one_line, sentence, table

Report = Mapping[str, Any]

_TASKS = {
    "binary": ("tabular-classification", "Classification of tables into two classes"),
    "multiclass": ("tabular-classification", "Classification of tables"),
    "regression": ("tabular-regression", "Regression on tables"),
}
_FACTORS = ("category", "boolean")
_MOST_COLUMNS = 60
_MOST_CLASSES = 50


@dataclass(frozen=True)
class About:
    """What is known of a run beside its report."""

    dataset: str
    """The name of the file that it read."""
    dataset_sha256: str | None = None
    name: str | None = None
    """The name that the run was given."""


def model_card(report: Report, about: About) -> str:
    """The text of `model_card.md`."""
    title = about.name or f"{report.get('target', 'model')} from {about.dataset}"
    lines = [*front_matter(_facts(report, about, title)), f"# {escape(title)}", ""]
    for heading, body in (
        ("Model details", _details(report, about)),
        ("Intended use", _use(report)),
        ("Factors", _factors(report)),
        ("Metrics", _metrics(report)),
        ("Evaluation data", _evaluation_data(report)),
        ("Training data", _training_data(report, about)),
        ("Quantitative analyses", _analyses(report)),
        ("Ethical considerations", _ethics()),
        ("Caveats and recommendations", _caveats(report)),
    ):
        lines += [f"## {heading}", "", *body, ""]
    return _text(lines)


def _facts(report: Report, about: About, title: str) -> dict[str, Any]:
    task = str(report.get("task", ""))
    kind, name = _TASKS.get(task, ("tabular-classification", "Tables"))
    scores = _scores(report, "test")
    mean = f", mean of {_seeds(report)} seeds" if _seeds(report) else ""
    listed = [
        {"type": metric, "value": value, "name": f"{metric} on the test rows{mean}"} for metric, value in scores.items()
    ]
    dataset = {"type": re.sub(r"[^A-Za-z0-9._-]+", "-", about.dataset).strip("-.") or "dataset", "name": about.dataset}
    if about.dataset_sha256:
        dataset["revision"] = about.dataset_sha256
    result = {"task": {"type": kind, "name": name}, "dataset": {**dataset, "split": "test"}, "metrics": listed}
    tags = ["lml", "onnx", "tabular", task, *sorted(_kept(report))]
    return {
        "library_name": "onnx",
        "pipeline_tag": kind,
        "tags": list(dict.fromkeys(tag for tag in tags if tag)),
        "model-index": [{"name": one_line(title) or "model", "results": [result] if listed else []}],
    }


def _details(report: Report, about: About) -> Iterator[str]:
    plan = report.get("plan") or {}
    shares = ", ".join(f"{share:.0%} {name}" for name, share in _kept(report).items())
    versions = ", ".join(f"{escape(f'{name} {one}')}" for name, one in (plan.get("versions") or {}).items())
    yield f"- **Predicts:** {code(str(report.get('target', '')))}, {escape(str(report.get('task', '')))}"
    yield f"- **From:** {code(about.dataset)}" + (f", sha256 `{about.dataset_sha256}`" if about.dataset_sha256 else "")
    yield f"- **Model:** {shares or escape(str(report.get('model', 'not recorded')))}"
    if report.get("choice"):
        yield f"- **Why this one:** {sentence(str(report['choice']))}"
    yield f"- **Seeds:** {report.get('seed', 'not recorded')} (training), {report.get('split_seed', 0)} (split)"
    kept = report.get("kept")
    if kept:
        yield (
            f"- **One of {_seeds(report)} seeds:** this model is that of seed {kept['seed']}, the best by "
            f"{code(str(kept['by']))} on the validation rows; scores below are means over the seeds"
        )
    if versions:
        yield f"- **Trained with:** {versions}, on {escape(str(plan.get('device', 'a CPU')))}"
    yield "- **File:** `model.onnx` takes the cells of a table as they stand in its file; it needs onnxruntime only"
    yield ""
    yield gap("who answers for this model, how to reach them, the licence, where it may be cited from.")


def _use(report: Report) -> Iterator[str]:
    yield f"The model says {code(str(report.get('target', '')))} of a row from {len(_used(report))} columns:"
    rows = [
        (code(column["name"]), escape(str(column["kind"])), sentence(str(column.get("reason", ""))))
        for column in _used(report)
    ]
    yield from table(("column", "kind", "read so because"), rows[:_MOST_COLUMNS], left=3)
    yield from _more(len(rows), _MOST_COLUMNS, "columns")
    yield gap("what decisions it is meant to help with, who is meant to use it, and what it must not be used for.")


def _factors(report: Report) -> Iterator[str]:
    groups = [code(column["name"]) for column in _used(report) if column.get("kind") in _FACTORS]
    if groups:
        yield f"Columns by which rows fall into groups: {', '.join(groups[:_MOST_COLUMNS])}."
        yield ""
    yield gap("which groups of people, instruments or surroundings matter here, and which of them the table lacks.")


def _metrics(report: Report) -> Iterator[str]:
    if report.get("headline"):
        said = "Intervals are 95 % bootstrap intervals over the test rows."
        if _seeds(report):
            said = "Intervals are 95 % intervals of the mean over seeds, for the chance in seeds and in test rows."
        yield (
            f"Chosen by {code(str(report.get('chosen_by') or report['headline']))} on the validation rows; its "
            f"headline is {code(str(report['headline']))}. {said}"
        )
        if report.get("positive_class") is not None:
            yield f"Precision, recall and F1 are those of the class {code(str(report['positive_class']))}."
        yield ""
    yield gap("which errors cost how much here, and where the threshold of a decision lies.")


def _evaluation_data(report: Report) -> Iterator[str]:
    parts = (report.get("dataset") or {}).get("parts") or {}
    split = (report.get("plan") or {}).get("split") or {}
    yield f"{_count(parts.get('test'), 'row')} of the same table that no fit has seen, dealt {_dealt(split)}."
    yield ""
    yield gap("whether these rows look like those that the model will meet, and what differs.")


def _training_data(report: Report, about: About) -> Iterator[str]:
    parts = (report.get("dataset") or {}).get("parts") or {}
    folds = ((report.get("plan") or {}).get("split") or {}).get("folds") or 1
    if folds > 1 and None not in (parts.get("train"), parts.get("validation")):
        rows = _count(parts["train"] + parts["validation"], "row")
        what = f"{rows} of {code(about.dataset)} to learn from and to choose by, in {folds} folds"
    else:
        what = f"{_count(parts.get('train'), 'row')} of {code(about.dataset)} to learn from and "
        what += f"{_count(parts.get('validation'), 'row')} to choose by"
    yield f"{what}. `data_card.md` says what the table holds."


def _analyses(report: Report) -> Iterator[str]:
    intervals = (report.get("intervals") or {}).get("test") or {}
    test, baseline = _scores(report, "test"), _scores(report, "baseline")
    sds = (report.get("sd") or {}).get("test") or {}
    rows = [
        (
            code(name),
            number(value),
            *((number(sds.get(name)),) if sds else ()),
            interval(intervals.get(name)),
            number(baseline.get(name)),
        )
        for name, value in test.items()
    ]
    over = f", means over {_seeds(report)} seeds" if sds else ""
    yield f"On the test rows, beside a model without features{over}:"
    yield from table(("metric", "test", *(("sd",) if sds else ()), "95 % interval", "baseline"), rows)
    if report.get("kept"):
        yield f"What follows is of the model of seed {report['kept']['seed']}."
        yield ""
    if report.get("per_class"):
        yield "By class:"
        yield from records_table(report["per_class"], first="class", most=_MOST_CLASSES)
        yield from _more(len(report["per_class"]), _MOST_CLASSES, "classes")
    calibration = report.get("calibration") or {}
    if calibration.get("ece") is not None:
        ece, brier = number(calibration["ece"]), number(calibration.get("brier"))
        yield f"Calibration: expected calibration error {ece}, Brier score {brier}."
        yield ""
    residuals = report.get("residuals") or {}
    if residuals.get("bias") is not None:
        yield (
            f"Errors: {number(residuals['bias'])} on average, 95 % interval {interval(residuals['bias_interval'])}; "
            f"{residuals['within_10_percent']:.0%} of the predictions are within a tenth of the value."
        )
        yield ""
    if report.get("slices"):
        yield "By slice:"
        yield from records_table(report["slices"], most=_MOST_CLASSES)
    else:
        yield gap("how the figures differ between the groups above; `evaluate` on the rows of one group says so.")
    if report.get("verdict"):
        yield ""
        yield sentence(str(report["verdict"]))


def _ethics() -> Iterator[str]:
    yield gap("whose lives the predictions touch, what may go wrong for them, and what was done about it.")


def _caveats(report: Report) -> Iterator[str]:
    yield from bullets(map(sentence, report.get("warnings") or ()), none="The run warned of nothing.")
    yield ""
    yield gap("what else a user has to know, and when the model has to be trained anew.")


def records_table(records: Sequence[Mapping[str, Any]], *, first: str | None = None, most: int) -> list[str]:
    """Plain objects as a table, a column for each key whose values are words or numbers."""
    keys = list(dict.fromkeys(key for one in records for key in one if not isinstance(one[key], dict | list)))
    if first in keys:
        keys.sort(key=lambda key: key != first)
    rows = [[_cell(one.get(key), as_code=key == first) for key in keys] for one in records[:most]]
    return table([escape(key.replace("_", " ")) for key in keys], rows)


def number(value: Any) -> str:
    """A figure as people read it; an empty cell where there is none."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def interval(ends: Sequence[float] | None) -> str:
    """From where to where; an empty cell where that is not known."""
    return f"{number(ends[0])} to {number(ends[1])}" if ends and None not in ends else ""


def _cell(value: Any, *, as_code: bool) -> str:
    if as_code:
        return code(str(value))
    return escape(value) if isinstance(value, str) else number(value)


def _dealt(split: Mapping[str, Any]) -> str:
    match split.get("kind"):
        case "group":
            return f"so that no group of {code(str(split.get('column')))} stands on two sides"
        case "time":
            return f"by time: the latest by {code(str(split.get('column')))}"
    return f"at random, by the content of each row and the split seed {split.get('seed', 0)}"


def _scores(report: Report, part: str) -> dict[str, float]:
    met = (report.get("metrics") or {}).get(part) or {}
    return {name: value for name, value in met.items() if value is not None}


def _seeds(report: Report) -> int:
    """Of how many seeds the scores are the means; 0 where there is one model only."""
    return sum(one.get("state") == "succeeded" for one in report.get("seeds") or ())


def _kept(report: Report) -> dict[str, float]:
    """The models that were kept and their shares."""
    return {name: share for name, share in ((report.get("plan") or {}).get("weights") or {}).items() if share}


def _used(report: Report) -> list[Mapping[str, Any]]:
    return [column for column in report.get("columns") or () if column.get("used")]


def _count(count: int | None, what: str) -> str:
    return f"An unknown number of {what}s" if count is None else f"{count:,} {what}{'' if count == 1 else 's'}"


def _more(total: int, most: int, what: str) -> list[str]:
    return [f"And {total - most:,} {what} more; `report.json` has all of them.", ""] if total > most else []


def _text(lines: Sequence[str]) -> str:
    """One text without doubled blank lines."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
