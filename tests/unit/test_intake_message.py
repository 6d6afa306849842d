"""The signature of queued messages."""

import base64

import pytest

from shared.errors import RefusedWords
from shared.intake_message import Signed, require_fresh, require_signature, sign

SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def message(**changes: object) -> Signed:
    """The signed message of the published test vector."""
    plain = {"version": 1, "service": "billing", "id": ID, "timestamp": TIMESTAMP, "body": BODY}
    return Signed.model_validate({**plain, "signature": SIGNATURE, **changes})


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The test vector that Standard Webhooks publishes: its libraries sign messages for this door."""
    assert sign(SECRET, id=ID, timestamp=TIMESTAMP, body=BODY) == SIGNATURE


def test_one_of_several_signatures_has_to_fit() -> None:
    """While a secret is changed, a sender may sign with both."""
    require_signature(SECRET, message(signature=f"v1,AAAA {SIGNATURE}"))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "msg_other"},
        {"timestamp": TIMESTAMP + 1},
        {"body": BODY + " "},
        {"signature": SIGNATURE.lower()},
        {"signature": SIGNATURE.removeprefix("v1,")},
        {"signature": " "},
    ],
)
def test_everything_that_counts_is_signed(changes: dict[str, object]) -> None:
    """A change of the id, the time or one byte of the body is refused, and so is another form of the signature."""
    with pytest.raises(RefusedWords) as error:
        require_signature(SECRET, message(**changes))
    assert error.value.code == "bad_signature"
    assert "lml token secrets billing" in str(error.value)


@pytest.mark.parametrize(
    ("queued_after", "now"),
    [
        (TIMESTAMP + 299, TIMESTAMP + 299),
        (TIMESTAMP - 299, TIMESTAMP - 299),
        (TIMESTAMP - 5, TIMESTAMP + 90_000),  # it waited for a day while nobody read
    ],
)
def test_a_message_is_fresh_when_it_was_queued_just_after_it_was_signed(queued_after: float, now: float) -> None:
    """Clocks may differ by five minutes, and a message that had to wait is none the older."""
    require_fresh(message(), queued_after=queued_after, now=now)


@pytest.mark.parametrize(
    ("queued_after", "now"), [(TIMESTAMP + 301, TIMESTAMP + 301), (TIMESTAMP - 400, TIMESTAMP - 301)]
)
def test_an_old_message_and_one_from_the_future_are_refused(queued_after: float, now: float) -> None:
    """What was signed more than five minutes before it could have been queued, or after now."""
    with pytest.raises(RefusedWords) as error:
        require_fresh(message(), queued_after=queued_after, now=now)
    assert error.value.code == "message_stale"
    assert str(TIMESTAMP) in str(error.value)
