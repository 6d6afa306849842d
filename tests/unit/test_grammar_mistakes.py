"""Words that cannot be understood: every problem of a command in one answer."""

import pytest
from support.typed_words import refusal, understood

from bot.grammar import VERB_NAMES, parse
from shared.errors import RefusedWords

LOG_KEYS = "dataset, kind, state, by, tag, model, task, target, name, run, parent, since, sort, limit"


def how_to(usage: str) -> str:
    """What a verb's usage is told with."""
    return f"Write `{usage}`; `help {usage.split(maxsplit=1)[0]}` shows all of it."


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
            (
                "unknown_key",
                "`log` knows no key `zzz`.",
                f"It knows: {LOG_KEYS}; and metrics.",
            ),
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
            "describe a.csv write=clean.xlsx",
            ("bad_value", "`write=clean.xlsx`: needs the name of a CSV file to write, such as clean.csv.", ""),
        ),
        (
            "show latest",
            ("bad_run", "`latest` is no run: a run is named by its number, such as 42.", "`log` lists the runs."),
        ),
        ("diff 42 42", ("bad_run", "`diff` needs two different runs; met 42 twice.", "`log` lists the runs.")),
        ("note 42", ("missing_word", "`note` needs RUN TEXT...; met 42.", how_to("note RUN TEXT..."))),
        (
            "tag 42 -",
            ("bad_value", "`-`: needs a tag of 1 to 80 letters, digits and signs.", ""),
        ),
        (
            "promote 42 2nd",
            (
                "bad_value",
                "An alias has 1 to 40 letters, digits, - or _, and begins with a letter; met `2nd`.",
                "Such as champion or shadow; the dataset follows from the run.",
            ),
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
