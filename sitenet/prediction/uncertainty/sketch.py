"""A few numbers of a crystal that tell whether a training set has it, or one like it."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sitenet.data.crystal import Crystal
from sitenet.data.formula import reduced_formula
from sitenet.features.pairs import sphere_distances
from sitenet.features.primitive import primitive_cell

TOLERANCE = 0.01  # angstrom; copies of a site that differ by less are one site of the primitive cell
RADIUS = 3.5  # of the neighbours that are looked at, in mean distances between sites; holds 180 of them
FREQUENCIES = (6, 8)
_ITSELF = 1e-6  # the distance 0 of a site to itself


@dataclass(frozen=True)
class Sketch:
    """What flags need of a crystal; Q kinds of pairs of elements are neighbours in it.

    Attributes:
        elements: Atomic numbers, ascending.
        counts: Sites of each element in the primitive cell.
        formula: A hash of the reduced formula.
        volume: Volume a site in cubic angstrom.
        fingerprint: (5,) what `fingerprint` computes.
        pairs: (Q,) 1000 Z1 + Z2 with Z1 <= Z2 for the pairs of elements.
        shortest: (Q,) shortest distance of each, in angstrom.
    """

    elements: tuple[int, ...]
    counts: tuple[int, ...]
    formula: int
    volume: float
    fingerprint: NDArray[np.float64]
    pairs: NDArray[np.int64]
    shortest: NDArray[np.float64]

    @property
    def n_sites(self) -> int:
        """Number of sites of the primitive cell."""
        return sum(self.counts)


def sketch(crystal: Crystal) -> Sketch:
    """The sketch of a crystal; the choice of cell, origin and order of sites do not matter.

    Raises:
        BadCrystal: The crystal is too large.
    """
    cell = primitive_cell(crystal, TOLERANCE)
    volume = abs(float(np.linalg.det(cell.lattice))) / len(cell.atomic_numbers)
    distances = sphere_distances(cell.lattice, cell.frac_coords, RADIUS * np.cbrt(volume))
    distances[distances < _ITSELF] = np.inf
    numbers = cell.atomic_numbers.astype(np.int64)
    pairs, shortest = _shortest(numbers, distances.min(axis=2))
    elements, counts = np.unique(numbers, return_counts=True)
    return Sketch(
        elements=tuple(elements.tolist()),
        counts=tuple(counts.tolist()),
        formula=formula_hash(reduced_formula(numbers)),
        volume=volume,
        fingerprint=fingerprint(numbers, distances, volume),
        pairs=pairs,
        shortest=shortest,
    )


def formula_hash(formula: str) -> int:
    """A number of 32 bits."""
    return int.from_bytes(hashlib.sha256(formula.encode()).digest()[:4])


def fingerprint(numbers: NDArray[np.int64], distances: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """(5,) numbers that do not depend on the choice of the cell and tell structures of one composition apart.

    The first is the logarithm of the cube root of the volume a site, in angstrom. With distances x in this unit, the
    others are means over sites i of sum_j w(x_ij) cos(q x_ij) for q = 6 and 8, each also weighted with Z_i Z_j / <Z>^2;
    w fades to 0 at `RADIUS`. These frequencies see how layers are stacked: cubic and hexagonal SiC differ by 2 to 6,
    five of six pairs of the longer polytypes by more than 0.1. Displacements of 0.01 angstrom change them by less than
    that in all bundled crystals, of 0.02 angstrom in nine of ten.

    Args:
        numbers: (P,) atomic numbers.
        distances: (P, P, n_images) distances in angstrom; infinite where there is no pair.
        volume: Volume a site, in cubic angstrom.
    """
    length = np.cbrt(volume)
    x = np.minimum(distances / length, RADIUS)  # the weight there is 0
    weight = np.square(1 - np.square(x / RADIUS))
    charges = np.outer(numbers, numbers) / np.square(numbers.mean())
    sums = [(weight * np.cos(q * x)).sum(axis=2) for q in FREQUENCIES]
    waves = [(one * factor).sum() / len(numbers) for one in sums for factor in (1, charges)]
    return np.array([np.log(length), *waves])


def _shortest(
    numbers: NDArray[np.int64], distances: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pairs of elements with their shortest distances, from (P, P) shortest distances of sites."""
    near = np.isfinite(distances)
    low, high = np.minimum.outer(numbers, numbers)[near], np.maximum.outer(numbers, numbers)[near]
    pairs, place = np.unique(1000 * low + high, return_inverse=True)
    shortest = np.full(len(pairs), np.inf)
    np.minimum.at(shortest, place, distances[near])
    return pairs, shortest
