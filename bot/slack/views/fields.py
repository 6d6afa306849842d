"""The fields of forms: what Slack draws, what stands in them when a form is sent, and errors at them. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from bot.slack import blocks as kit
from bot.slack.blocks import Block, Element
from bot.slack.views import ids
from shared.errors import refused

View = dict[str, Any]

MOST_OPTIONS = 100
VALUE_CHARACTERS = 150
"""Of an option; a name that is longer cannot be chosen, it has to be typed."""
NAME_CHARACTERS, TYPED_CHARACTERS = 255, 3_000
ERROR_CHARACTERS = 300
TITLE_CHARACTERS = 24


@dataclass(frozen=True)
class Place:
    """Where a form was opened and what it is about; travels with the form. State, not proof: it is checked again."""

    channel: str = ""
    run: int | None = None
    file: str = ""
    """A file in Slack, by its id."""
    name: str = ""
    """How that file is called."""

    def metadata(self) -> str:
        """What travels."""
        return json.dumps({key: value for key, value in asdict(self).items() if value})

    @classmethod
    def of(cls, view: Mapping[str, Any]) -> "Place":
        """The counterpart of `metadata`; what is not understood is left out."""
        told = told_by(view)
        texts = {key: str(told[key]) for key in ("channel", "file", "name") if isinstance(told.get(key), str)}
        run = told.get("run")
        return cls(**texts, run=run if isinstance(run, int) and not isinstance(run, bool) else None)


def told_by(view: Mapping[str, Any]) -> dict[str, Any]:
    """What travels with a view; nothing where that is not understood."""
    try:
        told = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def modal(callback_id: str, title: str, blocks: Sequence[Block], *, place: Place, submit: str = "") -> View:
    """A form; without `submit` there is nothing to send."""
    view: View = {
        "type": "modal",
        "callback_id": callback_id,
        "title": kit.label(title, characters=TITLE_CHARACTERS),
        "close": kit.label("Close" if not submit else "Cancel", characters=TITLE_CHARACTERS),
        "private_metadata": place.metadata(),
        "blocks": list(blocks),
    }
    return {**view, "submit": kit.label(submit, characters=TITLE_CHARACTERS)} if submit else view


def loading(callback_id: str, title: str, *, place: Place, what: str = "One moment…") -> View:
    """What stands there until the form's data are there; opened at once, for Slack waits 3 s only."""
    return modal(callback_id, title, [kit.section(f"⏳ {what}")], place=place)


def notice(callback_id: str, title: str, text: str, *, place: Place) -> View:
    """A form that cannot be filled in, and why."""
    return modal(callback_id, title, [kit.section(text)], place=place)


def field(  # noqa: PLR0913 - what Slack draws of a field
    name: str,
    label: str,
    element: Element,
    *,
    hint: str = "",
    optional: bool = True,
    tells: bool = False,
    of: str = "",
) -> Block:
    """A labelled field. With `tells`, each choice is reported at once; `of` is what its content follows from."""
    block: Block = {
        "type": "input",
        "block_id": f"{name}:{sha256(of.encode()).hexdigest()[:8]}" if of else name,
        "label": kit.label(label, characters=200),
        "element": {**element, "action_id": name},
        "optional": optional,
    }
    block |= {"hint": kit.label(hint, characters=300)} if hint else {}
    return {**block, "dispatch_action": True} if tells else block


def typed(initial: str = "", *, placeholder: str = "", characters: int = NAME_CHARACTERS) -> Element:
    """A line to type in."""
    more: Element = {"placeholder": kit.label(placeholder, characters=150)} if placeholder else {}
    initial = kit.cut(initial.replace("\n", " "), characters)
    more |= {"initial_value": initial} if initial.strip() else {}
    return {"type": "plain_text_input", "max_length": characters, **more}


def select(options: Sequence[Element], *, initial: str = "", placeholder: str = "Choose") -> Element:
    """One of some options, at most `MOST_OPTIONS`, and at least one."""
    chosen = next((one for one in options if one["value"] == initial), None)
    more: Element = {"initial_option": chosen} if chosen else {}
    shown = list(options[:MOST_OPTIONS])
    if chosen is not None and chosen not in shown:
        shown[-1] = chosen
    return {
        "type": "static_select",
        "options": shown,
        "placeholder": kit.label(placeholder, characters=150),
        **more,
    }


