"""The texts of blocks and views: what people read, and what Slack parses, so that a mention or a link would count."""

from typing import Any


def parsed_texts(value: Any) -> list[str]:
    """Every text that is mrkdwn, and those of which Slack does not show that it leaves them alone."""
    if isinstance(value, list):
        return [text for inner in value for text in parsed_texts(inner)]
    if not isinstance(value, dict):
        return []
    kind = value.get("type")
    mine = [value["text"]] if kind == "mrkdwn" else []
    if kind == "plan":
        mine += [value["title"], *(task["title"] for task in value["tasks"])]
    if kind == "data_visualization":
        mine += [value["title"], *value["chart"]["axis_config"].values()]
        mine = [text for text in mine if isinstance(text, str)] + value["chart"]["axis_config"]["categories"]
    return mine + [text for inner in value.values() for text in parsed_texts(inner)]


_UNSHOWN = ("value", "private_metadata", "block_id", "action_id", "url")


def shown_texts(value: Any) -> list[str]:
    """Every text that people see; what travels back unchanged, such as an option's value, is none."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for inner in value for text in shown_texts(inner)]
    if not isinstance(value, dict):
        return []
    return [text for key, inner in value.items() if key not in _UNSHOWN for text in shown_texts(inner)]


def texts_in(shown: Any) -> str:
    """Everything that blocks or a view show, as text."""
    said: list[str] = []

    def gather(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                said.append(value["text"])
            for inner in value.values():
                gather(inner)
        elif isinstance(value, list):
            for inner in value:
                gather(inner)

    gather(shown)
    return "\n".join(said)
