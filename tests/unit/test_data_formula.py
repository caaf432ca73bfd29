import numpy as np
import pytest
from pymatgen.core import Composition, Element

from sitenet.data.formula import reduced_formula
from sitenet.data.table import CrystalTable, bundled_path


@pytest.mark.parametrize(
    ("atomic_numbers", "formula"),
    [
        ([26, 26, 8, 8, 8], "O3Fe2"),
        ([26, 8, 26, 8, 8] * 4, "O3Fe2"),
        ([14, 14], "Si"),
        ([22, 8, 8, 38, 8], "O3TiSr"),
    ],
)
def test_formulas_are_reduced_and_ordered(atomic_numbers: list[int], formula: str) -> None:
    assert reduced_formula(np.array(atomic_numbers, np.uint8)) == formula


def test_crystals_share_a_formula_where_pymatgen_says_so() -> None:
    ours, theirs = set(), set()
    for crystal in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals():
        composition = Composition.from_dict(
            {
                Element.from_Z(z).symbol: n
                for z, n in zip(*np.unique(crystal.atomic_numbers, return_counts=True), strict=True)
            }
        )
        ours.add(formula := reduced_formula(crystal.atomic_numbers))
        theirs.add(composition.reduced_formula)
        assert Composition(formula).reduced_formula == composition.reduced_formula
    assert len(ours) == len(theirs)
