"""The primitive cell as pymatgen finds it, asked for only where pymatgen would find one."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.features.pairs import pair_distances
from sitenet.features.supercell import translations

# The P x P distances of one crystal must fit in memory, and counts in 16 bits.
MAX_PRIMITIVE_SITES = 2000
# pymatgen's search forms all pairs of sites several times over.
MAX_SEARCHED_SITES = 4000
# Rounding errors must not make the tests below stricter than pymatgen's.
_SLACK = 1 + 1e-9


def primitive_cell(crystal: Crystal, tolerance: float) -> Crystal:
    """The cell of `Structure.get_primitive_structure`: copies that differ by less than the tolerance are averaged.

    Most cells are primitive already, and proving that is far cheaper than pymatgen's search.

    Args:
        crystal: The crystal.
        tolerance: Largest difference along each axis, in angstrom.

    Raises:
        BadCrystal: The primitive cell has more than `MAX_PRIMITIVE_SITES`, or the cell is too large to search.
    """
    crystal, n_sites, n_units = _contiguous(crystal), len(crystal.atomic_numbers), _n_units(crystal)
    if n_sites // n_units > MAX_PRIMITIVE_SITES:
        n_least = f"{n_sites // n_units} or more" if n_units > 1 else n_sites
        raise BadCrystal(f"too large: {n_least} primitive sites, the limit is {MAX_PRIMITIVE_SITES}")
    if n_sites > MAX_SEARCHED_SITES:
        raise BadCrystal(
            f"too large: {n_sites} sites, the limit is {MAX_SEARCHED_SITES}; give the primitive cell instead"
        )
    if may_have_smaller_cell(crystal, tolerance):
        structure = Structure(Lattice(crystal.lattice), crystal.atomic_numbers.tolist(), crystal.frac_coords)
        found = structure.get_primitive_structure(tolerance)
        numbers = np.array(found.atomic_numbers)
        crystal = _contiguous(Crystal(crystal.id, found.lattice.matrix, numbers, found.frac_coords))
    n_primitive = len(crystal.atomic_numbers)
    if n_primitive > MAX_PRIMITIVE_SITES:
        raise BadCrystal(f"too large: {n_primitive} primitive sites, the limit is {MAX_PRIMITIVE_SITES}")
    return crystal


def distortion(crystal: Crystal, cell: Crystal) -> float:
    """Largest distance, modulo the primitive cell's lattice, between two sites that it made one, in angstrom."""
    if len(cell.atomic_numbers) == len(crystal.atomic_numbers):
        return 0.0
    farthest, one = 0.0, np.eye(3, dtype=np.int64)
    frac_coords = crystal.frac_coords @ crystal.lattice @ np.linalg.inv(cell.lattice)
    for z in np.unique(cell.atomic_numbers):
        copies, kept = frac_coords[crystal.atomic_numbers == z], cell.frac_coords[cell.atomic_numbers == z]
        both = pair_distances(cell.lattice, np.concatenate([copies, kept]), one, translations(one))[: len(copies), :, 0]
        nearest = both[:, len(copies) :].argmin(axis=1)
        farthest = max(farthest, float(both[:, : len(copies)][nearest[:, None] == nearest].max()))
    return farthest


def _contiguous(crystal: Crystal) -> Crystal:
    # Numba would compile every function again for read-only views and for other memory orders.
    return replace(
        crystal,
        lattice=np.array(crystal.lattice, dtype=np.float64, order="C"),
        frac_coords=np.array(crystal.frac_coords, dtype=np.float64, order="C"),
    )


def _n_units(crystal: Crystal) -> int:
    """Formula units; no primitive cell has fewer sites than one of them."""
    return math.gcd(*Counter(crystal.atomic_numbers.tolist()).values())


def may_have_smaller_cell(crystal: Crystal, tolerance: float) -> bool:
    """False where pymatgen's search has no valid candidate lattice, so that it returns its input.

    These are the steps of `IStructure.get_primitive_structure` (pymatgen 2026): collect the vectors that shift
    every site near a site of its element, look for lattices spanned by them, and ask whether each site then has
    as many copies as the cell is divided by. A cell without symmetry fails that at its first site.

    Args:
        crystal: The crystal.
        tolerance: As in `primitive_cell`.
    """
    n_units = _n_units(crystal)
    if n_units == 1:
        return False
    counts = Counter(crystal.atomic_numbers.tolist())
    # pymatgen's order: small groups first, groups of one size by symbol; the first gives the vectors.
    elements = sorted(counts, key=lambda z: (counts[z], Element.from_Z(z).symbol))
    groups = [crystal.frac_coords[crystal.atomic_numbers == z] for z in elements]
    ends = np.cumsum([len(group) for group in groups])
    sites = np.concatenate(groups)
    near = tolerance / np.linalg.norm(crystal.lattice, axis=1) * _SLACK
    vectors = _common_shifts(sites, ends, 2 * near)
    labels = np.repeat(np.array(elements), [len(group) for group in groups])
    return _divides(crystal.lattice, sites, labels, vectors, near, tolerance * _SLACK, n_units)


