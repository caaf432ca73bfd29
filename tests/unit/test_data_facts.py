"""Facts about crystals whose symmetry is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitenet.data.crystal import Crystal
from sitenet.data.facts import UNKNOWN, crystal_system, write_facts
from sitenet.data.table import CrystalTable, bundled_path, copy_rows

# Rb2Te (antifluorite), CdCl2 (layers), MnF2 (rutile), LaN.
KNOWN = {"mp-441": "cubic", "mp-22881": "trigonal", "mp-560902": "tetragonal", "mp-567290": "hexagonal"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("facts")
    copy_rows(bundled_path("mp_dielectric_gap"), folder / "structures.parquet", set(ids()))
    for processes in (1, 2):
        write_facts(folder / "structures.parquet", folder / f"facts{processes}.parquet", processes)
    one, two = (pd.read_parquet(folder / f"facts{processes}.parquet") for processes in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    return one


def ids() -> list[str]:
    return CrystalTable.open(bundled_path("mp_dielectric_gap")).ids[:30]


def test_one_row_a_crystal_in_order(facts: pd.DataFrame) -> None:
    assert facts["id"].tolist() == ids()
    crystals = CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 30)
    assert facts["n_sites"].tolist() == [len(crystal.atomic_numbers) for crystal in crystals]


def test_known_symmetries(facts: pd.DataFrame) -> None:
    systems = facts.set_index("id")["crystal_system"]
    assert {id_: systems[id_] for id_ in KNOWN} == KNOWN


def test_formulas_are_written_as_usual(facts: pd.DataFrame) -> None:
    assert facts["formula"].head(5).tolist() == ["Rb2Te", "CdCl2", "MnI2", "LaN", "MnF2"]


def test_no_symmetry_is_no_error(tmp_path: Path) -> None:
    """Two sites at one place, which spglib refuses."""
    assert crystal_system(Crystal("", 5 * np.eye(3), np.array([11, 11]), np.zeros((2, 3)))) == UNKNOWN
