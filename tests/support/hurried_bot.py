"""A bot that waits for what is unsure for seconds instead of half a minute, for tests that would wait for it.

`python -m support.hurried_bot` is `python -m bot` with shorter leases of cards and of datasets that are fetched: the
product's own are longer than the longest call to Slack. What is done, and in which order, is the product's.
"""

from bot.__main__ import main
from bot.delivery import preparer
from bot.delivery.sender import Rhythm

LONGEST_S = 3.0

if __name__ == "__main__":
    begins = Rhythm.__init__
    begins.__defaults__ = tuple(min(seconds, LONGEST_S) for seconds in begins.__defaults__ or ())
    preparer.PREPARING_LEASE_S = LONGEST_S  # type: ignore[attr-defined]
    raise SystemExit(main())
