"""People's text inside Markdown and YAML: whatever a column is called, it stays text.

Markdown is CommonMark with GitHub's tables; YAML is written as JSON values, which every YAML reader takes.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

_MARKS = re.compile(r"[\\`*_\[\]<>|~&$]")
_BEGINS_BLOCK = re.compile(r"^(?:[-+#=]|\d+(?=[.)]))")
_FENCES = re.compile("`+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_IN_YAML = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")


def one_line(text: str) -> str:
    """Text without line breaks and other control characters."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def escape(text: str) -> str:
    """Text that shows as it is, in a line of its own, in a list or in a cell."""
    return _BEGINS_BLOCK.sub(_unmarked, _inline(one_line(text)))


def _inline(text: str) -> str:
    """Text in the middle of a line: without marks, and without addresses that would become links."""
    plain = _MARKS.sub(r"\\\g<0>", text).replace("://", "&#58;//")
    return re.sub(r"(?i)\bwww\.", lambda met: met.group()[:3] + "&#46;", plain)


def _unmarked(met: re.Match[str]) -> str:
    """What would begin a list or a heading, as text: a digit cannot be escaped, its mark can be an entity."""
    begun = met.group()
    return f"&#{ord(begun[0])};{begun[1:]}"


def code(text: str) -> str:
    """Text as a code span; also inside of a table, whose cells end at a bar."""
    plain = one_line(text)
    if not plain:
        return "*(empty)*"
    if "|" in plain:  # in a table a bar needs a backslash, which elsewhere would show in a span
        return escape(plain)
    fence = "`" * (max((len(met) for met in _FENCES.findall(plain)), default=0) + 1)
    edge = " " if plain[0] == "`" or plain[-1] == "`" else ""
    return f"{fence}{edge}{plain}{edge}{fence}"


def sentence(text: str) -> str:
    """A sentence of the record, in which names stand between backticks; what a name holds changes nothing else."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    written: list[str] = []
    for place, piece in enumerate(pieces):
        spaced = re.sub(r"\s+", " ", _CONTROLS.sub(" ", piece))
        if place % 2:
            written.append(code(piece))
        elif place == 0:
            written.append(_BEGINS_BLOCK.sub(_unmarked, _inline(spaced.lstrip())))
        else:  # two spans need something between them
            written.append(_inline(spaced) or (" " if place + 1 < len(pieces) else ""))
    return "".join(written).strip()


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> list[str]:
    """The lines of a table; its cells are Markdown already. The first `left` columns hold words, the others numbers."""
    rule = ["---" if place < left else "---:" for place in range(len(header))]
    return ["", *(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)), ""]


def bullets(sentences: Iterable[str], *, none: str) -> list[str]:
    """The lines of a list; one sentence where there is nothing to list."""
    return [f"- {one}" for one in sentences] or [none]


def gap(what: str) -> str:
    """What no machine can know: it stays visible until a person has written it."""
    return f"> **To be written by a person:** {what}"


def front_matter(facts: dict[str, Any]) -> list[str]:
    """The YAML block at the top of a README, as Hugging Face reads it."""
    return ["---", *_yaml(facts, ""), "---", ""]


def _yaml(value: Any, indent: str) -> list[str]:
    """Lists and objects as blocks; what they hold as JSON."""
    lines: list[str] = []
    pairs = [(f"{key}:", inner) for key, inner in value.items()] if isinstance(value, dict) else None
    for lead, inner in pairs if pairs is not None else [("-", inner) for inner in value]:
        if isinstance(inner, dict | list) and inner:
            below = _yaml(inner, indent + "  ")
            if lead == "-":  # an object in a list begins on the line of its dash
                lines += [f"{indent}- {below[0].strip()}", *below[1:]]
            else:
                lines += [f"{indent}{lead}", *below]
        else:
            lines.append(f"{indent}{lead} {_scalar(inner)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, float):  # YAML 1.1 takes 1e-7 for a word
        return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value))
    if not isinstance(value, str):
        return json.dumps(value)
    plain = json.dumps(re.sub("[\ud800-\udfff]", "\ufffd", value), ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda met: f"\\U{ord(met.group()):08x}", plain)
