"""Snapshots of the Materials Project: a header and one line a crystal, gzipped JSON lines.

While one is fetched it grows, line by line and not compressed, beside its final place.
"""

import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from sitenet.errors import UserError
from sitenet.files import replacing
from sitenet.records import Record


class SnapshotHeader(Record):
    """What a snapshot was fetched for.

    `criteria` are the arguments of the client's summary search, `others` the fields of further targets.
    """

    name: str
    endpoint: str
    database_version: str
    target: str
    criteria: dict[str, Any]
    others: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)


Row = dict[str, Any]  # id, target, structure, and if there are further targets others


class GrowingSnapshot:
    """A snapshot that is being fetched.

    Attributes:
        done: Ids that an interrupted fetch from the same database has left.
    """

    def __init__(self, path: Path, header: SnapshotHeader):
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._part.parent.mkdir(parents=True, exist_ok=True)
        self.done = self._continue((header.model_dump_json() + "\n").encode())

    def _continue(self, header: bytes) -> set[str]:
        """Cuts off a half-written line, and everything if the header is another one."""
        done: set[str] = set()
        end = 0
        self._part.touch()
        with self._part.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") or (end == 0 and line != header):
                    break
                if end > 0:
                    done.add(json.loads(line)["id"])
                end += len(line)
        os.truncate(self._part, end)
        if end == 0:
            self._part.write_bytes(header)
        return done

    def add(self, rows: Iterable[Row]) -> None:
        """Appends rows as they come."""
        with self._part.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def finish(self) -> None:
        """Compresses the rows; without name and time, so that the same rows have the same checksum."""
        with (
            replacing(self._path) as temporary,
            self._part.open("rb") as lines,
            temporary.open("wb") as file,
            gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        ):
            shutil.copyfileobj(lines, packed)
        self._part.unlink()


def read_header(path: Path) -> SnapshotHeader:
    """Header of a snapshot.

    Raises:
        UserError: The file is damaged.
    """
    try:
        return SnapshotHeader.model_validate_json(next(_lines(path), ""))
    except ValidationError:
        raise UserError(f"{path} is damaged (its first line is no header); remove it to fetch it again") from None


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of a snapshot."""
    for line in _rows(path):
        yield json.loads(line)


def read_digests(path: Path) -> dict[str, bytes]:
    """A digest of each row by id, to compare snapshots by."""
    return {json.loads(line)["id"]: hashlib.sha256(line.encode()).digest() for line in _rows(path)}


def _rows(path: Path) -> Iterator[str]:
    lines = _lines(path)
    next(lines)
    return lines


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it to fetch it again") from None
