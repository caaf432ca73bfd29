"""Structures in the forms that sources have them, as `Crystal`."""

from functools import cache
from typing import Any

import numpy as np
from pymatgen.core import Element, Structure

from sitenet.data.crystal import BadCrystal, Crystal


def from_structure(id_: str, structure: Structure) -> Crystal:
    """Converts a pymatgen structure.

    Raises:
        BadCrystal: A site is only partly occupied, or shared.
    """
    return from_dict(id_, structure.as_dict())


def from_dict(id_: str, structure: dict[str, Any]) -> Crystal:
    """Converts what pymatgen's `Structure.as_dict` returns, without building the structure (30 times faster).

    Raises:
        BadCrystal: A site is only partly occupied, or shared; or the dictionary is no structure.
    """
    try:
        sites = structure["sites"]
        numbers = [_atomic_number(index, site["species"]) for index, site in enumerate(sites)]
        lattice = np.array(structure["lattice"]["matrix"], dtype=float).reshape(3, 3)
        frac_coords = np.array([site["abc"] for site in sites], dtype=float).reshape(len(sites), 3)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadCrystal):
            raise
        raise BadCrystal(f"unreadable: not a pymatgen structure ({type(error).__name__}: {error})") from None
    return Crystal(id_, lattice, np.array(numbers, dtype=np.uint8), frac_coords)


def _atomic_number(index: int, species: list[dict[str, Any]]) -> int:
    if len(species) != 1 or not abs(species[0]["occu"] - 1) <= 1e-8:  # not: NaN
        held = ", ".join(f"{kind['element']} {kind['occu']:g}" for kind in species) or "nothing"
        raise BadCrystal(f"disordered: site {index} holds {held}")
    return _number_of(species[0]["element"])


@cache
def _number_of(symbol: str) -> int:
    try:
        return Element(symbol).Z
    except ValueError:
        raise BadCrystal(f"unreadable: '{symbol}' is not an element") from None
