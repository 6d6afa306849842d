"""The sweep: a process of its own beside each worker that finds what was lost.

A run whose lease has passed waits again; a waiting run whose doorbell was lost is rung again. Doorbells that came twice
are harmless: they find nothing to claim.
"""

import logging
import sys
import time
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis import RedisError

from shared import bell
from shared.errors import LmlError
from shared.log import attempts
from shared.log.engine import Log
from shared.settings import Settings, load_settings
from shared.wire import RING_TASK, RUNS_QUEUE, celery_options

logger = logging.getLogger(__name__)

EVERY_S = 5.0
RUNG_LONG_AGO_S = 5.0


def sweep_once(settings: Settings, log: Log, app: Any) -> int:
    """One round; returns how many doorbells it rang."""
    with log.write() as connection:
        lapsed = attempts.release_lapsed(connection)
        waiting = attempts.waiting_longer_than(connection, seconds=RUNG_LONG_AGO_S)
    for run in lapsed:
        logger.warning("run %d: its lease has passed; it waits again", run)
    if not waiting:
        return 0
    client = bell.connect(settings.require_redis_url())
    try:
        options = app.conf.broker_transport_options
        rung = int(client.llen(options["global_keyprefix"] + RUNS_QUEUE))
    finally:
        client.close()
    missing = waiting[rung:]
    for run in missing:
        app.send_task(RING_TASK, args=[run], queue=RUNS_QUEUE, retry=False, ignore_result=True)
    return len(missing)


def main() -> int:
    """Sweep until the worker ends."""
    settings = load_settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s sweep %(message)s")
    log = Log(settings.log_url)
    app = Celery("lml-sweep", set_as_current=False)
    app.conf.update(celery_options(settings.require_redis_url()))
    while True:
        try:
            sweep_once(settings, log, app)
        except (LmlError, RedisError, OperationalError) as error:
            logger.warning("not now: %s", error)
        except Exception:  # a sweep that ends would leave every lost run lost
            logger.exception("a round failed; the next one comes")
        time.sleep(EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
