"""Words into requests: what each verb asks for, from a shell as from Slack, and whatever else is typed."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.typed_words import understood

from bot.grammar import VERB_NAMES, load_verb, nearest_of, parse
from bot.slack.typed import as_typed
from bot.verbs.cancel import Cancel
from bot.verbs.diff import Diff
from bot.verbs.help import Help
from bot.verbs.history import History
from bot.verbs.leaderboard import Leaderboard
from bot.verbs.note import WriteNote
from bot.verbs.promote import Promote
from bot.verbs.show import Show
from bot.verbs.status import Status
from bot.verbs.tag import ChangeTags
from bot.words import from_arguments, split_words
from shared.access import CHAT, RULES
from shared.errors import RefusedWords
from shared.search import Query
from shared.specs import (
    CompareSpec,
    DescribeSpec,
    EvaluateSpec,
    PredictSpec,
)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("evaluate 42 march.csv", EvaluateSpec(run=42, dataset="march.csv")),
        ("evaluate #42 march.csv", EvaluateSpec(run=42, dataset="march.csv")),
        ("describe data.csv", DescribeSpec(dataset="data.csv")),
        ("describe data.csv --write clean.CSV", DescribeSpec(dataset="data.csv", write="clean.CSV")),
        ("predict 42 “new customers.csv”", PredictSpec(run=42, dataset="new customers.csv")),
        ("compare 41 42 #43 42", CompareSpec(runs=(41, 42, 43))),
        ("compare 41 42 on=march.csv", CompareSpec(runs=(41, 42), dataset="march.csv")),
        ("status", Status(run=None)),
        ("status 42", Status(run=42)),
        ("show #42", Show(run=42)),
        ("Show 42", Show(run=42)),
        ("cancel 42", Cancel(run=42)),
        ("log", Query()),
        (
            "log kind=train state=failed by=ada limit=5",
            Query(kinds=("train",), states=("failed",), by=("ada",), limit=5),
        ),
        ("log --dataset churn name=March", Query(dataset="churn", name="March")),
        ("diff 41 #42", Diff(first=41, second=42)),
        ("history in/churn.csv limit=5", History(dataset="churn.csv", limit=5)),
        ("leaderboard churn target=Churn", Leaderboard(dataset="churn", target="Churn")),
        ("note 42 too --slow, lr=1 “it said”", WriteNote(run=42, text="too --slow, lr=1 it said")),
        ("tag 42 Baseline #Q3 -draft", ChangeTags(run=42, added=("baseline", "q3"), removed=("draft",))),
        ("promote 42", Promote(run=42)),
        ("promote 42 Shadow why='it is small'", Promote(run=42, alias="shadow", why="it is small")),
        ("help", Help(verb=None)),
        ("help TRAIN", Help(verb="train")),
        ("", Help(verb=None)),
        ("--help", Help(verb=None)),
        ("-h", Help(verb=None)),
        ("train --help", Help(verb="train")),
        ("train data.csv -h", Help(verb="train")),
    ],
)
def test_the_request_of_each_verb(text: str, request_: Any) -> None:
    """Each verb gives its own request, the spec of a run for those that make one."""
    assert understood(text).request == request_


@pytest.mark.parametrize("name", VERB_NAMES)
def test_every_verb_has_examples_that_parse(name: str) -> None:
    """Each example that help shows is understood as a command of that verb."""
    verb = load_verb(name)
    assert verb.name == name
    assert verb.summary
    assert verb.examples
    for example in verb.examples:
        command = understood(example)
        assert command.verb is verb
        assert parse(split_words(command.words)).request == command.request


def test_the_lists_of_verbs_are_one() -> None:
    """Grammar and access know the same verbs, and what only a shell has stands there only."""
    verbs = {name: rule for name, rule in RULES.items() if name != "priority urgent"}
    assert {*VERB_NAMES, "probe"} == set(verbs)  # a kind of run that is only submitted
    in_chat = {name for name, rule in verbs.items() if rule.entries & CHAT}
    assert {name for name in VERB_NAMES if not load_verb(name).shell_only} == in_chat


@pytest.mark.parametrize(
    ("arguments", "slack_text"),
    [
        (["train", "my data.csv", "target=it's", "lr=1e-3"], "train “my data.csv” target=it's lr=1e–3"),
        (["train", "a.csv", "--time", "2m", "--name", "ada's run"], "train a.csv —time 2m —name “ada's run”"),
        (["train", "a.csv", "drop=a b,c"], 'train a.csv drop="a b",c'),
        (["train", "a&b.csv", "target=<y>"], "train a&amp;b.csv target=&lt;y&gt;"),
        (["train", "churn.io", "sep=;"], "train <http://churn.io|churn.io> sep=;"),
        (["evaluate", "#42", "march.csv"], "evaluate #42  march.csv "),
        (["predict", "42", "new customers.csv"], "predict 42 'new customers.csv'"),
        (["compare", "41", "42"], "compare 41 42"),
        (["status"], "status"),
        (["log", "--by", "U012AB"], "log by=<@U012AB|ada>"),
        (["help", "train"], "help train"),
        ([], ""),
    ],
)
def test_shell_and_slack_mean_the_same(arguments: list[str], slack_text: str) -> None:
    """The same command, from the arguments of a shell and from the text of a slash command, is the same request."""
    assert parse(from_arguments(arguments)).request == parse(split_words(as_typed(slack_text))).request


def test_words_are_kept_in_plain_letters() -> None:
    """A command remembers what was typed, in plain quotes and dashes."""
    assert understood("train “my data.csv” —lr 1e−3 name=“it's”").words == (
        'train "my data.csv" --lr 1e-3 name="it\'s"'
    )


plain_text = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="“”„‘’«»\r\n"), min_size=1, max_size=20)


keyed = st.tuples(st.sampled_from(["target", "name", "drop"]), plain_text).map(lambda pair: f"{pair[0]}={pair[1]}")


KEYS = [key.name for key in load_verb("train").keys]
loose_words = st.lists(st.one_of(st.sampled_from([*VERB_NAMES, *KEYS, "--lr", "42", "="]), st.text(max_size=12)))


@settings(max_examples=200, deadline=None)
@given(dataset=plain_text, pair=keyed, seed=st.integers(0, 2**31 - 1))
def test_the_words_of_a_command_parse_to_the_same_request(dataset: str, pair: str, seed: int) -> None:
    """What a command remembers can be typed again and asks for the same."""
    try:
        command = parse(["train", dataset, pair, "--seed", str(seed)])
    except RefusedWords:
        return
    assert parse(split_words(command.words)).request == command.request


@settings(max_examples=400, deadline=None)
@given(verb=st.sampled_from(VERB_NAMES), words=loose_words)
def test_no_words_do_anything_but_parse_or_be_refused(verb: str, words: list[str]) -> None:
    """Whatever the words are, a command is understood or refused."""
    # Empty datasets and line breaks in drop= are bugs of their own: see above and test_values.
    words = [word.replace("\r", "").replace("\n", "") or "x" for word in words]
    with suppress(RefusedWords):
        assert parse([verb, *words]).verb.name in VERB_NAMES


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_as_a_whole_command(text: str) -> None:
    """A line of anything is a command or refused words."""
    with suppress(RefusedWords):
        parse(split_words(text))


def test_nearest_words_are_near() -> None:
    """A suggestion keeps the spelling of the known word, and there is none for a word that is like nothing."""
    assert nearest_of("CHRNED", ["Churned", "age"]) == "Churned"
    assert nearest_of("zzz", ["Churned", "age"]) is None
    assert nearest_of("x", []) is None
