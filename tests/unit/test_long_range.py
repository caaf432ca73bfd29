"""What the table of how far networks see is made of."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from sitenet.config.benchmark import Benchmark
from tests.unit.test_electrostatics import CRYSTALS, TABLE
from tools.long_range import sight, truncated_energy
from tools.trial_errors import mean_error

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("id_", ["mp-22916", *TABLE.index[::200]])
def test_a_truncated_sum_nears_the_whole_as_its_radius_grows(id_: str) -> None:
    errors = [abs(truncated_energy(CRYSTALS[id_], radius, 0.2) - TABLE.ewald_energy[id_]) for radius in (4, 6, 10)]
    assert errors[0] > errors[2]
    assert errors[2] < 0.01 * abs(TABLE.ewald_energy[id_])


def test_sights_are_spheres_of_the_same_volume() -> None:
    benchmark = Benchmark(yaml.safe_load((ROOT / "configs" / "long_range.yaml").read_text()))
    seen = [sight(trial, 4 / 3 * np.pi) for trial in benchmark.networks.values()]  # a site takes a sphere of 1 angstrom
    assert [round(each.reach, 2) for each in seen] == [4, 6, 8, 3.68, 4.64, 5, 7.94]
    assert seen[0].words == "sphere of 4 angstrom"
    assert seen[5].words == "100 sites, cut-off at 5 angstrom"


def test_differences_are_over_the_seeds_that_both_have() -> None:
    ids = ["a", "b", "c"]
    errors = {(0, seed): pd.Series([1.0, 2.0, 6.0 + seed], ids) for seed in (0, 1, 2)}
    reference = {(0, 1): pd.Series([0.0, 2.0, 8.0], ids)}
    groups = {id_: id_ for id_ in ids}
    assert mean_error(errors, groups).value == pytest.approx(10 / 3)
    assert mean_error(errors, groups, reference).value == pytest.approx(0)
