"""Words into requests: every verb and key, and every problem of a command in one answer."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.grammar import VERB_NAMES, Command, load_verb, nearest_of, parse
from bot.slack.typed import as_typed
from bot.verbs.cancel import Cancel
from bot.verbs.help import Help, help_text
from bot.verbs.log import LogQuery
from bot.verbs.show import Show
from bot.verbs.status import Status
from bot.words import from_arguments, split_words
from shared.access import SHELL_VERBS, SLACK_VERBS
from shared.errors import RefusedWords
from shared.specs import CompareSpec, EvaluateSpec, PredictSpec, TrainSpec

TRAIN_KEYS: dict[str, tuple[str, str, Any]] = {
    "target": ("churned", "target", "churned"),
    "task": ("Binary", "task", "binary"),
    "model": ("mlp", "model", "mlp"),
    "epochs": ("30", "epochs", 30),
    "batch": ("256", "batch", 256),
    "lr": ("1e-3", "lr", 0.001),
    "optimizer": ("adamw", "optimizer", "adamw"),
    "l1": ("0.1", "l1", 0.1),
    "l2": ("0", "l2", 0.0),
    "seed": ("7", "seed", 7),
    "split_seed": ("8", "split_seed", 8),
    "time": ("2m", "time_s", 120.0),
    "drop": ("id,name", "drop", ("id", "name")),
    "header": ("no", "header", False),
    "sep": ("semicolon", "sep", ";"),
    "encoding": ("cp1252", "encoding", "cp1252"),
    "name": ("March", "name", "March"),
}


def understood(text: str) -> Command:
    """A command from a line of text."""
    return parse(split_words(text))


def how_to(usage: str) -> str:
    """What a verb's usage is told with."""
    return f"Write `{usage}`; `help {usage.split(maxsplit=1)[0]}` shows all of it."


def refusal(text: str) -> list[tuple[str, str, str]]:
    """What is wrong with a line of text."""
    with pytest.raises(RefusedWords) as met:
        understood(text)
    return [(problem.code, problem.message, problem.hint) for problem in met.value.problems]


def test_train_alone_leaves_everything_to_the_worker() -> None:
    """`train data.csv` asks for nothing else: every field that the worker may decide is open."""
    spec = understood("train data.csv").request
    assert spec == TrainSpec(dataset="data.csv")
    assert spec.model_dump(exclude_none=True) == {
        "version": 1,
        "kind": "train",
        "dataset": "data.csv",
        "model": "auto",
        "l1": 0.0,
        "seed": 0,
        "split_seed": 0,
        "time_s": 60.0,
        "drop": (),
    }


def test_every_key_of_train_is_tested() -> None:
    """The table of this module and the keys of `train` are the same, so a new key needs its line here."""
    assert list(TRAIN_KEYS) == [key.name for key in load_verb("train").keys]


@pytest.mark.parametrize("key", TRAIN_KEYS)
@pytest.mark.parametrize(
    "shape", ["{key}={value}", "--{key} {value}", "--{key}={value}", "—{key} {value}", "–{key}={value}"]
)
def test_every_key_of_train_in_every_shape(key: str, shape: str) -> None:
    """A key is written key=value, --key value or --key=value, and the dashes may be the ones of a phone."""
    value, field, met = TRAIN_KEYS[key]
    spec = understood("train data.csv " + shape.format(key=key, value=value)).request
    assert getattr(spec, field) == met
    assert spec == TrainSpec(dataset="data.csv", **{field: met})


def test_keys_in_any_case_and_order() -> None:
    """Keys may stand before the dataset, in any case, and with a hyphen for the underscore."""
    expected = TrainSpec(dataset="data.csv", split_seed=3, target="y")
    assert understood("train --Split-Seed 3 TARGET=y data.csv").request == expected


