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

    Args:
        items: What to loop over.
        total: Their number.
        what: Start of the message, such as "shard 2 of 8".
    """
    start = logged = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - logged >= INTERVAL:
            rate = done / (now - start)
            left = (total - done) / rate
            logger.info("%s: %d of %d crystals, %.0f a second, %.0f s left", what, done, total, rate, left)
            logged = now
    logger.info("%s: %d crystals in %.1f s", what, done, time.monotonic() - start)
