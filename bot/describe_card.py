"""What a description of a table tells people: its headline, its columns, what to type next. Pure."""

from collections.abc import Sequence
from typing import Any

from bot.grammar import quoted
from bot.tables import Table
from bot.values import separator_word
from shared.datasets.dialect import DELIMITER_NAMES
from shared.specs import DescribeSpec

_MOST_COLUMNS = 30
_REASON_CHARACTERS = 120


def headline(result: dict[str, Any]) -> str:
    """The size of the table and how its file is written, in one line."""
    size = result.get("dataset") or {}
    rows, columns = size.get("rows", 0), size.get("columns", 0)
    counted = f"{rows:,} row{'s' if rows != 1 else ''}, {columns:,} column{'s' if columns != 1 else ''}"
    return f"{counted}; {_written(result.get('dialect'))}"


def columns_tables(result: dict[str, Any]) -> tuple[Table, ...]:
    """The columns in the file's order, the first ones only where there are many; no table before they are known."""
    found = result.get("columns")
    if not found:
        return ()
    total = (result.get("dataset") or {}).get("columns", len(found))
    shown = found[:_MOST_COLUMNS]
    more = f": the first {len(shown)}, and {total - len(shown):,} more" if total > len(shown) else ""
    rows = tuple((str(one["name"]), _kind(one), _missing(one), _short(str(one["reason"]))) for one in shown)
    return (Table(caption=f"Columns{more}", header=("column", "kind", "missing", "why"), rows=rows),)


def next_words(spec: DescribeSpec, result: dict[str, Any], prefix: str) -> str:
    """The command that trains on the table as it was described."""
    target = result.get("target") if result.get("task") else None  # a target without a task is refused by training
    pairs: list[tuple[str, str]] = [("target", str(target) if target else "COLUMN")]
    if spec.task is not None:
        pairs.append(("task", spec.task.value))
    pairs += [
        (word, _names(getattr(spec, word)))
        for word in ("drop", "category", "text", "date", "number")
        if getattr(spec, word)
    ]
    if spec.header is not None:
        pairs.append(("header", "yes" if spec.header else "no"))
    if spec.sep is not None:
        pairs.append(("sep", separator_word(spec.sep)))
    if spec.encoding is not None:
        pairs.append(("encoding", spec.encoding))
    return " ".join([prefix, "train", quoted(spec.dataset), *(quoted(f"{word}={value}") for word, value in pairs)])


def _written(dialect: dict[str, Any] | None) -> str:
    if dialect is None:
        return "Parquet"
    delimiter = str(dialect.get("delimiter", ""))
    encoding = str(dialect.get("encoding", "")).removesuffix("-sig")
    shown = encoding.upper() if encoding.startswith("utf") else encoding
    return f"{DELIMITER_NAMES.get(delimiter, delimiter)}, {shown}, {_header(dialect)}"


def _header(dialect: dict[str, Any]) -> str:
    if not dialect.get("has_header"):
        return "no header"
    first = int(dialect.get("preamble") or 0) + 1
    rows = int(dialect.get("header_rows") or 1)
    return f"header in row {first}" if rows == 1 else f"header in rows {first} and {first + rows - 1}"


def _kind(column: dict[str, Any]) -> str:
    if column.get("target"):
        return f"{column['kind']}, target"
    return f"{column['kind']}{'' if column.get('used') else ', not used'}"


def _missing(column: dict[str, Any]) -> str:
    share = column.get("missing_share") or 0.0
    percent = "<1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")
    return f"{column['missing']:,} ({percent})" if column.get("missing") else "0"


def _names(columns: Sequence[str]) -> str:
    """Column names between commas, as `values.columns` reads them."""
    doubled = [column.replace('"', '""') for column in columns]
    return ",".join(
        f'"{name}"' if name != column or "," in column else column
        for name, column in zip(doubled, columns, strict=True)
    )


def _short(text: str) -> str:
    return text if len(text) <= _REASON_CHARACTERS else text[: _REASON_CHARACTERS - 1] + "…"
