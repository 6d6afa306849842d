"""The words of a search: what they mean however they are typed, and every mistake in one answer."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.search_words import query_of
from bot.slack.typed import as_typed
from bot.words import from_arguments, split_words
from shared.errors import RefusedWords
from shared.metric_names import NAMES, SHORT
from shared.search import Bound, Order, Query

TERMS = {
    "ds:churn.csv": {"dataset": "churn.csv"},
    "kind:train,compare": {"kinds": ("train", "compare")},
    "state:FAILED": {"states": ("failed",)},
    "by:@ann": {"by": ("ann",)},
    "model:mlp_ple": {"models": ("mlp-ple",)},
    "task:binary": {"tasks": ("binary",)},
    "target:Churn": {"target": "Churn"},
    "name:x": {"name": "x"},
    "tag:#Base": {"tags": ("base",)},
    "run:40..60": {"first": 40, "last": 60},
    "since:7d": {"since": timedelta(days=7)},
    "sort:-auc": {"order": Order("roc_auc")},
    "limit:50": {"limit": 50},
    "auc>0.9": {"bounds": (Bound("roc_auc", ">", 0.9),)},
    "march": {"words": ("march",)},
}


def asked(text: str) -> Query:
    """A query from a line of text."""
    return query_of(split_words(text))


def refusal(text: str) -> list[tuple[str, str, str]]:
    """What is wrong with a line of text."""
    with pytest.raises(RefusedWords) as met:
        asked(text)
    return [(problem.code, problem.message, problem.hint) for problem in met.value.problems]


@given(st.permutations(list(TERMS)).flatmap(lambda terms: st.integers(0, len(terms)).map(lambda n: terms[:n])))
def test_terms_in_any_order(terms: list[str]) -> None:
    """Any of the terms, in any order, mean the same together as each of them alone."""
    fields: dict[str, object] = {}
    for term in terms:
        fields |= TERMS[term]
    assert asked(" ".join(terms)) == Query(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("dataset=churn.csv", "ds:churn.csv"),
        ("--dataset churn.csv --limit=5", "ds:churn.csv limit:5"),
        ("—dataset churn.csv", "ds:churn.csv"),
        ("auc > 0.9", "auc>0.9"),
        ("auc> 0.9 acc >=0.8", "auc>0.9 acc>=0.8"),
        ("auc≥0.9", "auc>=0.9"),
        ("AUC>90%", "auc>0.9"),
        ("roc_auc>.9", "auc>0.9"),
        ("r2>−0.5", "r2>-0.5"),
        ("sort:–auc", "sort:-roc_auc"),
        ("run:40–60", "run:40..60"),
        ("run:#40…60", "run:40..60"),
        ("since:2w", "since:14d"),
        ("by:“ann smith”", 'by:"ann smith"'),
        ("“two words”", '"two words"'),
        ("ds: churn.csv", "ds:churn.csv"),
        ("state:failed state:cancelled", "state:failed,cancelled"),
    ],
)
def test_the_same_typed_otherwise(typed: str, plain: str) -> None:
    """Phones, other signs and blanks change nothing."""
    assert asked(typed) == asked(plain)


def test_a_shell_and_slack_mean_the_same() -> None:
    """A mention that Slack has marked up is the id of the person, as a shell types it."""
    in_slack = "auc&gt;0.9 by:<@U123|ann> loss&lt;=0.3"
    assert query_of(split_words(as_typed(in_slack))) == query_of(from_arguments(["auc>0.9", "by:U123", "loss<=0.3"]))
    assert asked("by:<@U123|ann>").by == asked("by:<@U123>").by == ("U123",)


@pytest.mark.parametrize(
    ("words", "bounds"),
    [
        ("acc=0.85", [(">=", 0.845), ("<", 0.855)]),
        ("acc:1", [(">=", 0.5), ("<", 1.5)]),
        ("acc:0.8..0.9", [(">=", 0.8), ("<=", 0.9)]),
        ("acc:0.8..", [(">=", 0.8)]),
        ("acc:..0.9", [("<=", 0.9)]),
        ("acc<1e-3", [("<", 0.001)]),
    ],
)
def test_bounds_of_a_metric(words: str, bounds: list[tuple[str, float]]) -> None:
    """A range has two ends that belong to it; equal means equal as far as the number was typed."""
    met = asked(words).bounds
    assert [(bound.metric, bound.operator) for bound in met] == [("accuracy", operator) for operator, _ in bounds]
    assert [bound.value for bound in met] == pytest.approx([value for _, value in bounds])


def test_days_of_the_calendar() -> None:
    """A day begins at midnight, UTC; a moment may have a zone."""
    assert asked("since:2026-11-01").since == datetime(2026, 11, 1, tzinfo=UTC)
    assert asked("since:2026-11-01T12:00+02:00").since == datetime(2026, 11, 1, 10, tzinfo=UTC)
    today = asked("since:today").since
    assert isinstance(today, datetime)
    assert today.hour == 0
    assert asked("since:yesterday").since == today - timedelta(days=1)


def test_every_mistake_in_one_answer() -> None:
    """Unknown keys and metrics, values that do not fit and keys given twice are told together, with what was meant."""
    words = "stat:failed since:soon state:faild acu>1 limit:0 sort:-acu auc>x name:a name:b run:x..2 --tag"
    assert refusal(words) == [
        ("unknown_key", "`log` knows no key `stat`.", "Did you mean `state`?"),
        (
            "bad_value",
            "`since:soon`: needs an age such as 7d, 12h or 2w, a day such as 2026-11-27, or today.",
            "",
        ),
        (
            "bad_value",
            "`state:faild`: needs one of preparing, gathering, queued, running, succeeded, failed, cancelled. "
            "Did you mean `failed`?",
            "",
        ),
        ("unknown_key", "`log` knows no metric `acu`.", "Did you mean `auc`?"),
        ("bad_value", "`limit:0`: needs a whole number from 1 to 1,000.", ""),
        (
            "bad_value",
            "`sort:-acu`: needs run, started, time or a metric, with - for the highest first. Did you mean `auc`?",
            "",
        ),
        ("bad_value", "`auc>x`: needs a number, such as auc>0.9, or a range, such as auc:0.8..0.9", ""),
        ("repeated_key", "`name` is given more than once.", "Give it once."),
        ("bad_value", "`run:x..2`: needs a run or a range of them, such as 42, 40..60 or 40..", ""),
        ("missing_value", "`--tag` has no value.", "Write `tag:VALUE`."),
    ]


def test_a_metric_far_from_any() -> None:
    """What is no metric at all is told all of them."""
    assert refusal("zzzz>1")[0][2] == f"The metrics are {', '.join(NAMES)}."


@pytest.mark.parametrize(
    "word", ["\x00", "ds:a\x00b", "tag:" + "x" * 81, "x" * 201, "by:", "by:@", "tag:", "\udcff", "run:0x1"]
)
def test_what_no_database_takes_is_refused(word: str) -> None:
    """Signs that cannot be shown, and texts without end, are refused before anything is looked up."""
    with pytest.raises(RefusedWords):
        query_of([word])


@given(
    st.lists(
        st.one_of(st.text(max_size=20), st.sampled_from([*TERMS, *SHORT, ">", "<=", "=", ":", "--", "..", "--sort"]))
    )
)
def test_any_words_are_understood_or_refused(words: list[str]) -> None:
    """Whatever is typed is a query or a refusal."""
    with suppress(RefusedWords):
        assert isinstance(query_of(words), Query)


def test_metrics_are_those_that_runs_are_measured_by() -> None:
    """The names by which runs are searched are those that the core writes, and so is the way that is better."""
    from shared.specs import Task
    from workers.core import metrics

    written = {name for task in Task for name in metrics.NAMES[task]} | {"huber", "pinball", "coverage"}
    assert set(NAMES) == written
    from shared.metric_names import HEADLINE, LOWER_IS_BETTER

    assert LOWER_IS_BETTER == metrics.LOWER_IS_BETTER
    assert {task.value: name for task, name in metrics.HEADLINE.items()} == HEADLINE
