"""Crystals that could not be used, with the reason: one table a stage, `failures.csv`."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sitenet.errors import UserError
from sitenet.files import replacing

FAILURES = "failures.csv"  # beside the manifest of a data set or of features
COLUMNS = ("id", "stage", "reason")


class Failure(NamedTuple):
    """A crystal that could not be used; `stage` is "data" or "features"."""

    id: str
    stage: str
    reason: str

    @property
    def kind(self) -> str:
        """What the reason begins with, such as "unreadable"."""
        return self.reason.partition(":")[0]


def write_failures(path: Path | str, failures: Iterable[Failure]) -> None:
    """Writes a table of failures."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(failures)


def read_failures(path: Path | str) -> list[Failure]:
    """Reads a table of failures.

    Raises:
        UserError: The file is damaged.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise UserError(f"{path} is damaged: its columns must be {', '.join(COLUMNS)}")
    return [Failure(*row) for row in rows[1:]]
