"""Folders and zip archives as files by name; nothing is ever unpacked to disk."""

import os
import zipfile
from collections import Counter
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
        return sorted(name for name in names if not is_hidden(name))

    def read(self, name: str) -> bytes:
        """Content of a file; raises BadCrystal with the reason if it cannot be read."""
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root):
                raise BadCrystal(f"unreadable: {name} lies outside the data set's folder")
            if not path.is_file():
                raise BadCrystal(f"missing file: {name}")
            with path.open("rb") as file:
                return read_limited(file, name)
        except (OSError, RuntimeError, ValueError) as error:  # links in a circle; NUL in a name
            if isinstance(error, BadCrystal):
                raise
            raise BadCrystal(f"unreadable: {name}: {error}") from None


class Archive:
    """Members of a zip archive; backslashes in their names, as some Windows programs write them, are slashes."""

    def __init__(self, path: Path):
        """Reads the table of contents; raises BadCrystal with the reason if it cannot be had."""
        try:
            self._zip = zipfile.ZipFile(path)
        except Exception as error:  # of many kinds: a damaged archive may hold anything
            raise BadCrystal(f"a damaged zip archive: {error}") from None
        members = [info for info in self._zip.infolist() if not info.is_dir()]
        self._members = {_plain(info.filename): info for info in members}
        counts = Counter(_plain(info.filename) for info in members)
        self._repeated = {name for name, n in counts.items() if n > 1}

    def names(self) -> list[str]:
        """Names of all files, sorted, without hidden ones."""
        return sorted(name for name in self._members if not is_hidden(name))

    def read(self, name: str) -> bytes:
        """Content of a file; raises BadCrystal with the reason if it cannot be read."""
        if name.startswith(("/", "\\")) or ".." in PurePosixPath(_plain(name)).parts:
            raise BadCrystal(f"unreadable: {name} leads out of the archive")
        if _plain(name) in self._repeated:
            raise BadCrystal(f"unreadable: the archive holds {name} more than once")
        if _plain(name) not in self._members:
            raise BadCrystal(f"missing file: {name}")
        try:
            with self._zip.open(self._members[_plain(name)]) as file:
                return read_limited(file, name)
        except BadCrystal:
            raise
        except Exception as error:  # each kind of compression has its own
            raise BadCrystal(f"unreadable: {name}: {type(error).__name__}: {error}") from None


class Subfolder:
    """What lies below one folder of a container, without the folder's name."""

    def __init__(self, container: Container, folder: str):
        self._container, self._folder = container, folder

    def names(self) -> list[str]:
        """Names of all files, sorted, without hidden ones."""
        prefix = f"{self._folder}/"
        return [name.removeprefix(prefix) for name in self._container.names() if name.startswith(prefix)]

    def read(self, name: str) -> bytes:
        """Content of a file; raises BadCrystal with the reason if it cannot be read."""
        return self._container.read(f"{self._folder}/{name}")


def _plain(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def is_hidden(name: str) -> bool:
    """Whether a file is one that systems add and do not show, such as `__MACOSX/._a.cif`."""
    return any(part == "__MACOSX" or (part[0] == "." and part != "..") for part in PurePosixPath(name).parts)


def read_limited(file: IO[bytes], name: str) -> bytes:
    """Content of an open file; raises BadCrystal if it is larger than `MAX_FILE`."""
    content = file.read(MAX_FILE + 1)  # sizes that an archive states are not to be trusted
    if len(content) > MAX_FILE:
        raise BadCrystal(f"too large: {name} has more than {MAX_FILE // 1_000_000} MB")
    return content
