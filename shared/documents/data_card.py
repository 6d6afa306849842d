"""The data card of a train run: where its table came from, what it holds, and what a person has to say of it.

After T. Gebru et al., Datasheets for Datasets, CACM 64(12), 2021. Made from the report alone. Which columns are
sensitive is asked, never guessed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from shared.documents.markdown import bullets, code, escape, gap, sentence, table
from shared.documents.model_card import About, Report, number

_MOST_COLUMNS = 200
_MOST_CLASSES = 50


def data_card(report: Report, about: About) -> str:
    """The text of `data_card.md`."""
    lines = [f"# Data card of {escape(about.dataset)}", ""]
    for heading, body in (
        ("Origin", _origin(report, about)),
        ("Composition", _composition(report)),
        ("Columns", _columns(report)),
        ("Missing cells", _missing(report)),
        ("Equal rows", _copies(report)),
        ("Target", _target(report)),
        ("What was found", _found(report)),
        ("Sensitive columns", _sensitive(report)),
        (
            "Uses, distribution and upkeep",
            iter([gap("what the table may be used for, who may have it, who keeps it.")]),
        ),
    ):
        lines += [f"## {heading}", "", *body, ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _origin(report: Report, about: About) -> Iterator[str]:
    yield f"- **File:** {code(about.dataset)}"
    if about.dataset_sha256:
        yield f"- **sha256 of its bytes:** `{about.dataset_sha256}`"
    content = report.get("content_sha256") or (report.get("dataset") or {}).get("content_sha256")
    if content:
        yield f"- **sha256 of its content:** {code(str(content))}"
    dialect = report.get("dialect")
    if dialect:
        yield (
            f"- **Written as:** {escape(str(dialect.get('encoding')))}, cells between {code(_mark(dialect))}, "
            f"{'with' if dialect.get('has_header') else 'without'} a header"
        )
    elif "dialect" in report:
        yield "- **Written as:** Parquet"
    yield ""
    yield gap("who collected the rows, when, how, from whom and why; whether those people agreed.")


def _mark(dialect: Mapping[str, Any]) -> str:
    return "tab" if dialect.get("delimiter") == "\t" else str(dialect.get("delimiter"))


def _composition(report: Report) -> Iterator[str]:
    size = report.get("dataset") or {}
    parts = size.get("parts") or {}
    kinds = Counter(str(column.get("kind")) for column in report.get("columns") or ())
    yield f"{number(size.get('rows', 0))} rows, {number(size.get('columns', 0))} columns."
    yield from table(("part", "rows"), [(escape(name.replace("_", " ")), number(rows)) for name, rows in parts.items()])
    yield from table(("kind of column", "columns"), [(escape(kind), number(count)) for kind, count in kinds.items()])
    yield gap("what a row stands for, and whether the rows are all there are or a sample, and of what.")


def _columns(report: Report) -> Iterator[str]:
    columns = report.get("columns") or []
    rows = [
        (
            code(str(column.get("name"))),
            escape(str(column.get("kind"))),
            "yes" if column.get("used") else "no",
            sentence(str(column.get("reason", ""))),
        )
        for column in columns[:_MOST_COLUMNS]
    ]
    yield from table(("column", "kind", "used", "read so because"), rows, left=4)
    yield from _more(len(columns))


def _missing(report: Report) -> Iterator[str]:
    total = (report.get("dataset") or {}).get("rows") or 0
    counted = [column for column in report.get("columns") or () if column.get("missing") is not None]
    holes = sorted((column for column in counted if column["missing"]), key=lambda column: -column["missing"])
    if not holes:
        yield "No cell of a feature column is missing." if counted else "The record does not say."
        return
    rows = [(code(str(c["name"])), number(c["missing"]), _share(c["missing"], total)) for c in holes[:_MOST_COLUMNS]]
    yield from table(("column", "missing cells", "share"), rows)
    yield from _more(len(holes))
    yield f"{number(len(counted) - len(holes))} other columns miss none."
    yield ""
    yield gap("why these cells are missing.")


def _copies(report: Report) -> Iterator[str]:
    told = [one for one in report.get("findings") or () if one.get("code") in ("copies", "contradictions")]
    none = "Copies are told of where they are more than 1 % of the rows; none were."
    yield from bullets((sentence(str(one["sentence"])) for one in told), none=none)


def _target(report: Report) -> Iterator[str]:
    yield f"{code(str(report.get('target', '')))}, {escape(str(report.get('task', '')))}."
    yield ""
    classes, shares = report.get("classes") or [], report.get("baseline_guess") or []
    support = {str(one.get("class")): one.get("support") for one in report.get("per_class") or ()}
    if classes and len(classes) == len(shares):
        ranked = sorted(zip(classes, shares, strict=True), key=lambda pair: -pair[1])
        rows = [(code(name), f"{share:.1%}", number(support.get(name))) for name, share in ranked[:_MOST_CLASSES]]
        yield from table(("class", "share of the rows that teach", "test rows"), rows)
        if len(classes) > _MOST_CLASSES:
            yield f"And {len(classes) - _MOST_CLASSES:,} classes more; `report.json` has all of them."
            yield ""
    elif shares:
        yield f"The constant that suits the rows that teach best is {number(shares[0])}."
        yield ""
    yield gap("what the target means, who decided it, and how often that is wrong.")


def _found(report: Report) -> Iterator[str]:
    said = [str(one["sentence"]) for one in (*(report.get("repairs") or ()), *(report.get("findings") or ()))]
    said += [str(one) for one in report.get("warnings") or ()]
    yield from bullets(map(sentence, dict.fromkeys(said)), none="Nothing that a person should know first.")


def _sensitive(report: Report) -> Iterator[str]:
    names = [code(str(column.get("name"))) for column in report.get("columns") or ()]
    yield gap(
        "which columns tell of people (health, origin, belief, sex, age, money, place), or stand in for such a thing, "
        "and whether the model may use them. Nothing was guessed; tick those that do:"
    )
    yield ""
    yield from (f"- [ ] {name}" for name in names[:_MOST_COLUMNS])
    yield from _more(len(names))


def _share(part: int, total: int) -> str:
    return f"{part / total:.1%}" if total else ""


def _more(total: int) -> list[str]:
    return ["", f"And {total - _MOST_COLUMNS:,} columns more.", ""] if total > _MOST_COLUMNS else []
