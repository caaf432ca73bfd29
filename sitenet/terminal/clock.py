"""How long a run will still take, told in words that are as exact as the estimate."""

import time
from collections.abc import Mapping

SLOW = ("featurize", "train", "baseline")  # nothing can be said before one of each is done


class Clock:
    """Estimates the time left from the jobs that are done, rule by rule."""

    def __init__(self, planned: Mapping[str, int]):
        """Starts now.

        Args:
            planned: Number of planned jobs of each rule.
        """
        self._planned = planned
        self._seconds: dict[str, list[float]] = {}
        self._started = time.monotonic()

    def count(self, rule: str, seconds: float) -> None:
        """Counts a finished job."""
        self._seconds.setdefault(rule, []).append(seconds)

    def left(self) -> str:
        """The time left, such as "about 5 min left"; empty while it cannot be known."""
        if any(self._remaining(rule) and rule not in self._seconds for rule in SLOW):
            return ""
        work = sum(self._remaining(rule) * sum(spent) / len(spent) for rule, spent in self._seconds.items())
        side_by_side = sum(map(sum, self._seconds.values())) / max(time.monotonic() - self._started, 1e-9)
        seconds = work / max(side_by_side, 1.0)
        return f"{in_words(seconds)} left" if seconds >= 1 else ""

    def _remaining(self, rule: str) -> int:
        return self._planned.get(rule, 0) - len(self._seconds.get(rule, ()))


def in_words(seconds: float) -> str:
    """A duration that is an estimate."""
    if seconds < 50:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {round(minutes / 60)} h"


def duration(seconds: float) -> str:
    """A duration that was measured."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
