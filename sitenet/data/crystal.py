"""The plain record that travels from every data source to the featurizer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sitenet.settings.elements import SYMBOLS

# In angstrom: more than any crystal needs, far less than what overflows in distances.
MAX_LENGTH = 10_000
MIN_HEIGHT = 0.3  # angstrom between two faces of the cell
MIN_VOLUME = 0.2  # cubic angstrom a site, sites that are listed several times included
MAX_FRACTION = 1e6  # of fractional coordinates: beyond, their digits behind the point say too little


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
    check_cell(crystal.lattice, n_sites)
    if np.abs(crystal.frac_coords).max() > MAX_FRACTION:
        raise BadCrystal(f"unreadable: a fractional coordinate is larger than {MAX_FRACTION:,.0f}")
    if max_sites is not None and n_sites > max_sites:
        raise BadCrystal(f"too large: {n_sites} sites, the limit is {max_sites} (dataset.max_sites)")


def check_cell(lattice: NDArray[np.float64], n_sites: int) -> NDArray[np.float64]:
    """Checks that atoms have room in a cell.

    Returns:
        (3,) distances between opposite faces, in angstrom.

    Raises:
        BadCrystal: Two faces are nearer than `MIN_HEIGHT`, or a site has less than `MIN_VOLUME`.
    """
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    if not heights.min() >= MIN_HEIGHT:
        raise BadCrystal(f"unphysical: two faces of the cell are {heights.min():.2g} angstrom apart")
    volume = abs(np.linalg.det(lattice)) / n_sites
    if not volume >= MIN_VOLUME:
        raise BadCrystal(f"unphysical: a site has {volume:.2g} cubic angstrom")
    return heights
