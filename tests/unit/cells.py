"""Crystals for tests of the features: pymatgen's view of them, and hypothesis-generated ones."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pymatgen.core import Lattice, Structure

from sitenet.data.crystal import Crystal


def to_structure(crystal: Crystal) -> Structure:
    return Structure(Lattice(crystal.lattice), crystal.atomic_numbers.tolist(), crystal.frac_coords)


def to_crystal(structure: Structure, id_: str = "test") -> Crystal:
    return Crystal(id_, structure.lattice.matrix, np.array(structure.atomic_numbers), structure.frac_coords)


def close_packing(layers: str, distance: float = 2.86) -> Crystal:
    """Aluminium in hexagonal layers, "ABC" for its own structure, with this distance of neighbours in angstrom."""
    height = len(layers) * np.sqrt(2 / 3)
    lattice = distance * np.array([[1, 0, 0], [-1 / 2, np.sqrt(3) / 2, 0], [0, 0, height]])
    shifts = {"A": 0, "B": 1 / 3, "C": 2 / 3}
    frac_coords = np.array([[shifts[x], 2 * shifts[x], n / len(layers)] for n, x in enumerate(layers)])
    return Crystal(layers, lattice, np.full(len(layers), 13), frac_coords)


@st.composite
def lattices(draw: st.DrawFn) -> np.ndarray:
    """Lattices from near-cubic to strongly skewed or flat, left-handed ones included."""
    grid = arrays(np.int64, (3, 3), elements=st.integers(-80, 80))
    lattice = draw(grid.filter(lambda rows: abs(np.linalg.det(rows / 10)) > 5))
    return lattice / 10


@st.composite
def crystals(draw: st.DrawFn, max_sites: int = 5) -> Crystal:
    """Any positions in any cell, overlapping ones included."""
    n_sites = draw(st.integers(1, max_sites))
    frac_coords = draw(arrays(np.float64, (n_sites, 3), elements=st.integers(-300, 300).map(lambda k: k / 200)))
    atomic_numbers = draw(arrays(np.uint8, n_sites, elements=st.integers(1, 3)))
    return Crystal("generated", draw(lattices()), atomic_numbers, frac_coords)
