"""Paths, archives and ids of the Materials Project as a user names them, with the crystals in them."""

import gzip
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO

from sitenet.data.containers import Archive, Folder, is_hidden, read_limited
from sitenet.data.crystal import BadCrystal
from sitenet.data.sources.materials_project_client import MaterialsProject
from sitenet.data.structures.parse import is_structure_file
from sitenet.errors import UserError, plain
from sitenet.prediction.inputs.contents import frames, items_of_content, structure_of, suffix
from sitenet.prediction.inputs.items import Input, Item, guarded, path_id
from sitenet.prediction.inputs.tables import count_rows, is_json_table, json_table_items, parquet_items

Place = Path | tuple[str, ...]  # a file, or ids of the Materials Project

STANDARD_INPUT = "-"
STREAMED = 5_000_000  # bytes of an extended XYZ file from which on it is read frame by frame
MATERIAL = re.compile(r"(mp|mvc)-[a-z0-9]+")
_TAR = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz|tbz2?|txz)$", re.IGNORECASE)
_NETWORK = (".pt", ".ckpt", ".ckptv")


def open_inputs(names: Sequence[str]) -> Input:
    """All crystals that are named, each file once.

    Args:
        names: Structure files, folders, archives, tables, ids of the Materials Project, and "-" for a list of these
            on standard input, one a line.

    Raises:
        UserError: A network is among them.
    """
    for name in names:
        _refuse_network(name)
    seen: set[Path] = set()
    if STANDARD_INPUT in names:
        streams = (sys.stdin if name == STANDARD_INPUT else [name] for name in names)
        lines = (line.rstrip("\r\n") for stream in streams for line in stream)
        return Input(_items_of(_places((line for line in lines if line.strip()), seen)), None)
    listed = list(_places(names, seen))
    counts = [_count(place) for place in listed]
    return Input(_items_of(listed), None if None in counts else sum(filter(None, counts)))


def _refuse_network(name: str) -> None:
    if name.lower().endswith(_NETWORK):
        raise UserError(f"{name} is a network, not a crystal: write `sitenet predict my.cif --model {name}`")


def _places(names: Iterable[str], seen: set[Path]) -> Iterator[Place]:
    """The files that names lead to, each once; neighbouring ids of the Materials Project are asked for together."""
    for is_material, group in groupby(names, lambda name: bool(MATERIAL.fullmatch(name)) and not Path(name).exists()):
        if is_material:
            yield tuple(group)
            continue
        for name in group:
            for path in _files(Path(name)):
                if path not in seen:
                    seen.add(path)
                    yield path


def _files(path: Path) -> list[Path]:
    """The path, or the structure files in the folder and its subfolders, and the links to folders among them."""
    try:
        if not path.is_dir():
            return [path]
    except OSError:  # such as a name that is too long: reading it tells
        return [path]
    found = [path / name for name in Folder(path).names() if is_structure_file(name) or name.endswith("/")]
    return found or [path]


def _count(place: Place) -> int | None:
    if isinstance(place, tuple):
        return len(place)
    if place.suffix.lower() == ".parquet":
        return count_rows(place)
    several = suffix(place.name) in (".json", ".xyz", ".extxyz", ".zip") or _TAR.search(place.name)
    return None if several else 1


def _items_of(places: Iterable[Place]) -> Iterator[Item]:
    for place in places:
        if isinstance(place, tuple):
            yield from _material_items(place)
        else:
            yield from guarded(path_id(place), _file_items(place))


def _file_items(path: Path) -> Iterator[Item]:
    """The crystals in one file, of whatever kind."""
    name = path.name.lower()
    if path.is_dir():
        link = "unreadable: a link to a folder, which is not followed: name the folder itself"
        raise BadCrystal(link if path.is_symlink() else "missing file: the folder contains no structure file")
    if not path.exists():
        raise BadCrystal("missing file: no such file")
    if not path.is_file():
        raise BadCrystal("unreadable: it is no regular file")
    if name.endswith(".zip"):
        yield from _zip_items(path)
    elif _TAR.search(name):
        yield from _tar_items(path)
    elif name.endswith(".parquet"):
        yield from parquet_items(path)
    elif suffix(name) == ".json" and is_json_table(path):
        yield from json_table_items(path)
    elif suffix(name) in (".xyz", ".extxyz") and path.stat().st_size > STREAMED:
        open_text = gzip.open if name.endswith(".gz") else open
        with open_text(path, "rt", encoding="utf-8", errors="replace") as text:
            yield from frames(path_id(path), text)
    else:
        with path.open("rb") as file:
            content = read_limited(file, path.name)
        yield from items_of_content(path_id(path), path.name, content)


def _zip_items(path: Path) -> Iterator[Item]:
    archive = Archive(path)
    names = [name for name in archive.names() if is_structure_file(name)]
    for name in names:
        id_ = path_id(path / name)
        yield from guarded(id_, _read_member(id_, name, archive))
    if not names:
        raise BadCrystal("missing file: the archive contains no structure file")


def _read_member(id_: str, name: str, archive: Archive) -> Iterator[Item]:
    yield from items_of_content(id_, name, archive.read(name))


def _tar_items(path: Path) -> Iterator[Item]:
    """Members in the order of the archive, which is read once; nothing is unpacked to disk."""
    n = 0
    try:
        with tarfile.open(path, "r|*", encoding="utf-8") as archive:
            for member in archive:
                if member.isdir() or is_hidden(member.name) or not is_structure_file(member.name):
                    continue
                n += 1
                id_, file = path_id(path / member.name), archive.extractfile(member) if member.isfile() else None
                if file is None:
                    yield Item(id_, BadCrystal("unreadable: a link or device in an archive is not followed"))
                else:
                    yield from guarded(id_, _read_tar(id_, member.name, file))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BadCrystal(f"a damaged tar archive after {n} structure files: {error}") from None
    if not n:
        raise BadCrystal("missing file: the archive contains no structure file")


def _read_tar(id_: str, name: str, file: IO[bytes]) -> Iterator[Item]:
    yield from items_of_content(id_, name, read_limited(file, name))


def _material_items(ids: Sequence[str]) -> Iterator[Item]:
    """Structures of the Materials Project; where it gives no answer, each of the ids says so."""
    done = 0
    try:
        service = MaterialsProject()
        for document in service.documents(ids, ["structure"]):
            id_ = ids[done]
            done += 1
            if document.get("structure") is None:
                yield Item(id_, BadCrystal("missing structure: the Materials Project has none of this id"))
            else:
                yield Item(id_, structure_of(id_, document["structure"]))
    except UserError as error:
        yield from (Item(id_, BadCrystal(f"unreadable: {plain(str(error))}")) for id_ in ids[done:])
