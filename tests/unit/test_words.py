"""Text into words: quotes group, and what phones and word processors make of quotes and dashes is understood."""

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.grammar import quoted
from bot.words import from_arguments, plain_dashes, split_words
from shared.errors import RefusedWords

TYPOGRAPHIC = "“”„‘’«»"
any_words = st.lists(st.text(max_size=12), max_size=6)
spoken_words = st.lists(st.text(alphabet=" \t\\'\"=,-–—−ab1e.ü" + TYPOGRAPHIC, max_size=8), max_size=5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("   \t\n ", []),
        ("train data.csv", ["train", "data.csv"]),
        ("  train \n\t data.csv  ", ["train", "data.csv"]),
        ('train "my data.csv"', ["train", "my data.csv"]),
        ("train 'my data.csv'", ["train", "my data.csv"]),
        ("train “my data.csv”", ["train", "my data.csv"]),
        ("train „my data.csv“", ["train", "my data.csv"]),
        ("train ‘my data.csv’", ["train", "my data.csv"]),
        ("train «my data.csv»", ["train", "my data.csv"]),
        ("train ”my data.csv”", ["train", "my data.csv"]),
        ('train “my data.csv"', ["train", "my data.csv"]),
        ('train "my data.csv”', ["train", "my data.csv"]),
        ('target="two words"', ["target=two words"]),
        ("target=“two words” lr=1", ["target=two words", "lr=1"]),
        ('drop="a b","c d"', ["drop=a b,c d"]),
        ('drop=id,"c, d"', ["drop=id,c, d"]),
        ('train ""', ["train", ""]),
        ("''", [""]),
        ('target=""', ["target="]),
        (r"my\ data.csv", ["my data.csv"]),
        (r"a\\b", [r"a\b"]),
        (r"a\b", [r"a\b"]),
        (r"\"a b", ['"a', "b"]),
        (r'"a \" b"', ['a " b']),
        ("a\\", ["a\\"]),
        ("日本 語.csv", ["日本", "語.csv"]),
    ],
)
def test_words_are_split_where_people_mean_it(text: str, words: list[str]) -> None:
    """Spaces part words, plain and typographic quotes group them, a backslash keeps the next letter as it is."""
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train john's.csv", ["train", "john's.csv"]),
        ("target=won't", ["target=won't"]),
        ("target=won’t name=ada’s", ["target=won’t", "name=ada’s"]),
        ("‘ada’s run’", ["ada’s run"]),
        ('name="ada\'s run"', ["name=ada's run"]),
        ('5" tall', ['5"', "tall"]),
        ("“ada’s run”", ["ada’s run"]),
    ],
)
def test_an_apostrophe_in_a_word_opens_nothing(text: str, words: list[str]) -> None:
    """A quote opens only where a word or a value begins, so that an apostrophe inside a word stays one."""
    assert split_words(text) == words


@pytest.mark.parametrize("text", ['train "a.csv', "train 'a.csv b", "train “a.csv", "name=«a", '"a\\"'])
def test_a_quote_that_is_never_closed_is_refused(text: str) -> None:
    """An open quote is refused, with the words that hold it and what to do."""
    with pytest.raises(RefusedWords) as met:
        split_words(text)
    assert met.value.code == "open_quote"
    assert str(met.value) == (f"A quote is opened and never closed in: {text} Close it, or escape it with a backslash.")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("—target", "--target"),
        ("–target=x", "--target=x"),
        ("lr=1e−3", "lr=1e-3"),
        ("lr=1e–3", "lr=1e-3"),
        ("l1=−0.5", "l1=-0.5"),
        ("–5", "-5"),
        ("—.5", "-.5"),
        ("a—b.csv", "a—b.csv"),
        ("target=a—b", "target=a—b"),
        ("target=—b", "target=—b"),
        ("—", "—"),
        ("--target", "--target"),
    ],
)
def test_dashes_mean_what_was_typed(typed: str, meant: str) -> None:
    """A long dash before a letter was two hyphens, one before a number was a minus; inside a word it stays."""
    assert plain_dashes(typed) == meant


@pytest.mark.parametrize("name", ["Umsätze–2024.csv", "target=Spende–1"])
def test_a_dash_in_a_name_stays(name: str) -> None:
    """Only the exponent of a number has its minus read; the dash in a file's or a column's name is part of it."""
    assert plain_dashes(name) == name


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "my data.csv", "target=a b"],
        ["train", "C:\\data\\a.csv"],
        ["train", "it's.csv", 'name=say "hi"'],
        ["train", ""],
        ["train", "a\\ b.csv"],
        [],
    ],
)
def test_arguments_of_a_shell_stay_as_the_shell_grouped_them(arguments: list[str]) -> None:
    """Spaces, plain quotes and backslashes in an argument are part of it: the shell has read its own already."""
    assert from_arguments(arguments) == arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "“my", "data.csv”"], ["train", "my data.csv"]),
        (["—target", "y"], ["--target", "y"]),
        (["lr=1e−3"], ["lr=1e-3"]),
    ],
)
def test_what_a_shell_does_not_group_is_grouped_here(arguments: list[str], words: list[str]) -> None:
    """Typographic quotes and dashes pasted into a shell mean the same as anywhere."""
    assert from_arguments(arguments) == words


@settings(max_examples=300, deadline=None)
@given(st.one_of(any_words, spoken_words))
def test_quoted_words_come_back(words: list[str]) -> None:
    """Words without typographic quotes, quoted and split again, are the same words."""
    mine = [plain_dashes(word) for word in words if not set(word) & set(TYPOGRAPHIC)]
    assert split_words(" ".join(quoted(word) for word in mine)) == mine


@pytest.mark.parametrize("word", ["“a", "a” b", "name=”a", "target=‘x"])
def test_quoted_typographic_quotes_come_back(word: str) -> None:
    """A word that holds a typographic quote is quoted so that it can be typed again."""
    assert split_words(quoted(word)) == [word]


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(), st.text(alphabet=" \t\\'\"=,-–—−ab1e" + TYPOGRAPHIC)))
@example('"""')
@example('train "" """"')
@example("''“a”")
def test_no_text_does_anything_but_split_or_be_refused(text: str) -> None:
    """Whatever is typed, it is split into words or refused for a quote that stays open."""
    with suppress(RefusedWords):
        assert all(isinstance(word, str) for word in split_words(text))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_characters=TYPOGRAPHIC, codec="utf-8"), max_size=10)))
def test_any_arguments_of_a_shell_stay_words(arguments: list[str]) -> None:
    """However strange an argument is, it is one word; only its dashes are made plain."""
    assert from_arguments(arguments) == [plain_dashes(argument) for argument in arguments]
