"""The words that go with an exported run: what its files are, and a program that predicts with onnxruntime only."""

from collections.abc import Sequence
from fnmatch import fnmatch
from textwrap import dedent

from shared.documents.markdown import one_line
from shared.log.runs import Run

PREDICT_EXAMPLE = '''\
"""Predicts the rows of a CSV file with model.onnx: python predict.py NEW.csv > predictions.csv

Needs onnxruntime (and NumPy, which comes with it), nothing of LML.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

here = Path(__file__).parent
session = onnxruntime.InferenceSession(here / "model.onnx")
facts = session.get_modelmeta().custom_metadata_map
column_of = json.loads(facts["columns"])  # the column of the table for each input of the model
dialect = json.loads((here / "report.json").read_text(encoding="utf-8"))["dialect"] or {}
encoding = dialect.get("encoding", "utf-8")
with open(sys.argv[1], newline="", encoding="utf-8-sig" if encoding.startswith("utf-8") else encoding) as file:
    names = None if dialect.get("has_header", True) else dialect["columns"]
    rows = list(csv.DictReader(file, names, delimiter=dialect.get("delimiter", ",")))
feed = {}
for wanted in session.get_inputs():
    cells = [row[column_of[wanted.name]] or "" for row in rows]
    if wanted.type == "tensor(string)":
        feed[wanted.name] = np.array(cells, dtype=object).reshape(-1, 1)
    else:
        exact = np.float64 if wanted.type == "tensor(double)" else np.float32
        feed[wanted.name] = np.array([float(cell or "nan") for cell in cells], dtype=exact).reshape(-1, 1)
answer = dict(zip([output.name for output in session.get_outputs()], session.run(None, feed)))
out = csv.writer(sys.stdout, lineterminator="\\n")
if "label" in answer:
    out.writerow(["prediction", *(f"probability_{name}" for name in json.loads(facts["classes"]))])
    out.writerows([label, *shares] for label, shares in zip(answer["label"], answer["probabilities"]))
else:
    out.writerow(["prediction"])
    out.writerows([value] for value in answer["prediction"].ravel())
'''

_FILES = (
    ("spec.json", "what was asked, with every default"),
    ("run.json", "who asked it, in which words, when it waited, ran and ended, on which bytes"),
    ("report.json", "what came of it: every decision with its reason, the plan, the figures"),
    ("metrics.csv", "the figures by part"),
    ("seeds.csv", "what each of its seeds reached; the files are those of the seed that report.json names as kept"),
    ("history.csv", "the figures while it trained"),
    ("events.jsonl", "what happened to it, in order"),
    ("model_card.md", "what the model is, and what a person has still to say of it"),
    ("data_card.md", "what the table is, and what a person has still to say of it"),
    ("model.onnx", "the model; it takes the cells of a table as they stand in its file"),
    ("predict.py", "how to use it: an example that needs onnxruntime only"),
    ("weights.safetensors", "everything that was fitted, for whoever goes on from it"),
    ("test_predictions.csv", "what the model says of each test row, beside what is so"),
    ("predictions.csv", "the predictions"),
    ("rows.parquet", "which row was in which part"),
    ("profile.json", "how its columns are spread, to tell later data from it"),
    ("environment.json", "where it was done: code, packages, machine"),
    ("requirements.txt", "the packages it was done with, for `pip install -r`"),
    ("*.png", "plots"),
)


def readme(run: Run, names: Sequence[str], *, is_model: bool) -> str:
    """The text of README.txt."""
    about = one_line(f"{run.kind} {run.dataset_name or ''}")
    lines = [f"Run {run.id}: {about}", "", f"Asked as: {one_line(run.words)}"]
    lines += [f"Ended as: {run.state.value}", "", "Files", ""]
    width = max(map(len, names), default=0)
    lines += [f"  {one_line(name):<{width}}  {_said_of(name)}".rstrip() for name in names]
    lines += [f"  {'SHA256SUMS':<{width}}  the hash of each; `sha256sum -c SHA256SUMS` checks them", ""]
    if is_model:
        lines += dedent("""\
            Predict without LML

              pip install onnxruntime
              python predict.py NEW.csv > predictions.csv

            NEW.csv has one header line and the columns that the model reads, named as in its training file; others are
            left alone. Empty cells are missing ones. The inputs of model.onnx are described in its metadata.
            """).splitlines()
    return "\n".join(lines) + "\n"


def _said_of(name: str) -> str:
    return next((words for form, words in _FILES if fnmatch(name, form)), "")
