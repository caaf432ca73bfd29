"""Energies of the bundled crystals' point charges, against textbook constants and plain sums."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import erfc

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from tools.bundle_electrostatics import COULOMB, SCREENING, as_structure, charges, ewald_energy, screened_energy

CRYSTALS = {crystal.id: crystal for crystal in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()}
TABLE = pd.read_parquet(bundled_path("mp_dielectric_electrostatics")).set_index("id")
# NaBr, MgS, BeO and CdSe; constants of Kittel, Introduction to Solid State Physics, chapter 3, and of
# Johnson and Templeton, J. Chem. Phys. 34, 2004 (1961).
MADELUNG = {"mp-22916": 1.747565, "mp-1315": 1.747565, "mp-1778": 1.6381, "mp-2691": 1.6381}


@pytest.mark.parametrize(("id_", "constant"), MADELUNG.items())
def test_the_energy_of_all_pairs_is_madelungs(id_: str, constant: float) -> None:
    charge = charges(CRYSTALS[id_].atomic_numbers)
    assert charge is not None
    nearest = as_structure(CRYSTALS[id_]).get_distance(0, 1)
    assert TABLE.ewald_energy[id_] == pytest.approx(-COULOMB * constant * charge[0] ** 2 / nearest / 2, rel=5e-5)


@pytest.mark.parametrize("id_", ["mp-22916", "mp-1778", *TABLE.index[::150]])
def test_the_table_is_what_the_formulas_give(id_: str) -> None:
    charge = charges(CRYSTALS[id_].atomic_numbers)
    assert charge is not None
    assert TABLE.ewald_energy[id_] == pytest.approx(ewald_energy(as_structure(CRYSTALS[id_]), charge), abs=1e-5)
    assert TABLE.screened_energy[id_] == pytest.approx(plain_sum(CRYSTALS[id_], charge), abs=1e-5)


def plain_sum(crystal: Crystal, charge: np.ndarray) -> float:
    """The screened energy, over all cells of a block that reaches at least 12 angstrom in each direction."""
    heights = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    cells = product(*(range(-n, n + 1) for n in np.ceil(12 / heights).astype(int) + 1))
    energy = 0.0
    for cell in cells:
        apart = crystal.frac_coords[:, None] - crystal.frac_coords[None] + np.array(cell)
        distance = np.linalg.norm(apart @ crystal.lattice, axis=2)
        other = distance > 1e-8
        energy += (np.outer(charge, charge)[other] * erfc(distance[other] / SCREENING) / distance[other]).sum()
    return COULOMB * energy / 2 / len(charge)


def test_the_control_has_a_known_range() -> None:
    """Four angstrom hold all but 0.08 eV/site of the screened energy, on the average; six hold everything."""
    errors: dict[float, list[float]] = {4.0: [], 6.0: []}
    for id_ in TABLE.index[::12]:
        charge = charges(CRYSTALS[id_].atomic_numbers)
        assert charge is not None
        for reach, found in errors.items():
            found.append(abs(screened_energy(as_structure(CRYSTALS[id_]), charge, reach) - TABLE.screened_energy[id_]))
    assert np.mean(errors[4.0]) < 0.08
    assert np.mean(errors[6.0]) < 0.002


def test_neutral_crystals_have_both_energies_and_others_none() -> None:
    neutral = [id_ for id_, crystal in CRYSTALS.items() if charges(crystal.atomic_numbers) is not None]
    assert neutral == TABLE.index.tolist()
    assert len(neutral) == 729
    assert not TABLE.isna().any(axis=None)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([11, 17], [1, -1]),
        ([20, 16, 8, 8, 8, 8], [2, 6, -2, -2, -2, -2]),  # sulphur is a cation beside oxygen
        ([20, 16], [2, -2]),
        ([26, 26, 8, 8, 8], None),  # iron has the charge +2 here
        ([54, 9, 9], None),  # xenon has none
    ],
)
def test_charges_are_by_element_and_neutral(numbers: list[int], expected: list[float] | None) -> None:
    found = charges(np.array(numbers))
    assert (None if found is None else found.tolist()) == expected
