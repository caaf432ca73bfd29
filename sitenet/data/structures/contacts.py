"""Sites that are too near to be two atoms: one site that is listed twice, or a reading that is wrong."""

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sitenet.data.crystal import BadCrystal, check_cell
from sitenet.settings.elements import SYMBOLS

# Angstrom. Below this distance, two sites of one element are one site, listed twice or in rounded coordinates.
SAME_PLACE = 0.05
# No two atoms are nearer than this share of the sum of their covalent radii, nor than this distance in angstrom:
# in 16,549 crystals of matbench_mp_gap the smallest share is 0.68 and the shortest distance 0.744 angstrom; under
# the pressure of planets, atoms of caesium and lithium have been computed at 0.39.
SHORTEST_SHARE, SHORTEST = 0.3, 0.5
_RADII = np.array([0.0, *(gemmi.Element(symbol).covalent_r for symbol in SYMBOLS)])


def distinct_sites(
    lattice: NDArray[np.float64], atomic_numbers: NDArray[np.integer], frac_coords: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which sites to keep so that each is listed once, not again as its periodic image.

    Args:
        lattice: (3, 3) lattice vectors as rows, in angstrom.
        atomic_numbers: (N,) of each site.
        frac_coords: (N, 3) fractional coordinates.

    Returns:
        (N,) true for every site that is in no place of an earlier one.

    Raises:
        BadCrystal: Two elements share a place, or two sites are nearer to each other than atoms can be.
    """
    heights = check_cell(lattice, len(frac_coords))
    radii = _RADII[atomic_numbers]
    reach = max(SHORTEST, 2 * SHORTEST_SHARE * radii.max())
    i, j, distances = _pairs(lattice, frac_coords % 1, reach, reach / heights)
    keep = np.ones(len(atomic_numbers), dtype=bool)
    same = (distances < SAME_PLACE) & (i < j)
    for a, b in zip(i[same], j[same], strict=True):
        if atomic_numbers[a] != atomic_numbers[b]:
            raise BadCrystal(f"disordered: {_pair(atomic_numbers, a, b)} share one place")
        keep[b] &= not keep[a]
    too_near = keep[i] & keep[j] & (distances <= np.maximum(SHORTEST, SHORTEST_SHARE * (radii[i] + radii[j])))
    if too_near.any():
        nearest = np.flatnonzero(too_near)[distances[too_near].argmin()]
        pair = _pair(atomic_numbers, i[nearest], j[nearest])
        raise BadCrystal(f"unphysical: {pair} are {distances[nearest]:.3f} angstrom apart")
    return keep


def _pairs(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], reach: float, margins: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Sites and the periodic images within reach of them, but not themselves, with their distances.

    pymatgen's search takes memory for all the empty space of a large cell.
    """
    steps = [np.arange(-n, n + 1) for n in np.ceil(margins).astype(int)]
    shifts = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    images = (frac_coords + shifts).reshape(-1, 3)
    sites = np.tile(np.arange(len(frac_coords)), len(shifts))
    moved = np.repeat((shifts != 0).any(axis=(1, 2)), len(frac_coords))
    near = ((images >= -margins) & (images <= 1 + margins)).all(axis=1)
    images, sites, moved = images[near], sites[near], moved[near]
    found = cKDTree(frac_coords @ lattice).sparse_distance_matrix(
        cKDTree(images @ lattice), reach, output_type="ndarray"
    )
    i, j = found["i"], sites[found["j"]]
    others = (i != j) | moved[found["j"]]
    return i[others], j[others], found["v"][others]


def _pair(atomic_numbers: NDArray[np.integer], a: int, b: int) -> str:
    first, second = sorted((int(a), int(b)))
    return f"sites {first} ({SYMBOLS[atomic_numbers[first] - 1]}) and {second} ({SYMBOLS[atomic_numbers[second] - 1]})"
