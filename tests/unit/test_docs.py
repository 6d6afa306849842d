"""The documents say what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from bot.grammar import VERB_NAMES, load_verb, parse
from bot.words import split_words
from shared.settings import Settings

REPOSITORY = Path(__file__).parents[2]
SOURCES = [path for room in ("bot", "shared", "workers") for path in (REPOSITORY / room).rglob("*.py")]
RAISED = re.compile(r"(?:failed|refused|unavailable|Problem|unknown_column)\(\s*(?:code=)?\"([a-z_]+)\"")


def read(name: str) -> str:
    """A document."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def test_every_error_code_is_documented_and_no_other() -> None:
    """docs/errors.md and the code name the same codes."""
    raised = {code for path in SOURCES for code in RAISED.findall(path.read_text(encoding="utf-8"))}
    documented = set(re.findall(r"`([a-z]+_[a-z_]+)`", read("docs/errors.md")))
    assert documented == raised


def test_every_setting_is_documented_and_no_other() -> None:
    """docs/configuration.md and the Settings class name the same variables, with the same words."""
    documented = dict(re.findall(r"^\| `(LML_[A-Z_]+)` \|.*\| (.*) \|$", read("docs/configuration.md"), re.MULTILINE))
    assert documented == {f"LML_{name.upper()}": field.description for name, field in Settings.model_fields.items()}


def test_every_verb_stands_in_the_readme() -> None:
    """The table of words in the README misses no verb."""
    readme = read("README.md")
    assert [verb for verb in VERB_NAMES if f"`{verb}" not in readme and f"lml {verb}" not in readme] == []


def test_commands_of_the_documents_can_be_typed() -> None:
    """Every `lml ...` line of the README and the Slack page is understood."""
    lines = re.findall(
        r"(?:^\s+|`)(?:\.venv/bin/|/)?lml ([a-z][^`#\n]*)", read("README.md") + read("docs/slack.md"), re.MULTILINE
    )
    assert len(lines) >= 5
    for line in lines:
        words = split_words(line.replace("RUN", "42").replace("VERB", "train"))
        assert parse(words).verb.name == words[0]


@pytest.mark.parametrize("name", VERB_NAMES)
def test_examples_of_help_can_be_typed(name: str) -> None:
    """Every example of a verb is understood as that verb."""
    assert [parse(split_words(example)).verb.name for example in load_verb(name).examples] == [name] * len(
        load_verb(name).examples
    )


def test_links_of_the_documents_lead_somewhere() -> None:
    """Every relative link of a document is a file of the repository."""
    for document in [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "examples/README.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_dependency_is_pinned_and_explained() -> None:
    """Versions are plain and stand in constraints.txt; docs/dependencies.md says what each package is for."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    lines = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    named = {
        re.split(r"[\[<>=; ]", name)[0]
        for name in (*project["dependencies"], *(name for extra in extras.values() for name in extra))
    }
    assert named - pinned == set()
    explained = read("docs/dependencies.md")
    used = {re.split(r"[\[<>=; ]", name)[0] for name in (*project["dependencies"], *extras["bot"], *extras["worker"])}
    assert [name for name in sorted(used) if name not in explained] == []
