"""The gate of every entry: whether it is allowed, and a row of the audit about it before anything happens.

An entry asks `permit` before it acts, and wraps what looks at the owner of a run by itself in `audited`. A log that
cannot take the row lets nothing happen: what is not on record is not done.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from shared.access import RULES, Principal, authorize
from shared.errors import LmlError, NotAllowed, Problem
from shared.log import audit
from shared.log.audit import Asked, Decision
from shared.log.engine import Log
from shared.logs import masked

logger = logging.getLogger(__name__)


def permit(  # noqa: PLR0913 - what the audit says of it
    log: Log,
    principal: Principal,
    verb: str,
    *,
    words: str,
    run: int | None = None,
    owner: str | None = None,
    trigger: str | None = None,
) -> None:
    """Raise `NotAllowed` unless this principal may use this verb; note it first, where it changes something.

    Without `owner` it asks whether the verb may be used at all, on a run of one's own: a verb that knows the owner
    later asks `authorize` again then, inside of `audited`. Raises `ServiceUnavailable` when the row cannot be written.
    """
    permit_all(log, principal, [Asked(verb, words, run=run, trigger=trigger)], owner=owner)


def permit_all(log: Log, principal: Principal, asked: Sequence[Asked], *, owner: str | None = None) -> None:
    """`permit` for several things at once: all are allowed, or the first that is not is refused."""
    for one in asked:
        try:
            authorize(principal, one.verb, owner=principal.user_id if owner is None else owner)
        except NotAllowed as error:
            audit_refusal(log, principal, one.verb, one.words, error.problems[0], run=one.run, trigger=one.trigger)
            error.audited = True
            raise
    changing = [_masked(one) for one in asked if RULES[one.verb].changes]
    if changing:
        with log.write() as connection:
            audit.note(connection, principal, changing)


@contextmanager
def audited(
    log: Log, principal: Principal, verb: str, *, words: str, run: int | None = None, trigger: str | None = None
) -> Iterator[None]:
    """A block in which a verb asks for itself whether it may; what it is denied is noted, once, and raised again."""
    try:
        yield
    except NotAllowed as error:
        if not error.audited:
            audit_refusal(log, principal, verb, words, error.problems[0], run=run, trigger=trigger)
            error.audited = True
        raise


def audit_refusal(  # noqa: PLR0913 - what the audit says of it
    log: Log,
    principal: Principal,
    verb: str,
    words: str,
    problem: Problem,
    *,
    run: int | None = None,
    trigger: str | None = None,
) -> None:
    """Note what was denied. Never raises: the refusal stands, also where the log cannot be written."""
    denied = Asked(verb, words, Decision.DENIED, run=run, reason=f"{problem.code}: {problem.message}", trigger=trigger)
    try:
        with log.write() as connection:
            audit.note(connection, principal, [_masked(denied)])
    except LmlError as error:
        logger.warning("A refusal of `%s` to %s could not be noted: %s", verb, principal.user_id, error)


def _masked(asked: Asked) -> Asked:
    """Without what looks like a secret: people paste tokens and addresses with passwords."""
    return replace(asked, words=masked(asked.words), reason=asked.reason and masked(asked.reason))
