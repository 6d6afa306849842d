"""Templates into HTML. Everything that is not ours is escaped, and what could turn text around is left out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from bot.pages.plain import plain
from bot.tables import Table, duration_text, number_text, size_text

_NUMBER = re.compile(r"^\s*[-+–]?[\d,.]+(e[-+]?\d+)?\s*(%|s|min|h|[kMGT]?B)?\s*$")


@dataclass(frozen=True)
class Shown:
    """A template and what stands in it."""

    template: str
    values: dict[str, Any]
    status: int = 200


class Html:
    """The templates, with the addresses of this site."""

    def __init__(self, root: str, static: Mapping[str, str]) -> None:
        self._environment = Environment(
            loader=PackageLoader("bot.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_plain,
        )
        self._environment.globals["at"] = lambda path: root + path
        self._environment.globals["static"] = lambda name: root + static[name]
        self._environment.filters |= {
            "size": size_text,
            "duration": duration_text,
            "number": number_text,
            "quoted": lambda text: quote(str(text), safe=""),
            "moment": lambda at: at.strftime("%Y-%m-%d %H:%M UTC"),
            "number_columns": _number_columns,
        }

    def page(self, shown: Shown) -> str:
        """The whole document."""
        return self._environment.get_template(shown.template).render(shown.values)


def _number_columns(table: Table) -> set[int]:
    """The columns that hold numbers; a dash stands for a missing one."""
    cells = {index: {row[index] for row in table.rows} - {"–", ""} for index in range(len(table.header))}
    return {index for index, texts in cells.items() if texts and all(_NUMBER.match(text) for text in texts)}


def _plain(value: Any) -> Any:
    """What stands in a document; markup of ours is left as it is."""
    return plain(value) if type(value) is str else value
