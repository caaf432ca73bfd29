"""What every data source hands over: entries one by one, and where they come from."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.manifest import Download
from sitenet.errors import UserError


@dataclass(frozen=True)
class Entry:
    """One row of a data source.

    Attributes:
        id: Identifier as the source gives it.
        crystal: The structure, or the reason why it cannot be used.
        target: Value to predict; None leaves the crystal unlabelled.
        group: What must not be split over training and test part; None takes the reduced formula.
    """

    id: str
    crystal: Crystal | BadCrystal
    target: float | None
    group: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a data set comes from, for its manifest.

    Attributes:
        version: Version of the data set or of the database it was taken from.
        url: Where it was, or can be, obtained; of own files the name.
        sha256: Checksum of the file that was read.
        licence: Terms of use.
        citation: Publications to cite.
        query: Criteria of a database query; empty elsewhere.
    """

    version: str
    url: str
    sha256: str
    licence: str
    citation: str
    query: str = ""


@dataclass(frozen=True)
class Source:
    """An opened data set; `entries` can be iterated once."""

    provenance: Provenance
    entries: Iterable[Entry]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unchanged(download: Download, rule: str) -> None:
    """Compares a downloaded file with its checksum.

    Args:
        download: The file and its checksum.
        rule: The rule of the workflow that downloaded it.

    Raises:
        UserError: It is missing, or not what was downloaded.
    """
    path = Path(download.path)
    if not path.exists() or sha256_of(path) != download.sha256:
        raise UserError(f"{path} is missing or has changed since it was downloaded: run again with `--forcerun {rule}`")
