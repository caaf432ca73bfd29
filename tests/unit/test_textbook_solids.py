"""The page of five solids, and where shells of neighbours cross the edge of a sphere."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest

from sitenet.features.featurize import featurize
from sitenet.prediction.inputs.objects import items_of_objects
from sitenet.prediction.model import load_model
from sitenet.settings.features import FeatureSettings
from tests.shared_data import SHARED, needs_matbench
from tools.textbook_solids import PAGE, REFERENCES, SOLIDS, crossings, page

NUMBER = re.compile(r"[-+]?\d+\.\d+")


def test_the_page_is_what_the_tool_writes() -> None:
    written, now = PAGE.read_text("utf-8"), page(load_model(device="cpu"), json.loads(REFERENCES.read_text("utf-8")))
    assert NUMBER.sub("#", now) == NUMBER.sub("#", written), "run `python -m tools.textbook_solids`"
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (now, written)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.011)  # the last digit may be rounded the other way


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda solid: solid.formula)
def test_the_number_of_neighbours_changes_where_a_shell_crosses(solid) -> None:  # type: ignore[no-untyped-def]
    settings = FeatureSettings(radius=5.0)

    def neighbours(a: float) -> int:
        (item,) = items_of_objects(solid.atoms(a))
        return int(featurize(item.crystal(), settings).pair_counts.sum())

    found = crossings(solid, 0.9 * solid.measured, 1.1 * solid.measured, 5.0)
    assert found
    for a in found:
        assert neighbours(a * (1 - 1e-4)) > neighbours(a * (1 + 1e-4))
    between = np.sort([0.9 * solid.measured, *found, 1.1 * solid.measured])
    for low, high in pairwise(between):
        assert neighbours(low * (1 + 1e-4)) == neighbours(high * (1 - 1e-4))


@needs_matbench
def test_references_are_those_of_the_data() -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(SHARED / "data/matbench_mp_gap.parquet", columns=["mbid", "gap_pbe"]).to_pydict()
    gaps = dict(zip(table["mbid"], table["gap_pbe"], strict=True))
    for own in json.loads(REFERENCES.read_text("utf-8")).values():
        assert own["gap"] == pytest.approx(gaps[own["id"]], abs=1e-4)
