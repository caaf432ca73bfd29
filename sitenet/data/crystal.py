"""The plain record that travels from every data source to the featurizer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sitenet.settings.elements import SYMBOLS

# In angstrom: more than any crystal needs, far less than what overflows in distances.
MAX_LENGTH = 10_000


@dataclass(frozen=True)
class Crystal:
    """One ordered crystal structure.

    Attributes:
        id: Identifier, unique within its data set.
        lattice: (3, 3) lattice vectors as rows, in angstrom.
        atomic_numbers: (N,) atomic number of each site.
        frac_coords: (N, 3) fractional coordinates.
    """

    id: str
    lattice: NDArray[np.float64]
    atomic_numbers: NDArray[np.integer]
    frac_coords: NDArray[np.float64]


class BadCrystal(ValueError):  # noqa: N818
    """A crystal that cannot be used; the message is the reason shown in the failures table.

    Reasons start with their kind, which the manifest counts: "too large: 312 sites, the limit is 300".
    """


def check_crystal(crystal: Crystal, max_sites: int | None) -> None:
    """Checks the elements, the size of the cell, that all numbers are finite, and the number of sites.

    Raises:
        BadCrystal: With the reason.
    """
    n_sites = len(crystal.atomic_numbers)
    if n_sites == 0:
        raise BadCrystal("empty: the structure has no sites")
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.frac_coords).all()):
        raise BadCrystal("unreadable: lattice or coordinates are not finite")
    for atomic_number in (crystal.atomic_numbers.min(), crystal.atomic_numbers.max()):
        if not 1 <= atomic_number <= len(SYMBOLS):
            raise BadCrystal(f"unknown element: atomic number {atomic_number} is not in 1..{len(SYMBOLS)}")
    if np.abs(crystal.lattice).max() > MAX_LENGTH:
        raise BadCrystal(f"unreadable: the cell is larger than {MAX_LENGTH} angstrom")
    if abs(np.linalg.det(crystal.lattice)) < 1e-3:
        raise BadCrystal("unreadable: the cell has no volume")
    if max_sites is not None and n_sites > max_sites:
        raise BadCrystal(f"too large: {n_sites} sites, the limit is {max_sites} (dataset.max_sites)")
