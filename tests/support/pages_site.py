"""The run pages with their server, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from bot.http.app import web_app
from bot.http.metrics import Metrics
from bot.http.server import Server, listen
from bot.pages.site import Pages
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.settings import Settings


@contextmanager
def pages_site(settings: Settings, log: Log, store: BlobStore) -> Iterator[str]:
    """The address at which the pages are served for this block."""
    pages = Pages(settings, log, store)
    metrics = Metrics(log, redis_url="redis://127.0.0.1:1/0")
    server = Server(web_app(metrics, door=None, more=pages.routes()), listen(settings))
    server.start()
    try:
        yield server.address
    finally:
        server.stop()
        pages.close()
