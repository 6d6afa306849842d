"""What a bot sends into Slack by itself: cards, their files, and notices; each from threads of its own.

Files have their own, so that a large one holds up no card.
"""

from collections.abc import Callable

from slack_sdk import WebClient

from bot.delivery.log_channel import LogChannel
from bot.delivery.looks import Looks
from bot.delivery.messages import Messages
from bot.delivery.notices import NoticeSender
from bot.delivery.notifier import Notifier
from bot.delivery.pace import Pace
from bot.delivery.redis_buckets import RedisBuckets
from bot.delivery.sender import CardSender, Duties
from bot.delivery.thread_files import ThreadFiles
from bot.slack.web import web_client
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.log.runs import Run
from shared.settings import Settings


class SlackDelivery:
    """The notifiers of one workspace, at one pace."""

    def __init__(  # noqa: PLR0913 - whose workspace it is, and what it works with
        self,
        settings: Settings,
        log: Log,
        store: BlobStore,
        *,
        team_id: str,
        bot_name: str,
        page_of: Callable[[Run, str], str],
        client: WebClient | None = None,
    ) -> None:
        redis_url = settings.require_redis_url()
        client = client or web_client(settings)
        uploads = web_client(settings)
        self.pace = Pace(shared=RedisBuckets(redis_url, team_id))
        pace, looks = self.pace, Looks()

        def card_sender(duties: Duties) -> CardSender:
            return CardSender(
                log,
                Messages(client),
                ThreadFiles(uploads, store),
                pace,
                bot_name=bot_name,
                page_of=page_of,
                looks=looks,
                duties=duties,
            )

        channel = _log_channel(settings, team_id)
        self._notifiers = [
            Notifier(lambda: card_sender(Duties(files=False)), redis_url=redis_url),
            Notifier(lambda: card_sender(Duties(cards=False)), redis_url=None, what="Files"),
            Notifier(
                lambda: NoticeSender(log, Messages(client), pace, channel=channel, page_of=page_of, looks=looks),
                redis_url=None,
                what="Notices",
                threads=1,
            ),
        ]

    def start(self) -> None:
        """Begin, with whatever happened while no bot ran."""
        for notifier in self._notifiers:
            notifier.start()

    def wake(self) -> None:
        """Something happened to a run."""
        for notifier in self._notifiers:
            notifier.wake()

    def stop(self) -> None:
        """Send nothing more; what is under way ends."""
        for notifier in self._notifiers:
            notifier.stop()


def _log_channel(settings: Settings, team_id: str) -> LogChannel | None:
    if settings.slack_log_channel is None:
        return None
    return LogChannel(settings.slack_log_channel, team_id, settings.slack_digest)
