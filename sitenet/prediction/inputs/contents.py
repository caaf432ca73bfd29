"""What one file holds: most formats one structure, extended XYZ and JSON any number of them."""

import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, TextIO

from sitenet.data.containers import MAX_FILE
from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.agreement import without_images
from sitenet.data.structures.objects import from_atoms
from sitenet.data.structures.parse import parse_json, warnings_logged
from sitenet.data.structures.pymatgen_json import from_dict
from sitenet.data.structures.text import decode
from sitenet.errors import plain
from sitenet.prediction.inputs.items import FileContent, Item


def items_of_content(id_: str, name: str, content: bytes) -> Iterator[Item]:
    """The structures of a file in memory; the second of several has the id `id_#2`.

    Raises:
        BadCrystal: The file cannot be read as a whole.
    """
    match suffix(name):
        case ".xyz" | ".extxyz":
            yield from frames(id_, io.StringIO(decode(name, content)))
        case ".json":
            yield from _json_items(Item(id_, FileContent(name, content)), decode(name, content))
        case _:
            yield Item(id_, FileContent(name, content))


def suffix(name: str) -> str:
    """Ending of a file's name in lower case, without the `.gz` of a packed one."""
    return PurePosixPath(name.lower().removesuffix(".gz")).suffix


def frames(id_: str, file: TextIO) -> Iterator[Item]:
    """The frames of an extended XYZ file one by one, each as a file of its own.

    Raises:
        BadCrystal: A frame does not begin with its number of sites.
    """
    frame, n, problem = _next_frame(file), 0, None
    if frame is None:
        raise BadCrystal("empty: the file has no frame")
    while frame is not None:
        try:
            following = _next_frame(file)
        except BadCrystal as reason:  # the frame before it is good
            following, problem = None, reason
        n += 1
        is_alone = n == 1 and following is None and problem is None
        yield Item(id_ if is_alone else f"{id_}#{n}", FileContent("frame.extxyz", frame.encode()))
        frame = following
    if problem is not None:
        raise problem


def _next_frame(file: TextIO) -> str | None:
    head = next((line for line in iter(lambda: file.readline(MAX_FILE), "") if line.strip()), None)
    if head is None:
        return None
    if not head.strip().isdecimal() or len(head.strip()) > 6:
        raise BadCrystal("unreadable: a frame of extended XYZ begins with the number of sites")
    lines, size = [head], len(head)
    for _ in range(int(head) + 1):
        lines.append(file.readline(MAX_FILE))
        size += len(lines[-1])
        if size > MAX_FILE:
            raise BadCrystal(f"too large: a frame has more than {MAX_FILE // 1_000_000} MB")
    return "".join(lines)


def _json_items(file: Item, text: str) -> Iterator[Item]:
    """Structures of pymatgen or ASE: one, a list of them, or objects with the key `structure` and perhaps `id`."""
    content = parse_json(text)
    if isinstance(content, dict) and "sites" in content:
        yield file  # a process that has time reads it
        return
    if isinstance(content, dict) and ("nextid" in content or "numbers" in content):
        yield from _ase_items(file.id, text)
        return
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise BadCrystal("empty: the list has no structures")
    for n, entry in enumerate(entries, start=1):
        own = entry.get("id") or entry.get("material_id") if isinstance(entry, dict) else None
        place = file.id if len(entries) == 1 else f"{file.id}#{plain(str(own or n))}"
        yield Item(place, structure_of(place, entry.get("structure", entry) if isinstance(entry, dict) else entry))


def structure_of(id_: str, content: Any) -> Crystal | BadCrystal:
    """The structure that pymatgen wrote as JSON, checked like one of a file, or what is wrong with it."""
    try:
        with warnings_logged(id_):
            return without_images(from_dict(id_, content))
    except BadCrystal as reason:
        return reason


def _ase_items(id_: str, text: str) -> Iterator[Item]:
    """Atoms as `ase.io.write` and `ase.db` write them, or as ASE encodes a single object."""
    import ase.io
    from ase import Atoms
    from ase.io.jsonio import decode as decode_ase

    try:
        single = decode_ase(text) if '"nextid"' not in text else None
        found = [single] if isinstance(single, Atoms) else ase.io.read(io.StringIO(text), index=":", format="json")
    except Exception as error:  # of every kind
        raise BadCrystal(f"unreadable: no JSON of ASE: {type(error).__name__}: {error}") from None
    for n, atoms in enumerate(found, start=1):
        place = id_ if len(found) == 1 else f"{id_}#{n}"
        try:
            yield Item(place, from_atoms(place, atoms))
        except BadCrystal as reason:
            yield Item(place, reason)