@njit(cache=True)
def _is_near(values: NDArray[np.float64], value: float, tolerance: float) -> NDArray[np.bool_]:
    """Which fractional coordinates agree with one, modulo the lattice."""
    difference = values - value
    return np.abs(difference - np.rint(difference)) <= tolerance


@njit(cache=True)
def _is_any_near(vector: NDArray[np.float64], others: NDArray[np.float64], tolerance: NDArray[np.float64]) -> bool:
    """Whether a fractional vector agrees with one of others, modulo the lattice, within each axis' tolerance."""
    for other in range(len(others)):
        near = True
        for axis in range(3):
            difference = vector[axis] - others[other, axis]
            near &= abs(difference - np.rint(difference)) <= tolerance[axis]
        if near:
            return True
    return False


@njit(cache=True)
def _common_shifts(
    frac_coords: NDArray[np.float64], ends: NDArray[np.int64], tolerance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(V, 3) vectors from the first site to its group that shift all sites near sites of their group."""
    vectors = frac_coords[: ends[0]] - frac_coords[0]
    start = 0
    for end in ends:
        group = frac_coords[start:end]
        for site in range(len(group)):
            kept = np.zeros(len(vectors), dtype=np.bool_)
            for v in range(len(vectors)):
                kept[v] = _is_any_near(vectors[v] + group[site], group, tolerance)
            vectors = vectors[kept]
        start = end
    return vectors


@njit(cache=True)
def _divides(
    lattice: NDArray[np.float64],
    sites: NDArray[np.float64],
    elements: NDArray[np.int64],
    vectors: NDArray[np.float64],
    near: NDArray[np.float64],
    tolerance: float,
    n_units: int,
) -> bool:
    """Whether a lattice finer by 2..n_units, a divisor of n_units, has a basis near `vectors` and divides all sites."""
    matrix, row = np.zeros((3, 3)), np.zeros(3)  # made once: there may be millions of candidates
    failed = 0  # a site far from its place fails most of them
    for a in range(1, n_units + 1):
        near_a = vectors[_is_near(vectors[:, 0], 1.0 / a, near[0])]
        if n_units % a or len(near_a) == 0:
            continue
        for e in range(1, n_units // a + 1):
            for g in range(1, n_units // (a * e) + 1):
                size = a * e * g
                if size == 1 or n_units % size or not _is_any_near(np.array([0.0, 0.0, 1.0 / g]), vectors, near):
                    continue
                for f in range(e):
                    if not _is_any_near(np.array([0.0, 1.0 / e, -f / (e * g)]), vectors, near):
                        continue
                    for b in range(a):
                        near_b = near_a[_is_near(near_a[:, 1], -b / (a * e), near[1])]
                        for c in range(a if len(near_b) else 0):
                            row[:] = 1.0 / a, -b / (a * e), (b * f - c * e) / (a * e * g)
                            if _is_any_near(row, near_b, near):
                                matrix[0], matrix[1, 1:], matrix[2, 2] = (a, b, c), (e, f), g
                                failed = _site_without_copies(lattice, sites, elements, matrix, near, tolerance, failed)
                                if failed < 0:
                                    return True
    return False


@njit(cache=True)
def _site_without_copies(
    lattice: NDArray[np.float64],
    sites: NDArray[np.float64],
    elements: NDArray[np.int64],
    matrix: NDArray[np.float64],
    near: NDArray[np.float64],
    tolerance: float,
    first: int,
) -> int:
    """A site with fewer than det(matrix) copies in the lattice matrix^-1 @ lattice, looked for from `first` on; or -1.

    Sites that are near each other in the cell as given are no copies.
    """
    size = matrix[0, 0] * matrix[1, 1] * matrix[2, 2]
    close = tolerance / np.sqrt((np.linalg.solve(matrix, lattice) ** 2).sum(axis=1))
    difference = np.empty(3)
    for i in np.roll(np.arange(len(sites)), -first):
        copies = 1
        for j in range(len(sites)):
            if elements[i] != elements[j]:
                continue
            neighbour = True
            for axis in range(3):
                difference[axis] = sites[j, axis] - sites[i, axis]
                # The slack of `near` would make this one test stricter than pymatgen's.
                apart = abs(difference[axis] - np.rint(difference[axis]))
                neighbour &= apart <= 2 * near[axis] / _SLACK**2
            same = not neighbour
            for axis in range(3):
                shift = (
                    difference[0] * matrix[0, axis] + difference[1] * matrix[1, axis] + difference[2] * matrix[2, axis]
                )
                same &= abs(shift - np.rint(shift)) <= close[axis]
            copies += same
        if copies < size:
            return int(i)
    return -1
