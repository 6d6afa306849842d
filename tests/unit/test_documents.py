"""Model cards and data cards: made from the record, readable by their readers, silent on what no machine knows."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.documents.data_card import data_card
from shared.documents.markdown import code, escape, front_matter, one_line, sentence
from shared.documents.model_card import About, model_card

HOSTILE = [
    "plain",
    "a|b",
    "`x`",
    "``",
    "[click](https://evil.example)",
    "<script>alert(1)</script>",
    '"quoted": yes',
    "--- \n- x: y",
    "# heading",
    "1. one",
    "two\nlines | of\r\ncells",
    "back\\slash\\",
    "https://evil.example www.evil.example",
    "&lt;b&gt;",
    "\x00\x07\x85\u2028\ufeff",
    "\ud800",
    "naïve 名前 🦀",
    "",
    "   ",
    "- [x] done",
    "null",
    "*bold* _it_ ~~no~~ $x$",
]
SENSITIVE_WORDS = ("sex", "age", "religion")


def report_of(names: list[str], target: str = "churned", **more: Any) -> dict[str, Any]:
    """A report as a train run leaves it, with columns of these names."""
    columns = [
        {"name": name, "kind": "category", "reason": f"like `{name}`", "used": True, "missing": k, "others": 0}
        for k, name in enumerate(names)
    ]
    columns.append({"name": target, "kind": "target", "reason": "what is predicted", "used": False})
    return {
        "task": "binary",
        "target": target,
        "classes": ["no", "yes"],
        "baseline_guess": [0.6, 0.4],
        "dataset": {"rows": 100, "columns": len(columns), "parts": {"train": 60, "validation": 20, "test": 20}},
        "columns": columns,
        "dialect": {"encoding": "utf-8", "delimiter": ",", "has_header": True},
        "headline": "roc_auc",
        "metrics": {
            "test": {"accuracy": 0.75, "roc_auc": 0.8, "log_loss": None},
            "baseline": {"accuracy": 0.6, "roc_auc": 0.5},
        },
        "intervals": {"test": {"accuracy": [0.7, 0.8]}},
        "per_class": [{"class": "no", "support": 12, "f1": 0.7}, {"class": "yes", "support": 8, "f1": 0.6}],
        "positive_class": "yes",
        "plan": {"weights": {"mlp": 1.0}, "versions": {"torch": "2.13.0"}, "split": {"kind": "random", "seed": 0}},
        "warnings": [f"Not used: `{name}`, id." for name in names],
        "findings": [],
        "repairs": [],
        "verdict": "Healthy.",
        "seed": 0,
        "split_seed": 0,
        **more,
    }


def parsed(text: str) -> tuple[dict[str, Any], list[Token]]:
    """A README as its readers see it: the front matter and the Markdown below."""
    _, matter, body = text.split("---\n", 2)
    facts: dict[str, Any] = yaml.safe_load(matter)
    return facts, MarkdownIt("commonmark").enable("table").parse(body)


def shown(tokens: list[Token]) -> str:
    """What a reader sees of inline tokens."""
    return "".join(token.content for token in tokens if token.type in ("text", "code_inline"))


def cells(tokens: list[Token]) -> list[str]:
    """The cells of all tables."""
    return [shown(tokens[k + 1].children or []) for k, token in enumerate(tokens) if token.type == "td_open"]


def kinds(tokens: list[Token]) -> set[str]:
    """What the text is made of."""
    return {token.type for token in tokens} | {child.type for token in tokens for child in token.children or []}


def test_front_matter_is_what_hugging_face_reads() -> None:
    """The block parses, has no licence, and its model-index names task, dataset and every metric of the test part."""
    facts, _ = parsed(model_card(report_of(["age"]), About("churn.csv", "d" * 64, name="March")))
    assert "license" not in facts
    assert facts["pipeline_tag"] == "tabular-classification"
    assert {"onnx", "tabular", "binary", "mlp"} <= set(facts["tags"])
    (model,) = facts["model-index"]
    (result,) = model["results"]
    assert model["name"] == "March"
    assert result["task"]["type"] == "tabular-classification"
    assert result["dataset"] == {"type": "churn.csv", "name": "churn.csv", "revision": "d" * 64, "split": "test"}
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [("accuracy", 0.75), ("roc_auc", 0.8)]


def test_a_model_card_has_the_sections_of_its_paper_and_its_figures() -> None:
    """All nine sections stand in their order; the figures have their intervals; each class has a row."""
    text = model_card(report_of(["age"]), About("churn.csv"))
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ]
    assert "| `accuracy` | 0.75 | 0.7 to 0.8 | 0.6 |" in text
    assert "| `yes` | 8 | 0.6 |" in text
    sliced = model_card(report_of(["age"], slices=[{"column": "region", "value": "n|o", "rows": 5}]), About("c.csv"))
    assert r"| region | n\|o | 5 |" in sliced


def test_a_model_card_of_several_seeds_says_whose_model_it_is() -> None:
    """Its scores are means with their deviations, in the front matter too; what is of one model says of which seed."""
    seeds = [{"seed": seed, "run": 40 + seed, "state": "succeeded"} for seed in (3, 4)]
    kept = {"seed": 4, "run": 44, "by": "log_loss"}
    report = report_of(["age"], seeds=seeds, kept=kept, sd={"test": {"accuracy": 0.0125}})
    text = model_card(report, About("churn.csv"))
    assert "One of 2 seeds:** this model is that of seed 4, the best by `log_loss` on the validation rows" in text
    assert "| `accuracy` | 0.75 | 0.0125 | 0.7 to 0.8 | 0.6 |" in text
    assert "What follows is of the model of seed 4." in text
    assert 'name: "accuracy on the test rows, mean of 2 seeds"' in text
    assert "95 % intervals of the mean over seeds" in text


def test_what_no_machine_knows_is_a_visible_gap() -> None:
    """Use, ethics, owners and the meaning of data are left to a person, visibly; nothing is said of them."""
    report = report_of(list(SENSITIVE_WORDS))
    model, data = model_card(report, About("c.csv")), data_card(report, About("c.csv"))
    assert model.count("**To be written by a person:**") == 8
    assert data.count("**To be written by a person:**") == 6
    asked = data.split("## Sensitive columns")[1]
    assert [line for line in asked.splitlines() if line.startswith("- [")] == [
        f"- [ ] `{name}`" for name in (*SENSITIVE_WORDS, "churned")
    ]


def test_a_data_card_counts_what_is_missing_and_how_classes_are_spread() -> None:
    """Missing cells by column, the largest first; classes with their shares; copies only where they were found."""
    finding = {"code": "copies", "sentence": "4 of 100 rows equal another row.", "column": None, "facts": {}}
    text = data_card(report_of(["a", "b", "c"], findings=[finding]), About("c.csv", "d" * 64))
    assert text.index("| `c` | 2 | 2.0% |") < text.index("| `b` | 1 | 1.0% |")
    assert "| `no` | 60.0% | 12 |" in text
    assert "- 4 of 100 rows equal another row." in text
    assert "d" * 64 in text


def test_an_old_or_thin_report_still_gives_cards() -> None:
    """A report that lacks what came later makes cards with less in them, not an error."""
    assert "## Quantitative analyses" in model_card({}, About("c.csv"))
    assert "## Composition" in data_card({}, About("c.csv"))
    facts, _ = parsed(model_card({}, About("", name="\x00")))
    assert facts["model-index"] == [{"name": "model", "results": []}]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_change_nothing(name: str) -> None:
    """Whatever a column, a target, a class or a file is called, the cards keep their shape and show the name."""
    report = report_of([name, "other"], target=name)
    report["per_class"][0]["class"] = name
    about = About(name, name=name)
    facts, tokens = parsed(model_card(report, about))
    assert len(facts["model-index"][0]["results"][0]["metrics"]) == 2
    plain, usual = report_of(["plain", "other"], target="plain"), About("plain", name="plain")
    _, expected = parsed(model_card(plain, usual))
    assert [token.type for token in tokens] == [token.type for token in expected]
    assert not {"link_open", "image", "html_inline", "html_block"} & kinds(tokens)
    wanted = one_line(name) or "(empty)"
    assert wanted in cells(tokens)
    data = MarkdownIt("commonmark").enable("table").parse(data_card(report, about))
    assert [token.type for token in data] == [
        token.type for token in MarkdownIt("commonmark").enable("table").parse(data_card(plain, usual))
    ]
    assert wanted in cells(data)


@given(text=st.text(), before=st.text(), after=st.text())
@settings(max_examples=100, deadline=None)
def test_any_text_shows_as_it_is(text: str, before: str, after: str) -> None:
    """Escaped text, code and sentences are one paragraph in a cell, without links, and read as they were written."""
    for written in (escape(text), code(text), sentence(f"{before} `{text}` {after}")):
        tokens = MarkdownIt("commonmark").enable("table").parse(f"| h |\n| --- |\n| {written} |\n\nend")
        assert len(cells(tokens)) == 1
        assert not {"link_open", "image", "html_inline", "html_block", "em_open", "strong_open"} & (
            kinds(tokens) - ({"em_open"} if written == "*(empty)*" or "*(empty)*" in written else set())
        )
    assert cells(MarkdownIt("commonmark").enable("table").parse(f"| h |\n| --- |\n| {escape(text)} |")) == [
        one_line(text)
    ]


@given(st.recursive(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.lists))
@settings(max_examples=100, deadline=None)
def test_front_matter_reads_back(value: Any) -> None:
    """Any text, also one with control characters, is read back by a YAML reader as it was written."""
    lines = front_matter({"a": value, "b": [{"c": value, "d": 1}]})
    assert yaml.safe_load("\n".join(lines[1:-2])) == {"a": value, "b": [{"c": value, "d": 1}]}
