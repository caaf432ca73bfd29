"""One reading of a CIF file: its sites under one symmetry, by pymatgen's operators and by gemmi."""

import warnings
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice
from scipy.spatial import cKDTree

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.cif import CifContent
from sitenet.data.structures.contacts import distinct_sites
from sitenet.data.structures.symmetry import Symmetry, matrices
from sitenet.settings.elements import SYMBOLS

# Angstrom. A site this near to a special position is on it, in rounded coordinates; at more than the second, the log
# tells.
SPECIAL, TOLD = 0.1, 0.02
MAX_SITES = 20_000
# Angstrom. Where two readers may see one site: gemmi does not move sites onto special positions.
_AGREEMENT = 2 * SPECIAL


@dataclass(frozen=True)
class Reading:
    """All sites of the cell.

    Attributes:
        name: Of the symmetry.
        lattice: (3, 3) lattice vectors as rows, in angstrom.
        atomic_numbers: (N,) of each site.
        frac_coords: (N, 3) of each site, in [0, 1).
        multiplicities: Of each site that the file lists.
    """

    name: str
    lattice: NDArray[np.float64]
    atomic_numbers: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]
    multiplicities: list[int]

    @property
    def composition(self) -> Counter[int]:
        """Sites by atomic number."""
        return Counter(self.atomic_numbers.tolist())

    def __str__(self) -> str:
        """What it is, in a reason."""
        counts = sorted((SYMBOLS[number - 1], n) for number, n in self.composition.items())
        return f"{' '.join(f'{symbol}{n}' for symbol, n in counts)} ({self.name})"

    def equals(self, other: "Reading") -> bool:
        """Whether both are the same sites of the same cell."""
        same_size = len(self.frac_coords) == len(other.frac_coords)
        return same_size and _same_sites(self, other.atomic_numbers, other.frac_coords)


def read_as(content: CifContent, symmetry: Symmetry) -> Reading:
    """The sites of the cell under one symmetry.

    Raises:
        BadCrystal: gemmi and pymatgen find other sites, a site is neither on a special position nor off it, or two
            sites are nearer to each other than atoms can be.
    """
    lattice = np.array(Lattice.from_parameters(*content.cell).matrix)
    if not np.isfinite(lattice).all() or abs(np.linalg.det(lattice)) < 1e-3:
        raise BadCrystal("unreadable: the cell has no volume")
    operators = matrices(symmetry.operators)
    if len(content.labels) * len(operators) > 5 * MAX_SITES:
        raise BadCrystal(f"too large: {len(content.labels)} sites and {len(operators)} operators")
    orbits = _orbits(content, lattice, operators)
    multiplicities = [len(orbit) for orbit in orbits]
    atomic_numbers = np.repeat(content.atomic_numbers, multiplicities)
    full = Reading(symmetry.name, lattice, atomic_numbers, np.concatenate(orbits), multiplicities)
    keep = distinct_sites(lattice, atomic_numbers, full.frac_coords)
    _check_against_gemmi(content, symmetry, full)
    if not keep.all():
        n_merged = len(keep) - keep.sum()
        warnings.warn(f"{n_merged} of {len(keep)} sites are images of others and are merged with them", stacklevel=2)
    return Reading(symmetry.name, lattice, atomic_numbers[keep], full.frac_coords[keep], multiplicities)


