"""Structures as pymatgen writes them in JSON."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice

from sitenet.data.crystal import BadCrystal, Crystal

# An occupancy that differs by less from one is one that was rounded.
FULL = 1e-3


def from_dict(id_: str, structure: dict[str, Any]) -> Crystal:
    """Converts what pymatgen's `Structure.as_dict` returns, without building the structure (30 times faster).

    Raises:
        BadCrystal: A site is only partly occupied, or shared; the cell is not periodic; or the dictionary is no
            structure.
    """
    try:
        sites = structure["sites"]
        numbers = [_atomic_number(index, site["species"]) for index, site in enumerate(sites)]
        lattice = _matrix(structure["lattice"])
        frac_coords = np.array([site["abc"] for site in sites], dtype=float).reshape(len(sites), 3)
    except BadCrystal:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadCrystal(f"unreadable: not a pymatgen structure ({type(error).__name__}: {error})") from None
    return Crystal(id_, lattice, np.array(numbers, dtype=np.uint8), frac_coords)


def _matrix(lattice: dict[str, Any]) -> NDArray[np.float64]:
    """(3, 3) lattice vectors, of lengths and angles where the matrix is left out."""
    if not all(lattice.get("pbc") or [True]):
        raise BadCrystal(f"not periodic: the cell's pbc is {lattice['pbc']}")
    if "matrix" in lattice:
        return np.array(lattice["matrix"], dtype=float).reshape(3, 3)
    parameters = [float(lattice[key]) for key in ("a", "b", "c", "alpha", "beta", "gamma")]
    return np.array(Lattice.from_parameters(*parameters).matrix)


def _atomic_number(index: int, species: list[dict[str, Any]]) -> int:
    if len(species) != 1 or not abs(species[0]["occu"] - 1) <= FULL:  # not: NaN
        held = ", ".join(f"{kind['element']} {kind['occu']}" for kind in species) or "nothing"
        raise BadCrystal(f"disordered: site {index} holds {held}")
    return number_of(species[0]["element"])


@cache
def number_of(symbol: str) -> int:
    """Atomic number of an element's symbol.

    Raises:
        BadCrystal: It is none.
    """
    try:
        return Element(symbol).Z
    except ValueError:
        raise BadCrystal(f"unreadable: '{symbol}' is not an element") from None