def test_the_drop_of_a_column_with_a_comma() -> None:
    """A column with a comma in its name can be dropped: quotes inside of quotes."""
    assert understood("""train a.csv 'drop="a, b",c'""").request.drop == ("a, b", "c")


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("evaluate 42 march.csv", EvaluateSpec(run=42, dataset="march.csv")),
        ("evaluate #42 march.csv", EvaluateSpec(run=42, dataset="march.csv")),
        ("predict 42 “new customers.csv”", PredictSpec(run=42, dataset="new customers.csv")),
        ("compare 41 42 #43 42", CompareSpec(runs=(41, 42, 43))),
        ("status", Status(run=None)),
        ("status 42", Status(run=42)),
        ("show #42", Show(run=42)),
        ("Show 42", Show(run=42)),
        ("cancel 42", Cancel(run=42)),
        ("log", LogQuery()),
        ("log kind=train state=failed by=ada limit=5", LogQuery(kind="train", state="failed", by="ada", limit=5)),
        ("log --dataset churn name=March", LogQuery(dataset="churn", name="March")),
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


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trian data.csv", ("unknown_verb", "There is no verb `trian`.", "Did you mean `train`?")),
        ("xyzzy", ("unknown_verb", "There is no verb `xyzzy`.", f"`help` lists the verbs: {', '.join(VERB_NAMES)}.")),
        ("help trian", ("unknown_verb", "There is no verb `trian`.", "Did you mean `train`?")),
        ("help xyzzy", ("unknown_verb", "There is no verb `xyzzy`.", "`help` lists them.")),
        ("train a.csv taget=y", ("unknown_key", "`train` knows no key `taget`.", "Did you mean `target`?")),
        ("train a.csv --taget y", ("unknown_key", "`train` knows no key `taget`.", "Did you mean `target`?")),
        (
            "log zzz=y",
            ("unknown_key", "`log` knows no key `zzz`.", "It knows: kind, state, dataset, name, by, limit."),
        ),
        ("show 42 zzz=y", ("unknown_key", "`show` knows no key `zzz`.", "It takes no keys.")),
        ("train a.csv lr=1 --lr 2", ("repeated_key", "`lr` is given more than once.", "Give it once.")),
        ("train a.csv --lr", ("missing_value", "`--lr` has no value.", "Write `lr=VALUE`.")),
        ("train a.csv target=", ("bad_value", "`target=`: needs 1 to 200 characters.", "")),
        (
            "train a.csv lr=fast",
            ("bad_value", "`lr=fast`: needs a number above 0 to 10, such as 0.001 or 1e-3.", ""),
        ),
        (
            "show latest",
            ("bad_run", "`latest` is no run: a run is named by its number, such as 42.", "`log` lists the runs."),
        ),
        (
            "compare 42 42",
            ("bad_run", "`compare` needs 2 to 10 different runs; met 42.", "`log kind=train` lists them."),
        ),
        ("evaluate 42", ("missing_word", "`evaluate` needs RUN DATASET; met 42.", how_to("evaluate RUN DATASET"))),
        (
            "train target=y",
            ("missing_word", "`train` needs DATASET; met nothing.", how_to("train DATASET")),
        ),
        ("cancel", ("missing_word", "`cancel` needs RUN; met nothing.", how_to("cancel RUN"))),
        ("compare", ("missing_word", "`compare` needs RUN RUN...; met nothing.", how_to("compare RUN RUN..."))),
        (
            "show 42 43 44",
            (
                "extra_word",
                "`show` takes RUN; not understood: 43 44.",
                how_to("show RUN") + " Quote words with spaces.",
            ),
        ),
        (
            "doctor now",
            (
                "extra_word",
                "`doctor` takes nothing more; not understood: now.",
                how_to("doctor") + " Quote words with spaces.",
            ),
        ),
    ],
)
def test_each_mistake_has_its_answer(text: str, problem: tuple[str, str, str]) -> None:
    """Each mistake is refused alone, with a code, the rule with the word that was met, and what to do."""
    assert refusal(text) == [problem]


def test_all_mistakes_of_a_command_come_in_one_answer() -> None:
    """Unknown keys, bad values, repeated keys, missing values and missing words are told together."""
    met = refusal("train taget=y lr=fast epochs=0 model=tree seed=1 seed=2 zzzz=1 --name")
    assert sorted(code for code, _, _ in met) == sorted(
        [
            "unknown_key",
            "unknown_key",
            "bad_value",
            "bad_value",
            "bad_value",
            "repeated_key",
            "missing_value",
            "missing_word",
        ]
    )


def test_all_runs_that_are_none_come_in_one_answer() -> None:
    """Every word that should be a run and is none is named."""
    assert [code for code, _, _ in refusal("compare a b 3")] == ["bad_run", "bad_run"]


def test_the_error_reads_as_lines() -> None:
    """As a text, each problem of an error is a line: the message, then what to do."""
    with pytest.raises(RefusedWords) as met:
        understood("train a.csv taget=y lr=0")
    assert str(met.value) == (
        "`train` knows no key `taget`. Did you mean `target`?\n"
        "`lr=0`: needs a number above 0 to 10, such as 0.001 or 1e-3."
    )
    assert met.value.code == "unknown_key"


@pytest.mark.parametrize("words", [["train", ""], ["evaluate", "42", ""], ["train", "\udcff.csv"]])
def test_words_that_the_spec_refuses_are_refused_words(words: list[str]) -> None:
    """An empty dataset, or a name that is no text (bytes reach us as surrogates), is refused like any mistake."""
    with pytest.raises(RefusedWords):
        parse(words)


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
    assert set(VERB_NAMES) == SHELL_VERBS
    assert {name for name in VERB_NAMES if not load_verb(name).shell_only} == SLACK_VERBS


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
loose_words = st.lists(st.one_of(st.sampled_from([*VERB_NAMES, *TRAIN_KEYS, "--lr", "42", "="]), st.text(max_size=12)))


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
