"""Real crystals, what a network sees of them, and other descriptions of the same crystal."""

from dataclasses import dataclass, replace
from functools import cache
from math import lcm

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import featurize
from sitenet.features.primitive import may_have_smaller_cell
from sitenet.settings.features import FeatureSettings

RADIUS = 4.0
MAX_SITES = 10  # of the crystals; supercells of them have more


@dataclass(frozen=True)
class Shells:
    """Sorted distances up to a gap between two shells, by the elements of both ends, for some number of sites."""

    n_sites: int
    distances: dict[tuple[int, int], NDArray[np.float64]]

    def differs(self, other: "Shells", gap: float, tolerance: float) -> str | None:
        """What differs from the other's, None if nothing does."""
        common = lcm(self.n_sites, other.n_sites)
        if self.distances.keys() != other.distances.keys():
            return f"elements {sorted(self.distances)}, not {sorted(other.distances)}"
        for pair, ours in self.distances.items():
            theirs = other.distances[pair]
            a, b = (d[d < gap] for d in (ours, theirs))
            if len(a) * (common // self.n_sites) != len(b) * (common // other.n_sites):
                return f"{len(a)} distances {pair} of {self.n_sites} sites, not {len(b)} of {other.n_sites}"
            a, b = np.repeat(a, common // self.n_sites), np.repeat(b, common // other.n_sites)
            if len(a) and np.abs(a - b).max() > tolerance:
                return f"distances {pair} differ by {np.abs(a - b).max():.4f} angstrom"
        return None


def shells(crystal: Crystal) -> Shells:
    """What a network sees of a crystal within 4 angstrom."""
    points = featurize(crystal, FeatureSettings(radius=RADIUS))
    rows = np.repeat(np.arange(len(points.row_counts)), points.row_counts)
    ends = np.stack([points.atomic_numbers[rows], points.atomic_numbers[points.pair_sites]])
    counts = points.site_counts[rows].astype(int) * points.pair_counts
    distances = {}
    for a, b in set(map(tuple, ends.T.tolist())):
        chosen = (ends[0] == a) & (ends[1] == b)
        distances[a, b] = np.sort(np.repeat(points.distances[chosen], counts[chosen]))
    return Shells(len(points.site_class), distances)


@dataclass(frozen=True)
class Known:
    """A real crystal with its shells, and a distance in the widest gap between them."""

    crystal: Crystal
    shells: Shells
    gap: float


@cache
def known_crystals() -> list[Known]:
    """Small primitive crystals of the bundled data set with a gap between their shells.

    Nearly periodic ones are left out: the search for the primitive cell takes them for periodic in some cells.
    """
    found = []
    for crystal in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals():
        if len(crystal.atomic_numbers) <= MAX_SITES and not may_have_smaller_cell(crystal, 0.5):
            seen = shells(crystal)
            distances = np.concatenate([*seen.distances.values(), [3.0, RADIUS]])
            edges = np.sort(distances[(distances >= 3.0) & (distances <= RADIUS)])
            widest = int(np.diff(edges).argmax())
            if edges[widest + 1] - edges[widest] > 0.1:
                found.append(Known(crystal, seen, float(edges[widest : widest + 2].mean())))
    return found


def redescribed(crystal: Crystal, rng: Generator) -> tuple[Crystal, list[str]]:
    """The same crystal with another cell, origin, orientation and order of its sites, and what was changed."""
    changes = []
    if rng.random() < 0.4:
        crystal = _in_cell(crystal, _unimodular(rng))
        changes.append("unimodular")
    if rng.random() < 0.3:
        matrix = np.diag(rng.permutation([1, 1, int(rng.integers(2, 4))]))
        matrix[0, 1] = rng.integers(-1, 2)
        crystal = _in_cell(crystal, matrix)
        changes.append("supercell")
    if rng.random() < 0.5:
        crystal = replace(crystal, frac_coords=crystal.frac_coords + rng.random(3))
        changes.append("shift")
    if rng.random() < 0.4:
        crystal = replace(crystal, lattice=crystal.lattice @ Rotation.random(random_state=rng).as_matrix())
        changes.append("rotation")
    if rng.random() < 0.4:
        whole = rng.integers(-2, 3, size=crystal.frac_coords.shape)
        crystal = replace(crystal, frac_coords=crystal.frac_coords + whole)
        changes.append("other images")
    if rng.random() < 0.5:
        order = rng.permutation(len(crystal.atomic_numbers))
        crystal = replace(crystal, atomic_numbers=crystal.atomic_numbers[order], frac_coords=crystal.frac_coords[order])
        changes.append("order")
    return crystal, changes


def _unimodular(rng: Generator) -> NDArray[np.int64]:
    """A random matrix of determinant 1: two shears and a permutation of the axes."""
    matrix = np.eye(3, dtype=np.int64)
    for _ in range(2):
        i, j = rng.permutation(3)[:2]
        matrix[i] += rng.integers(-1, 2) * matrix[j]
    return np.roll(matrix, rng.integers(3), axis=0)


def _in_cell(crystal: Crystal, matrix: NDArray[np.int64]) -> Crystal:
    """The crystal in the cell whose vectors are combinations of the old ones."""
    n_cells = round(abs(np.linalg.det(matrix)))
    inverse = np.linalg.inv(matrix)
    steps = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ inverse
    inside = steps[((steps > -1e-9) & (steps < 1 - 1e-9)).all(axis=1)]
    assert len(inside) == n_cells
    frac_coords = (crystal.frac_coords @ inverse)[None] + inside[:, None]
    return Crystal(
        crystal.id, matrix @ crystal.lattice, np.tile(crystal.atomic_numbers, n_cells), frac_coords.reshape(-1, 3)
    )
