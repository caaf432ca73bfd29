"""Any structure file as a crystal, or the one line that says why not."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.agreement import without_images
from sitenet.data.structures.pymatgen_json import from_dict
from sitenet.data.structures.text import decode, one_line
from sitenet.files import RepeatedKey, unrepeated

log = logging.getLogger(__name__)
SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".extxyz", ".xyz", ".json")


def is_structure_file(name: str) -> bool:
    """Whether the name of a file is one of a structure file, packed with gzip or not."""
    path = _unpacked(name)
    return path.suffix.lower() in SUFFIXES or path.name.startswith(("POSCAR", "CONTCAR"))


def parse_structure(id_: str, name: str, content: bytes) -> Crystal:
    """Reads the one structure of a file.

    Args:
        id_: Identifier of the crystal.
        name: Name of the file, which tells the format.
        content: What it holds.

    Raises:
        BadCrystal: It holds no structure, more than one, or a disordered one, contradicts itself, or leaves open what
            the structure is. The reason is one printable line.
    """
    if not is_structure_file(name):
        raise BadCrystal(one_line(f"unreadable: {name} is none of {', '.join(SUFFIXES)}, POSCAR*, CONTCAR*"))
    read = _reader(_unpacked(name).suffix.lower())
    try:
        with warnings_logged(name):
            return read(id_, decode(name, content))
    except BadCrystal as reason:
        raise BadCrystal(one_line(reason)) from None
    except Exception as error:  # the libraries raise errors of every kind
        raise BadCrystal(one_line(f"unreadable: {name}: {type(error).__name__}: {error}")) from None


@contextmanager
def warnings_logged(name: str) -> Iterator[None]:
    """Logs what is warned of within, each message once, with the name of what is read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        log.warning("%s", one_line(f"{name}: {message}"))


def _unpacked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def parse_json(text: str) -> Any:
    """The content of a JSON text.

    Raises:
        BadCrystal: It is no JSON, has a key twice, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=unrepeated)
    except RepeatedKey as key:
        raise BadCrystal(f"unreadable: the key '{key}' is there twice") from None
    except RecursionError:
        raise BadCrystal("unreadable: the JSON is nested too deeply") from None
    except ValueError as error:
        raise BadCrystal(f"unreadable: no JSON: {error}") from None


def _read_json(id_: str, text: str) -> Crystal:
    return without_images(from_dict(id_, parse_json(text)))


def _reader(suffix: str) -> Callable[[str, str], Crystal]:
    """The reader of a format, imported when the first file asks for it: those of ASE and pymatgen take a second."""
    match suffix:
        case ".json":
            return _read_json
        case ".cif" | ".mcif":
            from sitenet.data.structures.judge import read_cif

            return read_cif
        case ".extxyz" | ".xyz":
            from sitenet.data.structures.xyz import read_extxyz

            return read_extxyz
        case _:
            from sitenet.data.structures.poscar import read_poscar

            return read_poscar
