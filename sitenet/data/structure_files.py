"""Structure files in the formats that users have."""

import json
import logging
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, str2float
from pymatgen.io.vasp import Poscar
from pymatgen.io.vasp.inputs import BadPoscarWarning

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures import from_dict, from_structure

log = logging.getLogger(__name__)
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
        # Names of authors in another encoding are no reason to refuse a structure.
        text = content.decode("utf-8-sig", errors="replace")
        suffix = PurePosixPath(name).suffix.lower()
        if suffix == ".json":
            return from_dict(id_, json.loads(text))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            structure = _PARSERS.get(suffix, _poscar)(text)
        for message in dict.fromkeys(str(warning.message) for warning in caught):
            log.warning("%s: %s", name, " ".join(message.split()))
        return from_structure(id_, structure)
    except BadCrystal:
        raise
    except Exception as error:  # the parsers raise errors of every kind
        raise BadCrystal(f"unreadable: {name}: {type(error).__name__}: {error}") from None


def _cif(text: str) -> Structure:
    blocks = re.split(r"^\s*(?=data_)", text, flags=re.MULTILINE)
    cells = [block for block in blocks if re.search(r"^\s*_cell_length_a\s", block, re.MULTILINE)]
    if len(cells) != 1:
        raise BadCrystal(f"unreadable: the file holds {len(cells)} structures, not one")
    # Alone: the parser compares the formula of the first block, whichever holds the structure.
    parser: Any = CifParser.from_str(cells[0], check_cif=False)  # Any: its attributes are not declared
    (block,) = parser._cif.data.values()
    if "_atom_site_occupancy" in block.data:
        block.data["_atom_site_occupancy"] = [_occupancy(value) for value in block["_atom_site_occupancy"]]
    (structure,) = parser.parse_structures(primitive=False, on_error="raise")
    _check_complete(structure, parser, block["_atom_site_label"])
    for message in parser.warnings:
        warnings.warn(message, stacklevel=2)
    return structure


def _occupancy(value: str) -> str:
    """The occupancy of a site, 1 where it is left out (CIF core dictionary); the parser drops sites of 0."""
    if value in (".", "?"):
        return "1"
    if not str2float(value) > 0:  # not: NaN
        raise BadCrystal(f"incomplete structure: a site has the occupancy {value}")
    return value


def _check_complete(structure: Structure, parser: CifParser, labels: Sequence[str]) -> None:
    """Checks that no site was dropped, and the formula where the file states one."""
    if not structure.is_ordered:
        return  # refused for that, with a better reason
    lost = [label for label in labels if label not in structure.labels]
    if lost:
        raise BadCrystal(f"incomplete structure: the parser drops the site {lost[0]}")
    difference = parser.check(structure)
    if difference and difference.startswith(("Missing elements", "Incorrect stoichiometry")):
        raise BadCrystal(f"incomplete structure: {difference}")
    if difference:
        warnings.warn(difference, stacklevel=2)
    if "implicit_hydrogens" in structure.site_properties:
        raise BadCrystal("incomplete structure: hydrogens have no coordinates")


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
