"""Writing files so that a reader sees the old content or the new one, never half of it."""

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sitenet.errors import UserError

logger = logging.getLogger("sitenet")


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place once it is safely on disk.

    A link stays, and the file that it leads to is replaced. Devices and pipes are refused: a file in place of /dev/null
    would harm every other program.

    Raises:
        UserError: The file cannot be written, for example because the disk is full; `path` is as before.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise UserError(f"cannot write {path}: it is no regular file")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replaces `path` by `content` in one step; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path | str, content: str) -> None:
    """Replaces `path` by `content` in one step; see `replacing`."""
    write_bytes(path, content.encode())


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """`object_pairs_hook` of a JSON decoder that refuses what others resolve in silence: the last key would win.

    Raises:
        RepeatedKey: A key is there twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedKey(next(name for name in names if names.count(name) > 1))
    return values


class RepeatedKey(Exception):  # noqa: N818
    """The key that a JSON object has twice; no ValueError, which would say that the text is no JSON."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Holds `folder` (created where absent) for this process; waits while another one holds it.

    The lock vanishes with its process, however it ends. Temporary files of a killed holder are removed.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror or error}") from error
    with lock:
        _wait_for(lock, folder)
        for stale in folder.glob(".*.tmp"):
            stale.unlink(missing_ok=True)
        yield


def _wait_for(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning("waiting for another process that works in %s", folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:  # some file systems of clusters have no locks
        logger.warning("%s cannot be locked (%s): start no second process there", folder, error.strerror)


def _sync(path: Path) -> None:
    """Forces a file's content, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
