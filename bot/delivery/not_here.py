"""What a person is told whose run has no card, for its channel takes nothing from the bot."""

import logging

from bot.delivery.outcomes import Outcome
from bot.slack.blocks import person
from bot.slack.typed import PREFIX
from shared.log import cards, notices
from shared.log.cards import CardPlace
from shared.log.engine import Log
from shared.log.notices import NewNotice, NoticeKind
from shared.log.runs import Run

logger = logging.getLogger(__name__)


def tell_not_here(log: Log, place: CardPlace, run: Run, outcome: Outcome, *, owner: str, bot_name: str) -> None:
    """Give a card up and tell whoever asked for its run, both or neither."""
    text = not_here_text(run, place.channel_id, outcome.code, bot_name=bot_name)
    body = {"text": text, "else_channel": place.channel_id}
    new = NewNotice(f"no-card:{run.id}", NoticeKind.TELL, run.team_id, run.requested_by, body=body, run=run.id)
    with log.write() as connection:
        if not cards.give_up(connection, place.run, owner=owner, problem=outcome.code):
            return
        if person(run.requested_by):
            notices.write(connection, new)
        else:
            logger.warning("Run %s of %s has no card: %s.", run.id, run.requested_by, outcome.code)


def not_here_text(run: Run, channel: str, code: str, *, bot_name: str) -> str:
    """What to tell a person whose run has no card."""
    goes_on = f"Run {run.id} itself {'has ended' if run.state.ended else 'goes on'}: `{PREFIX} show {run.id}` shows it."
    if channel.startswith("D"):
        return (
            f"I cannot post the card of run {run.id} in that conversation, for I am not in it. Ask me here, or in a"
            f" channel that I am in. {goes_on}"
        )
    if code in ("not_in_channel", "channel_not_found", "user_not_in_channel"):
        return (
            f"I cannot post the card of run {run.id} in <#{channel}>, for I am not in that channel. Type"
            f" `/invite @{bot_name}` there, and later runs get their cards. {goes_on}"
        )
    reason = "it is archived" if code == "is_archived" else f"Slack does not allow it ({code})"
    return f"I cannot post the card of run {run.id} in <#{channel}>: {reason}. Ask in another channel. {goes_on}"
