"""What other programs ask: read strictly, said back in words, refused with everything that is wrong."""

import json
from typing import Any

import pytest

from bot.grammar import parse
from bot.words import split_words
from shared.access import Principal, Source
from shared.asked import AskedRun, AskedRuns, read_asked, run_key, submissions
from shared.errors import RefusedWords
from shared.spec_words import words_of
from shared.specs import SPEC
from shared.work import Priority

SERVICE = Principal("T1", "service:billing", Source.SERVICE)


def refused(asked: Any, kind: type[AskedRun] | type[AskedRuns] = AskedRuns) -> list[tuple[str, str]]:
    """The codes and messages of a refusal."""
    with pytest.raises(RefusedWords) as error:
        read_asked(kind, asked if isinstance(asked, str) else json.dumps(asked))
    return [(problem.code, problem.message) for problem in error.value.problems]


@pytest.mark.parametrize(
    "spec",
    [
        {
            "kind": "train",
            "dataset": "my table.csv",
            "model": "mlp",
            "epochs": 3,
            "drop": ["id", "a b", "c,d"],
            "time_s": 90,
        },
        {
            "kind": "train",
            "dataset": "a.csv",
            "target": 'it\'s "x" \\ y',
            "header": False,
            "nesterov": True,
            "optimizer": "sgd",
        },
        {"kind": "describe", "dataset": "a.csv", "write": "clean.csv"},
        {"kind": "evaluate", "run": 7, "dataset": "b.csv"},
        {"kind": "predict", "run": 7, "dataset": "b.csv"},
        {"kind": "compare", "runs": [3, 4]},
        {"kind": "compare", "runs": [3, 4], "dataset": "new rows.csv"},
    ],
)
def test_a_spec_in_words_can_be_typed_again(spec: dict[str, Any]) -> None:
    """The words of a run that a program asked for mean the same spec where a person types them."""
    asked = SPEC.validate_python(spec)
    assert parse(split_words(words_of(asked))).request == asked


def test_how_runs_are_treated_reaches_every_run_of_a_batch() -> None:
    """Priority, deadline, tags and places are those of the message; each run has a key of its own."""
    asked = read_asked(
        AskedRuns,
        json.dumps(
            {
                "runs": [{"kind": "probe"}, {"kind": "train", "dataset": "sha256:" + "a" * 64}],
                "priority": "low",
                "deadline": "2030-01-01T00:00:00+01:00",
                "tags": ["a"],
                "channel": "C0123",
                "webhook": "https://example.com/x",
                "key": "k",
            }
        ),
    )
    first, second = submissions(asked, SERVICE, default=Priority.NORMAL, key="message", webhook="https://other")
    assert (first.key, second.key) == (run_key("service:billing", "k", 0), run_key("service:billing", "k", 1))
    assert first.key != second.key
    assert second.dataset_source == {"sha256": "a" * 64}
    assert first.deadline_at is not None
    assert first.deadline_at.isoformat() == "2030-01-01T00:00:00+01:00"
    for one in (first, second):
        assert (one.priority, one.tags, one.card_channel) == (Priority.LOW, ("a",), "C0123")
        assert one.webhook_url == "https://example.com/x"


def test_what_is_left_out_is_the_doors_own() -> None:
    """Without a priority, a key or a webhook, the door's count; without any key there is none."""
    asked = read_asked(AskedRun, '{"spec": {"kind": "probe"}}')
    [one] = submissions(asked, SERVICE, default=Priority.NORMAL, key="message", webhook="https://service")
    assert (one.priority, one.key, one.webhook_url) == (
        Priority.NORMAL,
        run_key("service:billing", "message"),
        "https://service",
    )
    [bare] = submissions(asked, SERVICE, default=Priority.NORMAL, key=None)
    assert bare.key is None


def test_a_key_fits_the_log() -> None:
    """The longest service name, key and batch make a key of at most 128 characters."""
    assert len(run_key("service:" + "a" * 63, "k" * 1000, 99)) <= 128


def test_every_problem_is_named_with_its_place() -> None:
    """Unknown keys, wrong types and values are all told at once, each with where it stands and what was met."""
    met = refused(
        {"runs": [{"kind": "probe", "seconds": -1}, {"kind": "train", "dataset": "", "x": 1}], "priority": "soon"}
    )
    assert met == [
        ("bad_value", "`priority`: Input should be 'urgent', 'high', 'normal' or 'low'; met 'soon'."),
        ("bad_value", "`runs.0.probe.seconds`: Input should be greater than or equal to 0; met -1."),
        ("bad_value", "`runs.1.train.dataset`: String should have at least 1 character; met ''."),
        ("unknown_key", "`runs.1.train.x`: there is no such key."),
    ]


def test_a_flood_of_problems_is_bounded() -> None:
    """Of a hundred wrong runs the first twenty are told, and how many more there are."""
    met = refused({"runs": [{"kind": "probe", "seconds": -1}] * 100})
    assert len(met) == 21
    assert met[-1] == ("bad_value", "80 more are wrong.")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "exactly one of `spec` and `runs` is given"),
        ({"spec": {"kind": "probe"}, "runs": [{"kind": "probe"}]}, "exactly one of `spec` and `runs` is given"),
        ({"runs": []}, "at least one spec"),
        ({"spec": {"kind": "probe", "seconds": float("inf")}}, "finite number"),
        ({"spec": {"kind": "probe"}, "tags": ["a\nb"]}, "`tags.0`"),
        ({"spec": {"kind": "probe"}, "tags": ["a\0b"]}, "holds no NUL"),
        ({"spec": {"kind": "probe"}, "key": "a key"}, "`key`"),
        ({"spec": {"kind": "probe"}, "channel": "#general"}, "`channel`"),
        ({"spec": {"kind": "probe"}, "deadline": "tomorrow"}, "`deadline`"),
        ('{"spec": ', "Invalid JSON"),
    ],
)
def test_what_cannot_be_is_refused(asked: Any, sentence: str) -> None:
    """Each rule of a message, with the sentence that says it."""
    assert any(sentence in message for _, message in refused(asked))
