from typing import Any

import pytest
from pymatgen.core import Element

from sitenet.data.sources.materials_project import MaterialsProjectDataset
from sitenet.errors import UserError
from sitenet.settings.elements import SYMBOLS
from sitenet.settings.problems import validate

MINE = {"source": "materials_project", "name": "mine", "target": "band_gap", "unit": "eV"}


def test_symbols_are_in_the_order_of_atomic_number() -> None:
    assert list(SYMBOLS) == [Element.from_Z(z).symbol for z in range(1, 119)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"elements": ["O", "Xx"]}, "'dataset.elements.1' has the value 'Xx': no element has this symbol"),
        ({"exclude_elements": ["o"]}, "'dataset.exclude_elements.0' has the value 'o': no element has this symbol"),
        ({"energy_above_hull": float("inf")}, "'dataset.energy_above_hull' has the value inf"),
        ({"band_gap": [0, float("nan")]}, "'dataset.band_gap.1' has the value nan"),
    ],
)
def test_impossible_criteria_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(MaterialsProjectDataset, MINE | values, "dataset")
    assert message in str(caught.value)
