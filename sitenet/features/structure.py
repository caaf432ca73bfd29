"""Structure features: a few numbers of a crystal structure, the same whatever its cell."""

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

from sitenet.data.crystal import Crystal
from sitenet.data.facts import SYMPREC
from sitenet.data.parts import in_parts
from sitenet.data.table import CrystalTable
from sitenet.files import replacing

log = logging.getLogger("sitenet")
NEIGHBOURS = 12  # as in close packing
Statistic = Callable[[NDArray[np.float64]], float]
STATISTICS: dict[str, Statistic] = {"min": np.min, "mean": np.mean, "max": np.max, "std": np.std}


def write_structure_features(structures: Path | str, path: Path | str, processes: int) -> None:
    """Writes the structure features of every crystal of a table (id, then 12 columns) as Parquet.

    They are the density (g/cm^3); the volume per atom (cubic angstrom); the number of sites in the primitive cell and
    the number of the space group, both by spglib, within 0.01 angstrom; and statistics over the sites (min, mean, max,
    std) of the distance to the nearest neighbour, and of the mean distance to the 12 nearest (angstrom). Where spglib
    finds no symmetry, the space group is 0 and the cell is taken as given.
    """
    with replacing(path) as temporary:
        in_parts(structures, processes, _features, "structure features").to_parquet(temporary, index=False)


def _features(structures: Path | str, start: int, stop: int) -> pd.DataFrame:
    os.environ.setdefault("SPGLIB_WARNING", "OFF")  # read by spglib, which else writes to the terminal what it misses
    crystals = list(CrystalTable.open(structures).crystals(start, stop))
    frame = pd.DataFrame([structure_features(crystal) for crystal in crystals])
    frame.insert(0, "id", [crystal.id for crystal in crystals])
    return frame


def structure_features(crystal: Crystal) -> dict[str, float]:
    """The features of one crystal by name."""
    structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
    number, primitive = _symmetry(structure)
    nearest = nearest_distances(structure, NEIGHBOURS)
    of_sites = {"nearest distance": nearest[:, 0], f"distance to {NEIGHBOURS} neighbours": nearest.mean(axis=1)}
    return {
        "density": float(structure.density),
        "volume per atom": structure.volume / len(structure),
        "primitive sites": float(len(primitive)),
        "space group": float(number),
        **{f"{name} {of}": float(s(values)) for of, values in of_sites.items() for name, s in STATISTICS.items()},
    }


def _symmetry(structure: Structure) -> tuple[int, Structure]:
    """Number of the space group and primitive cell; 0 and the cell as given where spglib finds none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            analyzer = SpacegroupAnalyzer(structure, SYMPREC)
            return analyzer.get_space_group_number(), analyzer.find_primitive() or structure
        except (SymmetryUndeterminedError, ValueError):  # pymatgen's, and that of a primitive cell that is not found
            return 0, structure


def nearest_distances(structure: Structure, n: int) -> NDArray[np.float64]:
    """(N, n) distances from each site to its nearest neighbours, images included, shortest first (angstrom)."""
    # A sphere that holds twice as many sites on average, grown until every site has enough.
    radius = float(np.cbrt(2 * n * structure.volume / len(structure) * 3 / (4 * np.pi)))
    while True:
        centres, _, _, distances = structure.get_neighbor_list(radius, exclude_self=True)
        if np.bincount(centres, minlength=len(structure)).min() >= n:
            break
        radius *= 1.25
    order = np.lexsort((distances, centres))
    starts = np.searchsorted(centres[order], np.arange(len(structure)))
    return distances[order][starts[:, None] + np.arange(n)]
