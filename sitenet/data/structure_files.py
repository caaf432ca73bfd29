"""Structure files in the formats that users have."""

import json
import re
import warnings
from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp import Poscar
from pymatgen.io.vasp.inputs import BadPoscarWarning

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures import from_dict, from_structure

SUFFIXES = (".cif", ".vasp", ".poscar", ".extxyz", ".xyz", ".json")


def is_structure_file(name: str) -> bool:
    """Whether the name of a file is one of a structure file."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES or path.name.startswith(("POSCAR", "CONTCAR"))


def parse_structure(id_: str, name: str, content: bytes) -> Crystal:
    """Reads the one structure of a file.

    Args:
        id_: Identifier of the crystal.
        name: Name of the file, which tells the format.
        content: What it holds.

    Raises:
        BadCrystal: It holds no structure, more than one, or a disordered one.
    """
    if not is_structure_file(name):
        raise BadCrystal(f"unreadable: {name} is none of {', '.join(SUFFIXES)}, POSCAR*, CONTCAR*")
    try:
        text = content.decode()
        suffix = PurePosixPath(name).suffix.lower()
        if suffix == ".json":
            return from_dict(id_, json.loads(text))
        return from_structure(id_, _PARSERS.get(suffix, _poscar)(text))
    except BadCrystal:
        raise
    except Exception as error:  # the parsers raise errors of every kind
        raise BadCrystal(f"unreadable: {name}: {type(error).__name__}: {error}") from None


def _cif(text: str) -> Structure:
    structures = CifParser.from_str(text).parse_structures(primitive=False)
    if len(structures) != 1:
        raise BadCrystal(f"unreadable: the file holds {len(structures)} structures, not one")
    return structures[0]


def _poscar(text: str) -> Structure:
    with warnings.catch_warnings():
        warnings.simplefilter("error", BadPoscarWarning)  # without symbols, elements would be made up
        return Poscar.from_str(text).structure


def _extxyz(text: str) -> Structure:
    """One frame of extended XYZ: number of sites, `Lattice="..." Properties=...`, one line a site."""
    lines = text.strip().splitlines()
    n_sites, comment = int(lines[0]), lines[1]
    if len(lines) != n_sites + 2:
        raise BadCrystal(f"unreadable: {n_sites} sites are announced, {len(lines) - 2} lines follow")
    lattice = re.search(r'\bLattice="([^"]+)"', comment, re.IGNORECASE)
    if lattice is None:
        raise BadCrystal('unreadable: the second line has no Lattice="..."')
    species, position = _columns(comment)
    rows = [line.split() for line in lines[2:]]
    positions = np.array([row[position : position + 3] for row in rows], dtype=float)
    matrix = np.array(lattice[1].split(), dtype=float).reshape(3, 3)
    return Structure(Lattice(matrix), [row[species] for row in rows], positions, coords_are_cartesian=True)


def _columns(comment: str) -> tuple[int, int]:
    """First columns of the species and the positions."""
    found = re.search(r"\bProperties=\"?([^\s\"]+)", comment, re.IGNORECASE)
    fields = (found[1] if found else "species:S:1:pos:R:3").split(":")
    starts, column = {}, 0
    for name, width in zip(fields[::3], fields[2::3], strict=True):
        starts[name.lower()] = column
        column += int(width)
    return starts["species"], starts["pos"]


_PARSERS: dict[str, Callable[[str], Structure]] = {".cif": _cif, ".extxyz": _extxyz, ".xyz": _extxyz}
