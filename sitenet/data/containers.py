"""Folders and zip archives as files by name; nothing is ever unpacked to disk."""

import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from sitenet.data.crystal import BadCrystal

MAX_FILE = 50_000_000  # bytes of one file, unpacked


class Container(Protocol):
    """Files by name."""

    def names(self) -> list[str]:
        """Names of all files, sorted, without hidden ones."""

    def read(self, name: str) -> bytes:
        """Content of a file; raises BadCrystal with the reason if it cannot be had."""


class Folder:
    """Files of a folder; names that lead out of it, also by links, are refused."""

    def __init__(self, root: Path):
        self._root = root.resolve()

    def names(self) -> list[str]:
        """Names of all files, sorted, without hidden ones; links to folders are not followed, and end in a slash."""
        names = []
        for folder, subfolders, files in os.walk(self._root):
            links = [f"{name}/" for name in subfolders if (Path(folder) / name).is_symlink()]
            inside = Path(folder).relative_to(self._root)
            names += [f"{inside.as_posix()}/{name}".removeprefix("./") for name in [*files, *links]]
        return sorted(name for name in names if not _is_hidden(name))

    def read(self, name: str) -> bytes:
        """Content of a file."""
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root):
                raise BadCrystal(f"unreadable: {name} lies outside the data set's folder")
            if not path.is_file():
                raise BadCrystal(f"missing file: {name}")
            with path.open("rb") as file:
                return _read_limited(file, name)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise BadCrystal(f"unreadable: {name}: {error}") from None


class Archive:
    """Members of a zip archive."""

    def __init__(self, path: Path):
        self._zip = zipfile.ZipFile(path)
        members = (name for name in self._zip.namelist() if not name.endswith("/"))
        self._members = {PurePosixPath(name).as_posix(): name for name in members}

    def names(self) -> list[str]:
        """Names of all files, sorted, without hidden ones."""
        return sorted(name for name in self._members if not _is_hidden(name))

    def read(self, name: str) -> bytes:
        """Content of a file."""
        if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            raise BadCrystal(f"unreadable: {name} leads out of the archive")
        try:
            with self._zip.open(self._members[name]) as file:
                return _read_limited(file, name)
        except KeyError:
            raise BadCrystal(f"missing file: {name}") from None
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise BadCrystal(f"unreadable: {name}: {error}") from None


def _is_hidden(name: str) -> bool:
    """Whether a file is one that systems add and do not show, such as `__MACOSX/._a.cif`."""
    return any(part == "__MACOSX" or (part[0] == "." and part != "..") for part in PurePosixPath(name).parts)


def _read_limited(file: IO[bytes], name: str) -> bytes:
    content = file.read(MAX_FILE + 1)  # sizes that an archive states are not to be trusted
    if len(content) > MAX_FILE:
        raise BadCrystal(f"too large: {name} has more than {MAX_FILE // 1_000_000} MB")
    return content
