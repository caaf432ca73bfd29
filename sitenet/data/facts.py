"""Facts about the crystals of a data set, by which errors are grouped: formula, number of sites, symmetry."""

import os
import warnings
from pathlib import Path
from typing import Literal

import pandas as pd
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

from sitenet.data.crystal import Crystal
from sitenet.data.formula import standard_formula
from sitenet.data.parts import in_parts
from sitenet.data.table import CrystalTable
from sitenet.files import replacing
from sitenet.records import FileRecord

SYMPREC = 0.01  # angstrom, pymatgen's default
UNKNOWN: Literal["unknown"] = "unknown"


class CrystalFacts(FileRecord):
    """Keeps the checksum of the table of facts beside it."""


def write_facts(structures: Path | str, path: Path | str, processes: int) -> None:
    """Writes one row of facts for each crystal of a table, in its order, as Parquet.

    Columns: id, formula (reduced, elements by electronegativity: "K2S"), n_sites (of the cell as given) and
    crystal_system (by spglib, within 0.01 angstrom; "unknown" where it finds none).

    Args:
        structures: The crystal table.
        path: The Parquet file.
        processes: Number of processes that share the work.
    """
    with replacing(path) as temporary:
        in_parts(structures, processes, _facts, "symmetry").to_parquet(temporary, index=False)


def _facts(structures: Path | str, start: int, stop: int) -> pd.DataFrame:
    os.environ.setdefault("SPGLIB_WARNING", "OFF")  # read by spglib, which else writes to the terminal what it misses
    crystals = list(CrystalTable.open(structures).crystals(start, stop))
    return pd.DataFrame(
        {
            "id": [crystal.id for crystal in crystals],
            "formula": [standard_formula(crystal.atomic_numbers.tolist()) for crystal in crystals],
            "n_sites": [len(crystal.atomic_numbers) for crystal in crystals],
            "crystal_system": [crystal_system(crystal) for crystal in crystals],
        }
    )


def crystal_system(crystal: Crystal) -> str:
    """One of the seven crystal systems, "cubic" for example; "unknown" where spglib finds no symmetry."""
    structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return SpacegroupAnalyzer(structure, SYMPREC).get_crystal_system()
        except SymmetryUndeterminedError:
            return UNKNOWN
