"""The jobs of a run as the driver knows them: what they do in words, and what is new in their logs."""

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FIRST_REPORT_SECONDS = 20.0
LAST_INTERVAL_SECONDS = 600.0
SKEW_SECONDS = 1.0  # between the clocks of this machine and of the file system
_LINE = re.compile(r"\d\d:\d\d:\d\d (INFO|WARNING|ERROR|CRITICAL) (.+)")
_RUN = re.compile(r"fold \d+ seed \d+ trial [0-9a-f]{8}: ")  # the words of the job say it already
_PLACE = re.compile(r"\S+\.py:\d+: (?=\w+Warning: )")


@dataclass(frozen=True)
class Line:
    """A line that a job logged: level and text."""

    level: str
    text: str


@dataclass
class Job:
    """A job that was started.

    Attributes:
        rule: Name of its rule.
        words: What it does, such as "train sitenet blocks=2, fold 0".
        logs: Its log files.
        started: When it was started or submitted.
        progress: The last thing that it logged of its progress.
        error: The last error that it logged.
    """

    rule: str
    words: str
    logs: Sequence[Path]
    started: float = field(default_factory=time.monotonic)
    progress: str = ""
    error: str = ""
    _begun: float = field(default_factory=time.time)
    _read: dict[Path, int] = field(default_factory=dict)
    _interval: float = FIRST_REPORT_SECONDS
    _reported: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time since it was started."""
        return time.monotonic() - self.started

    def look(self) -> tuple[str, list[Line]]:
        """What the job has logged since the last look: whole lines as they are, and those with a level."""
        text = "".join(map(self._new_text, self.logs))
        lines = _lines_of(text)
        for line in lines:
            if line.level == "INFO":
                self.progress = line.text
            elif line.level in ("ERROR", "CRITICAL"):
                self.error = line.text
        return text, lines

    def _new_text(self, log: Path) -> str:
        try:
            with log.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_mtime < self._begun - SKEW_SECONDS:  # of an earlier attempt; the job will write it anew
                    return ""
                start = self._read.get(log, 0)
                file.seek(start if start <= state.st_size else 0)
                whole, newline, begun = file.read().rpartition(b"\n")
                self._read[log] = file.tell() - len(begun)
        except OSError:  # not there yet
            return ""
        return (whole + newline).decode(errors="replace")

    def is_due(self) -> bool:
        """Whether there is something to tell about its progress, and the time for it: at growing intervals."""
        now = time.monotonic()
        if not self.progress or now - self._reported < self._interval:
            return False
        self._reported, self._interval = now, min(1.5 * self._interval, LAST_INTERVAL_SECONDS)
        return True


def _lines_of(text: str) -> list[Line]:
    """The lines of a log, without the time, the run they belong to and the tracebacks between them."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return [Line(match[1], _PLACE.sub("", _RUN.sub("", match[2]))) for match in found if match]


def job_words(rule: str, wildcards: Mapping[str, str], trials: Mapping[str, str], seeds: int) -> str:
    """What a job does.

    Args:
        rule: Name of its rule.
        wildcards: Its wildcards.
        trials: Name of each trial by id.
        seeds: Number of planned seeds; the only one is not mentioned.
    """
    named = {name: value for name, value in wildcards.items() if name != "seed" or seeds > 1}
    trial = named.pop("trial", "")
    features = named.pop("features", "")
    model = trials.get(trial, trial)
    verb = "" if model.split(" ")[0] == rule else rule.replace("_", " ")
    head = " ".join(filter(None, [verb, model, features]))
    return ", ".join([head, *(f"{name} {value}" for name, value in named.items())])
