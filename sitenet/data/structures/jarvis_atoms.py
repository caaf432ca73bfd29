"""Structures as the `Atoms` of jarvis-tools are written in JSON."""

from typing import Any

import numpy as np

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.pymatgen_json import number_of


def from_atoms_dict(id_: str, atoms: Any) -> Crystal:
    """Converts what `Atoms.to_dict` of jarvis-tools returns.

    Its `lattice_mat` has (3, 3) lattice vectors as rows, in angstrom. Its `coords` are (N, 3), fractional or, where
    `cartesian` says so, in angstrom. A site is one element: the format knows no partial occupancy.

    Raises:
        BadCrystal: The dictionary is no such structure.
    """
    try:
        lattice = np.array(atoms["lattice_mat"], dtype=float).reshape(3, 3)
        numbers = np.array([number_of(symbol) for symbol in atoms["elements"]], dtype=np.uint8)
        coords = np.array(atoms["coords"], dtype=float).reshape(-1, 3)
        is_cartesian = atoms["cartesian"]
    except BadCrystal:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadCrystal(f"unreadable: not the atoms of a JARVIS record ({type(error).__name__}: {error})") from None
    if len(coords) != len(numbers):
        raise BadCrystal(f"unreadable: {len(numbers)} elements, but {len(coords)} coordinates")
    if not isinstance(is_cartesian, bool):
        raise BadCrystal(f"unreadable: cartesian is {is_cartesian!r}, neither true nor false")
    if is_cartesian:
        coords = _fractional(lattice, coords)
    return Crystal(id_, lattice, numbers, coords)


def _fractional(lattice: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """(N, 3) fractional coordinates of (N, 3) Cartesian ones, both in the lattice of (3, 3) rows."""
    if not np.isfinite(lattice).all():
        raise BadCrystal("unreadable: lattice or coordinates are not finite")
    if abs(np.linalg.det(lattice)) < 1e-3:
        raise BadCrystal("unreadable: the cell has no volume")
    return np.linalg.solve(lattice.T, coords.T).T
