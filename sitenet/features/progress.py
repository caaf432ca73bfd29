"""Logs the speed and the remaining time of a long loop."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
logger = logging.getLogger("sitenet")
INTERVAL = 5.0


def with_progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yields `items`; about every five seconds logs how many of `total` are done, the speed and the remaining time.

    The first item takes longer, because it compiles functions: the speed is that of the items behind it. The remaining
    time is told once a tenth is done.

    Args:
        items: What to loop over.
        total: Their number.
        what: Start of the message, such as "shard 2 of 8".
    """
    start = logged = first = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == 1:
            first = logged = now
        elif now - logged >= INTERVAL:
            rate = (done - 1) / (now - first)
            left = f", {(total - done) / rate:.0f} s left" if done >= total / 10 else ""
            logger.info("%s: %d of %d crystals, %.1f a second%s", what, done, total, rate, left)
            logged = now
    logger.info("%s: %d crystals in %.1f s", what, done, time.monotonic() - start)
