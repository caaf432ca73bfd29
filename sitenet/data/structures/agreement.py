"""One crystal out of what two readers see in a file that lists every site."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal, check_crystal
from sitenet.data.structures.contacts import distinct_sites

_AGREEMENT = 1e-5  # angstrom


@dataclass(frozen=True)
class Sites:
    """What one reader sees: (3, 3) lattice vectors in angstrom, (N,) atomic numbers, (N, 3) fractional coordinates."""

    lattice: NDArray[np.float64]
    atomic_numbers: NDArray[np.integer]
    frac_coords: NDArray[np.float64]

    def __str__(self) -> str:
        """What it is, in a reason."""
        lengths = " ".join(f"{length:.4g}" for length in np.linalg.norm(self.lattice, axis=1))
        return f"{len(self.atomic_numbers)} sites in a cell of {lengths} angstrom"


def agreed(id_: str, name: str, sites: Sites, other_name: str, other: Sites) -> Crystal:
    """The crystal that both see.

    Raises:
        BadCrystal: They see different ones, or sites nearer to each other than atoms can be.
    """
    same = np.array_equal(sites.atomic_numbers, other.atomic_numbers)
    if not same or not np.allclose(sites.lattice, other.lattice, rtol=1e-9, atol=_AGREEMENT):
        raise BadCrystal(f"undecided: {name} reads {sites}, {other_name} {other}")
    shifts = (sites.frac_coords - other.frac_coords) @ sites.lattice
    if np.abs(shifts).max(initial=0) > _AGREEMENT:
        row = int(np.abs(shifts).max(axis=1).argmax())
        raise BadCrystal(f"undecided: {name} and {other_name} read site {row} in different places")
    return without_images(Crystal(id_, sites.lattice, sites.atomic_numbers, sites.frac_coords))


def without_images(crystal: Crystal) -> Crystal:
    """The crystal with every site once; sites that are periodic images of others are left out, and the log tells.

    Raises:
        BadCrystal: Sites are nearer to each other than atoms can be, or `check_crystal` refuses the crystal.
    """
    check_crystal(crystal, max_sites=None)
    keep = distinct_sites(crystal.lattice, crystal.atomic_numbers, crystal.frac_coords)
    if keep.all():
        return crystal
    n_merged = len(keep) - keep.sum()
    warnings.warn(f"{n_merged} of {len(keep)} sites are images of others and are merged with them", stacklevel=2)
    return Crystal(crystal.id, crystal.lattice, crystal.atomic_numbers[keep], crystal.frac_coords[keep])
