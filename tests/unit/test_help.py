"""Help: every verb, key and example, and only what can be typed where it is asked for."""

import pytest

from bot.grammar import VERB_NAMES, load_verb
from bot.verbs.help import Help, help_text


@pytest.mark.parametrize("shell", [True, False])
def test_help_lists_every_verb(shell: bool) -> None:
    """Help names each verb that can be used there with its summary, and no other."""
    shown = help_text(Help(verb=None), prefix="/lml", shell=shell).splitlines()
    for name in VERB_NAMES:
        verb = load_verb(name)
        here = any(line.startswith(f"  {name} {verb.plain}".rstrip()) and verb.summary in line for line in shown)
        assert here is (shell or not verb.shell_only)
    assert any("--json" in line for line in shown) is shell


@pytest.mark.parametrize("name", VERB_NAMES)
def test_help_on_a_verb_has_every_key_and_example(name: str) -> None:
    """Help on a verb shows its words, each key with what it looks like and is for, and the examples."""
    verb, shown = load_verb(name), help_text(Help(verb=name), prefix="/lml", shell=True)
    assert f"  /lml {name} {verb.plain}".rstrip() in shown
    for key in verb.keys:
        assert f"  {key.name}={key.looks}" in shown
        assert key.help in shown
    for example in verb.examples:
        assert f"  /lml {example}" in shown


def test_help_groups_the_keys() -> None:
    """Keys that belong together stand below one heading, and each heading stands there once."""
    lines = help_text(Help(verb="train"), prefix="lml", shell=True).splitlines()
    headings = list(dict.fromkeys(key.heading for key in load_verb("train").keys))
    assert [line for line in lines if line.endswith(":") and line != "Examples:"] == [f"{name}:" for name in headings]
    keys = lines[lines.index("The model:") + 1 : lines.index("", lines.index("The model:"))]
    assert [line.split("=")[0].strip() for line in keys] == [
        "model",
        "depth",
        "width",
        "activation",
        "dropout",
        "norm",
    ]
