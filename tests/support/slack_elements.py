"""Checks the elements of blocks as Slack does: buttons, selects, inputs, and what they hold."""

from collections.abc import Callable

from support.slack_checks import Json, invalid, listed, only, sized, text_object
from support.slack_limits import fits


def element_fits(element: Json, where: str, allowed: set[str]) -> None:
    kind = str(element.get("type"))
    known = _ELEMENTS.get(kind)
    if known is None or kind not in allowed:
        raise invalid(f"{where}/type", f"no {kind} here")
    fields, check = known
    only(element, {"type", *fields}, where)
    sized(element, "action_id", "element.action_id", where)
    if "confirm" in element:
        _confirm(element["confirm"], f"{where}/confirm")
    if "placeholder" in element:
        text_object(element["placeholder"], "select.placeholder", f"{where}/placeholder", plain=True)
    check(element, where)


def _button(element: Json, where: str) -> None:
    text_object(element.get("text"), "button.text", f"{where}/text", plain=True)
    for name in ("value", "url", "accessibility_label"):
        sized(element, name, f"button.{name}", where)
    if element.get("style", "primary") not in ("primary", "danger"):
        raise invalid(f"{where}/style", "primary or danger")


def _select(element: Json, where: str) -> None:
    if ("options" in element) == ("option_groups" in element):
        raise invalid(where, "options or option_groups, one of them")
    if "options" in element:
        options = _options(element, "select.options", where)
    else:
        options = []
        for group in listed(element, "option_groups", "select.option_groups", where):
            only(group, {"label", "options"}, f"{where}/option_groups")
            text_object(group.get("label"), "option_group.label", f"{where}/option_groups/label", plain=True)
            options += _options(group, "select.options", f"{where}/option_groups")
    for initial in [element.get("initial_option"), *element.get("initial_options", [])]:
        if initial is not None and initial not in options:
            raise invalid(where, "what is chosen at first is one of the options, to the letter")


def _options_of(rule: str) -> Callable[[Json, str], None]:
    def check(element: Json, where: str) -> None:
        options = _options(element, rule, where)
        for initial in [element.get("initial_option"), *element.get("initial_options", [])]:
            if initial is not None and initial not in options:
                raise invalid(where, "what is chosen at first is one of the options, to the letter")

    return check


def _options(holder: Json, rule: str, where: str) -> list[Json]:
    options = listed(holder, "options", rule, where)
    for option in options:
        only(option, {"text", "value", "description", "url"}, f"{where}/options")
        text_object(option.get("text"), "option.text", f"{where}/options/text")
        sized(option, "value", "option.value", f"{where}/options", needed=True)
        if "description" in option:
            text_object(option["description"], "option.description", f"{where}/options/description")
    return options


def _external(element: Json, where: str) -> None:
    if not 0 <= element.get("min_query_length", 1) <= 100:
        raise invalid(f"{where}/min_query_length", "a small number")


def _plain_text_input(element: Json, where: str) -> None:
    if not fits("plain_text_input.max_length", element.get("max_length", 1)):
        raise invalid(f"{where}/max_length", "plain_text_input.max_length")
    if len(element.get("initial_value", "")) > element.get("max_length", 3_000):
        raise invalid(f"{where}/initial_value", "not longer than max_length")


def _number_input(element: Json, where: str) -> None:
    if not isinstance(element.get("is_decimal_allowed"), bool):
        raise invalid(f"{where}/is_decimal_allowed", "true or false")
    for name in ("min_value", "max_value", "initial_value"):
        if not isinstance(element.get(name, ""), str):
            raise invalid(f"{where}/{name}", "numbers are given as strings")


def _file_input(element: Json, where: str) -> None:
    if not fits("file_input.max_files", element.get("max_files", 1)):
        raise invalid(f"{where}/max_files", "file_input.max_files")


def image_source(element: Json, where: str) -> None:
    if ("image_url" in element) == ("slack_file" in element):
        raise invalid(where, "an image_url or a slack_file, one of them")
    sized(element, "image_url", "image.image_url", where)
    sized(element, "alt_text", "image.alt_text", where, needed=True)


def _confirm(confirm: Json, where: str) -> None:
    only(confirm, {"title", "text", "confirm", "deny", "style"}, where)
    text_object(confirm.get("title"), "confirm.title", f"{where}/title", plain=True)
    text_object(confirm.get("text"), "confirm.text", f"{where}/text")
    for name in ("confirm", "deny"):
        text_object(confirm.get(name), "confirm.button", f"{where}/{name}", plain=True)


_COMMON = ("action_id", "confirm", "focus_on_load", "placeholder")
_STATIC = (*_COMMON, "options", "option_groups", "initial_option")
_MULTI = (*_COMMON, "options", "option_groups", "initial_options", "max_selected_items")
_ELEMENTS: dict[str, tuple[tuple[str, ...], Callable[[Json, str], None]]] = {
    "button": (("text", "action_id", "url", "value", "style", "confirm", "accessibility_label"), _button),
    "checkboxes": (
        ("action_id", "options", "initial_options", "confirm", "focus_on_load"),
        _options_of("choice.options"),
    ),
    "external_select": ((*_COMMON, "initial_option", "min_query_length"), _external),
    "file_input": (("action_id", "filetypes", "max_files"), _file_input),
    "image": (("image_url", "slack_file", "alt_text"), image_source),
    "multi_external_select": ((*_COMMON, "initial_options", "min_query_length", "max_selected_items"), _external),
    "multi_static_select": (_MULTI, _select),
    "number_input": (
        (
            "action_id",
            "is_decimal_allowed",
            "initial_value",
            "min_value",
            "max_value",
            "dispatch_action_config",
            "focus_on_load",
            "placeholder",
        ),
        _number_input,
    ),
    "overflow": (("action_id", "options", "confirm"), _options_of("overflow.options")),
    "plain_text_input": (
        (
            "action_id",
            "initial_value",
            "multiline",
            "min_length",
            "max_length",
            "dispatch_action_config",
            "focus_on_load",
            "placeholder",
        ),
        _plain_text_input,
    ),
    "radio_buttons": (
        ("action_id", "options", "initial_option", "confirm", "focus_on_load"),
        _options_of("choice.options"),
    ),
    "static_select": (_STATIC, _select),
}
_SELECTS = {"static_select", "external_select", "multi_static_select", "multi_external_select"}
IN_ACTIONS = {"button", "checkboxes", "external_select", "overflow", "radio_buttons", "static_select"}
IN_SECTION = {"button", "checkboxes", "image", "overflow", "radio_buttons", *_SELECTS}
IN_INPUT = {"checkboxes", "file_input", "number_input", "plain_text_input", "radio_buttons", *_SELECTS}