def searched(*, initial: str = "", placeholder: str = "Type to search") -> Element:
    """One of more options than Slack lists; they are asked for while somebody types."""
    more: Element = {"initial_option": option(initial)} if fits(initial) else {}
    shown = kit.label(placeholder, characters=150)
    return {"type": "external_select", "min_query_length": 0, "placeholder": shown, **more}


def found(names: Sequence[str], query: str) -> dict[str, Any]:
    """The answer to what somebody types into such a field (a `block_suggestion`)."""
    word = query.strip().lower()
    near = [name for name in names if word in name.lower() and fits(name)]
    return {"options": [option(name) for name in near[:MOST_OPTIONS]]}


def option(value: str, text: str = "", *, more: str = "") -> Element:
    """One thing to choose; `more` is said below it in grey."""
    below: Element = {"description": kit.label(more)} if more else {}
    return {"text": kit.label(text or value), "value": value, **below}


def fits(value: str) -> bool:
    """Whether a value can stand for an option, unchanged."""
    return 0 < len(value) <= VALUE_CHARACTERS and bool(value.strip())


def dataset_fields(
    datasets: Sequence[str], *, initial: str = "", tells: bool = False, label: str = "Dataset"
) -> list[Block]:
    """A dataset by its name, or a file to upload."""
    known = [name for name in dict.fromkeys(datasets) if fits(name)]
    if initial and fits(initial) and initial not in known:
        known = [initial, *known]
    chosen_from = bool(known) and (not initial or fits(initial))
    if not chosen_from:
        what = "The name of a file of this channel, or of a dataset"
        element = typed(initial, placeholder=what, characters=max(NAME_CHARACTERS, len(initial)))
    elif len(known) > MOST_OPTIONS:
        element = searched(initial=initial)
    else:
        element = select([option(name) for name in known], initial=initial, placeholder="Choose a dataset")
    # Without `filetypes`: that is a convenience only, and Slack does not say which ones it knows.
    upload = {"type": "file_input", "max_files": 1}
    return [
        field(ids.DATASET, label, element, tells=tells and chosen_from),
        field(ids.FILE, "Or a file of yours", upload, hint="Up to 10 MB. It counts before the dataset above."),
    ]


def needed(dataset: str) -> str:
    """The dataset of a form; raises `RefusedWords` when it has none."""
    if not dataset:
        raise refused("dataset_not_chosen", "A dataset is needed; none was chosen.", "Choose one, or upload a file.")
    return dataset


def values_of(view: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a form, by field: a text, a list of chosen values, or uploaded files as Slack tells of them."""
    found_values: dict[str, Any] = {}
    for fields in ((view.get("state") or {}).get("values") or {}).values():
        for name, element in fields.items():
            if name in ids.FIELDS:
                found_values[name] = _value(element)
    return found_values


def uploaded(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """The id and the name of the file that was uploaded; None when there is none."""
    files = values.get(ids.FILE) or []
    return (str(files[0].get("id", "")), str(files[0].get("name", ""))) if files else None


def errors(view: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, Any]:
    """The answer that shows errors at fields; one at a field that the form does not have stands at its first field."""
    at = {name: block_id for block_id, name in _blocks(view)}
    first = next(iter(at.values()), "")
    shown: dict[str, str] = {}
    for name, text in told.items():
        block_id = at.get(name, first)
        shown[block_id] = kit.cut(f"{shown[block_id]} {text}" if block_id in shown else text, ERROR_CHARACTERS)
    return {"response_action": "errors", "errors": shown}


def _blocks(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    inputs = [block for block in view.get("blocks") or [] if block.get("type") == "input"]
    return [(str(block.get("block_id", "")), str(block["element"].get("action_id", ""))) for block in inputs]


def _value(element: Mapping[str, Any]) -> Any:
    if "selected_options" in element:
        return [str(one["value"]) for one in element["selected_options"] or []]
    if "selected_option" in element:
        return str((element["selected_option"] or {}).get("value", ""))
    if "files" in element:
        return element["files"] or []
    return str(element.get("value") or "").strip()
