"""What processes write of themselves."""

import json
import logging
from collections.abc import Iterator

import pytest

from shared.logs import about, log_to_stderr, masked


@pytest.fixture(autouse=True)
def _handlers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


def test_json_lines_name_the_run_and_the_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is an object, with the run and the attempt where there is one, and the trace of an error."""
    log_to_stderr("worker", as_json=True)
    logger = logging.getLogger("test")
    with about(42, 3):
        logger.info("it %s", "began")
        try:
            raise ZeroDivisionError("by nothing")
        except ZeroDivisionError:
            logger.exception("broke")
    logger.warning("later")
    began, broke, later = map(json.loads, capsys.readouterr().err.splitlines())
    assert (began["message"], began["run"], began["attempt"], began["process"]) == ("it began", 42, 3, "worker")
    assert "ZeroDivisionError: by nothing" in broke["trace"]
    assert (later["level"], "run" in later) == ("warning", False)


def test_lines_for_people_name_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as text."""
    log_to_stderr("sweep", as_json=False)
    with about(42, 3):
        logging.getLogger("test").info("it began")
    assert capsys.readouterr().err.endswith("sweep INFO run 42.3: it began\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_is_written(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens and the passwords of addresses are masked, wherever they stand."""
    log_to_stderr("bot", as_json=as_json)
    secrets = ("xoxb-1-2-abc", "xapp-1-A-2", "lml_0123456789abcdefghij0123", "whsec_AbC0123", "lml:secret@db/lml")
    logging.getLogger("test").info("met %s %s %s %s postgresql://%s", *secrets)
    said = capsys.readouterr().err
    assert not any(secret in said for secret in ("xoxb-1", "xapp-1", "lml_0123", "whsec", "secret"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:s3cret@example.com/a.csv", "https://***@example.com/a.csv"),
        ("https://ghp_s3cret@example.com/a.csv", "https://***@example.com/a.csv"),
        ("https://ada:s3@cret@example.com/a.csv", "https://***@example.com/a.csv"),
        (
            '{"at":"https://example.com/a","by":"ada@example.com"}',
            '{"at":"https://example.com/a","by":"ada@example.com"}',
        ),
        ('{"at":"https://example.com","by":"ada@example.com"}', '{"at":"https://example.com","by":"ada@example.com"}'),
    ],
)
def test_whoever_an_address_names_is_masked(text: str, shown: str) -> None:
    """A token stands in an address without a password too, and a password may hold an @."""
    assert masked(text) == shown
