"""The primitive cell as pymatgen finds it, asked for only where pymatgen could find one."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from sitenet.data.crystal import Crystal

TOLERANCE = 0.5
# Rounding errors must not make the test below stricter than pymatgen's.
_SLACK = 1 + 1e-9


def primitive_cell(crystal: Crystal) -> Crystal:
    """The cell of `Structure.get_primitive_structure` with a tolerance of 0.5 angstrom.

    Most cells are primitive already, and proving that is far cheaper than pymatgen's search.
    """
    crystal = _contiguous(crystal)
    if not may_have_smaller_cell(crystal):
        return crystal
    structure = Structure(Lattice(crystal.lattice), crystal.atomic_numbers.tolist(), crystal.frac_coords)
    primitive = structure.get_primitive_structure(TOLERANCE)
    atomic_numbers = np.array(primitive.atomic_numbers)
    return _contiguous(Crystal(crystal.id, primitive.lattice.matrix, atomic_numbers, primitive.frac_coords))


def _contiguous(crystal: Crystal) -> Crystal:
    # Numba would compile every function again for read-only views and for other memory orders.
    return replace(
        crystal,
        lattice=np.array(crystal.lattice, dtype=np.float64, order="C"),
        frac_coords=np.array(crystal.frac_coords, dtype=np.float64, order="C"),
    )


def may_have_smaller_cell(crystal: Crystal) -> bool:
    """False where pymatgen's search has no candidate lattice, so that it returns its input.

    These are the first two steps of `IStructure.get_primitive_structure` (pymatgen 2026): collect the
    vectors that shift every site near a site of its element, then look for lattices spanned by them.
    """
    counts = Counter(crystal.atomic_numbers.tolist())
    n_units = math.gcd(*counts.values())
    if n_units == 1:
        return False
    # pymatgen's order: small groups first, groups of one size by symbol; the first gives the vectors.
    elements = sorted(counts, key=lambda z: (counts[z], Element.from_Z(z).symbol))
    groups = [crystal.frac_coords[crystal.atomic_numbers == z] for z in elements]
    ends = np.cumsum([len(group) for group in groups])
    tolerance = TOLERANCE / np.linalg.norm(crystal.lattice, axis=1) * _SLACK
    vectors = _common_shifts(np.concatenate(groups), ends, 2 * tolerance)
    return _spans_finer_lattice(vectors, tolerance, n_units)


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
def _spans_finer_lattice(vectors: NDArray[np.float64], tolerance: NDArray[np.float64], n_units: int) -> bool:
    """Whether some superlattice of index 2..n_units, a divisor of n_units, has a basis near `vectors`."""
    for a in range(1, n_units + 1):
        for e in range(1, n_units // a + 1):
            for g in range(1, n_units // (a * e) + 1):
                index = a * e * g
                if index > 1 and n_units % index == 0 and _has_basis(a, e, g, vectors, tolerance):
                    return True
    return False


@njit(cache=True)
def _has_basis(a: int, e: int, g: int, vectors: NDArray[np.float64], tolerance: NDArray[np.float64]) -> bool:
    """Whether the rows of some inverse Hermite normal form [[a, b, c], [0, e, f], [0, 0, g]] lie near `vectors`."""
    if not _is_any_near(np.array([0.0, 0.0, 1.0 / g]), vectors, tolerance):
        return False
    for f in range(e):
        if _is_any_near(np.array([0.0, 1.0 / e, -f / (e * g)]), vectors, tolerance):
            for b in range(a):
                for c in range(a):
                    row = np.array([1.0 / a, -b / (a * e), (b * f - c * e) / (a * e * g)])
                    if _is_any_near(row, vectors, tolerance):
                        return True
    return False
