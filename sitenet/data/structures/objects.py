"""Structures of pymatgen and ASE in memory as crystals."""

from typing import TYPE_CHECKING

import numpy as np

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.agreement import without_images
from sitenet.data.structures.pymatgen_json import from_dict
from sitenet.data.structures.species import check_occupancy

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import IStructure


def from_structure(id_: str, structure: "IStructure") -> Crystal:
    """Converts a structure of pymatgen.

    Raises:
        BadCrystal: A site is only partly occupied or no element, the cell is not periodic, or sites overlap.
    """
    return without_images(from_dict(id_, structure.as_dict(verbosity=0)))


def from_atoms(id_: str, atoms: "Atoms") -> Crystal:
    """Converts atoms of ASE.

    Raises:
        BadCrystal: They are not periodic in all three directions, no elements, a site is only partly occupied, or sites
            overlap.
    """
    check_occupancy(atoms.info.get("occupancy"))
    if not atoms.pbc.all():
        raise BadCrystal(f"not periodic: pbc is {' '.join(map(str, atoms.pbc))}")
    lattice = np.array(atoms.cell, dtype=float)
    if abs(np.linalg.det(lattice)) < 1e-3:
        raise BadCrystal("unreadable: the cell has no volume")
    return without_images(Crystal(id_, lattice, atoms.numbers.copy(), atoms.positions @ np.linalg.inv(lattice)))