def _orbits(
    content: CifContent, lattice: NDArray[np.float64], operators: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """All images of each site in the cell, each once; sites on special positions are moved exactly onto them."""
    if len(operators) == 1:
        return [site[None] for site in _wrapped(content.frac_coords)]
    near, shifts = _stabilisers(content.frac_coords, lattice, operators, SPECIAL)
    moves = (shifts * near[:, :, None]).sum(axis=1) / near.sum(axis=1)[:, None]
    sites = content.frac_coords + moves
    exact, _ = _stabilisers(sites, lattice, operators, 1e-2)
    distances = np.linalg.norm(moves @ lattice, axis=1)
    images = _wrapped(sites @ operators[:, :, :3].transpose(0, 2, 1) + operators[:, None, :, 3]).transpose(1, 0, 2)
    orbits = []
    for label, site, stabiliser, distance, its_images in zip(
        content.labels, near, exact, distances, images, strict=True
    ):
        if not np.array_equal(site, stabiliser):
            raise BadCrystal(f"contradictory: the site {label} is neither on a special position nor off it")
        if distance > TOLD:
            warnings.warn(f"{label} is moved by {distance:.3f} angstrom onto its special position", stacklevel=2)
        orbits.append(its_images if stabiliser.sum() == 1 else _distinct(its_images, lattice))
        if len(orbits[-1]) * stabiliser.sum() != len(operators):
            raise BadCrystal(f"contradictory: the site {label} is neither on a special position nor off it")
    return orbits


def _stabilisers(
    sites: NDArray[np.float64], lattice: NDArray[np.float64], operators: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(N, n) whether an operator leaves a site in its place, and (N, n, 3) how it shifts it."""
    shifts = (sites @ operators[:, :, :3].transpose(0, 2, 1) + operators[:, None, :, 3] - sites).transpose(1, 0, 2)
    shifts = shifts - np.rint(shifts)
    return np.linalg.norm(shifts @ lattice, axis=2) < tolerance, shifts


def _distinct(images: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = []
    while len(images):
        kept.append(images[0])
        shifts = images - images[0]
        images = images[np.linalg.norm((shifts - np.rint(shifts)) @ lattice, axis=1) > 2e-2]
    return np.array(kept)


def _wrapped(frac_coords: NDArray[np.float64]) -> NDArray[np.float64]:
    wrapped = frac_coords % 1
    return np.where(wrapped == 1, 0.0, wrapped)  # -1e-20 % 1 is 1


def _check_against_gemmi(content: CifContent, symmetry: Symmetry, reading: Reading) -> None:
    """Checks cell, elements and sites against what gemmi makes of the same block."""
    small = gemmi.make_small_structure_from_block(content.block)
    cell = np.array(small.cell.parameters)
    if len(small.sites) != len(content.labels) or not np.allclose(cell, content.cell, rtol=1e-6):
        listed = f"{len(content.labels)} sites in {' '.join(f'{value:g}' for value in content.cell)}"
        seen = f"{len(small.sites)} in {' '.join(f'{value:g}' for value in cell)}"
        raise BadCrystal(f"undecided: read as {listed}, and by gemmi as {seen}")
    for site, number in zip(small.sites, content.atomic_numbers, strict=True):
        if site.element.atomic_number not in (number, 0):
            ours, theirs = SYMBOLS[number - 1], site.element.name
            raise BadCrystal(f"undecided: the site {site.label} is {ours}, or as gemmi reads it {theirs}")
    group = _tabulated(symmetry.operators)
    if group is None:
        return  # gemmi applies only the space groups of its table
    small.spacegroup = group
    small.setup_cell_images()
    sites = small.get_all_unit_cell_sites()
    frac_coords = np.array([site.fract.tolist() for site in sites])
    if len(frac_coords) != len(reading.frac_coords):
        n_sites = len(reading.frac_coords)
        raise BadCrystal(f"undecided: {symmetry.name} makes {n_sites} sites, or as gemmi reads it {len(frac_coords)}")
    if not _same_sites(reading, np.array([site.element.atomic_number for site in sites]), frac_coords):
        raise BadCrystal(f"undecided: gemmi finds the sites of {symmetry.name} in other places")


@lru_cache(maxsize=1024)
def _tabulated(operators: tuple[str, ...]) -> gemmi.SpaceGroup | None:
    return gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(operator) for operator in operators]))


def _same_sites(reading: Reading, atomic_numbers: NDArray[np.integer], frac_coords: NDArray[np.float64]) -> bool:
    """Whether as many sites are of the same elements in the same places; 0 stands for any element."""
    _, nearest = cKDTree(reading.frac_coords, boxsize=1).query(_wrapped(frac_coords))
    shifts = frac_coords - reading.frac_coords[nearest]
    distances = np.linalg.norm((shifts - np.rint(shifts)) @ reading.lattice, axis=1)
    elements = (atomic_numbers == reading.atomic_numbers[nearest]) | (atomic_numbers == 0)
    return bool(distances.max() < _AGREEMENT and elements.all())
