"""Sites within a radius instead of a supercell: against pymatgen, and independent of the choice of cell."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitenet.config.features import FeatureSettings
from sitenet.data.crystal import Crystal
from sitenet.features.featurize import expand_attention, featurize, seen_distances
from sitenet.features.point_set import PointSet
from tests.real_crystals import crystals as real_crystals
from tests.unit.cells import to_structure

EVERY_40TH = list(real_crystals().values())[::40]
SPHERE, ALL_PAIRS = (FeatureSettings(radius=4.1, distance_tolerance=tolerance) for tolerance in (1e-4, 0))


def sights(point_set: PointSet) -> set[str]:
    """What each class of sites sees: its element, and how often each element at each distance."""
    ends, seen = np.cumsum(point_set.row_counts)[:-1], set()
    columns = (point_set.atomic_numbers[point_set.pair_sites], point_set.distances, point_set.pair_counts)
    for z, *row in zip(point_set.atomic_numbers, *(np.split(column, ends) for column in columns), strict=True):
        counts: Counter[tuple[int, float]] = Counter()
        for far_z, distance, count in zip(*row, strict=True):
            counts[int(far_z), round(float(distance), 2)] += int(count)
        seen.add(f"{z}: {sorted(counts.items())}")
    return seen


@pytest.mark.parametrize("radius", [2.5, 6.0])
def test_neighbours_are_those_of_pymatgen(radius: float) -> None:
    for crystal in EVERY_40TH:
        structure = to_structure(crystal).get_primitive_structure(0.5)
        near, far, _, distances = structure.get_neighbor_list(radius)
        point_set = featurize(crystal, FeatureSettings(radius=radius, distance_tolerance=0))
        ours = np.repeat(np.arange(len(structure)), point_set.row_counts)
        for i in range(len(structure)):
            assert Counter(point_set.pair_sites[ours == i].tolist()) == Counter([i, *far[near == i].tolist()])
            expected = np.sort([0.0, *distances[near == i]])
            np.testing.assert_allclose(np.sort(point_set.distances[ours == i]), expected, atol=1e-7)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(EVERY_40TH), st.tuples(*[st.integers(-2, 2)] * 3))
def test_the_choice_of_cell_changes_nothing(crystal: Crystal, shear: tuple[int, int, int]) -> None:
    matrix = np.eye(3, dtype=int)
    matrix[[0, 0, 1], [1, 2, 2]] = shear
    lattice, frac_coords = matrix @ crystal.lattice, crystal.frac_coords @ np.linalg.inv(matrix)
    sheared = replace(crystal, lattice=lattice, frac_coords=frac_coords)
    assert sights(featurize(sheared, SPHERE)) == sights(featurize(crystal, SPHERE))


def test_supercells_of_real_crystals_look_the_same() -> None:
    for crystal in EVERY_40TH[:8]:
        double = to_structure(crystal).make_supercell((1, 2, 1), in_place=False)
        repeated = replace(
            crystal,
            lattice=double.lattice.matrix,
            atomic_numbers=np.array(double.atomic_numbers),
            frac_coords=double.frac_coords,
        )
        assert sights(featurize(repeated, SPHERE)) == sights(featurize(crystal, SPHERE))


def test_a_shell_at_the_radius_is_complete() -> None:
    zinc_blende = real_crystals()["mp-252"]
    second_shell = np.unique(featurize(zinc_blende, FeatureSettings(radius=8.0)).distances)[2]
    point_set = featurize(zinc_blende, FeatureSettings(radius=float(second_shell) + 1e-6))
    assert point_set.row_counts.tolist() == [3, 3]
    assert sorted(point_set.pair_counts.tolist()) == [1, 1, 4, 4, 12, 12]
    below = featurize(zinc_blende, FeatureSettings(radius=float(second_shell) - 1e-6))
    assert sorted(below.pair_counts.tolist()) == [1, 1, 4, 4]


def test_a_site_out_of_reach_of_all_others_sees_itself() -> None:
    alone = replace(real_crystals()["mp-252"], lattice=np.diag([30.0, 30.0, 30.0]))
    point_set = featurize(alone, SPHERE)
    assert point_set.distances.tolist() == [0.0, 0.0]
    assert point_set.pair_counts.tolist() == [1, 1]


@pytest.mark.parametrize("features", [SPHERE, ALL_PAIRS], ids=["reduced", "all pairs"])
def test_expanded_attention_is_zero_in_the_padding(features: FeatureSettings) -> None:
    for crystal in EVERY_40TH:
        point_set = featurize(crystal, features)
        near = np.repeat(np.arange(len(point_set.row_counts)), point_set.row_counts)
        weights = point_set.pair_counts / np.bincount(near, point_set.pair_counts)[near]
        expanded = expand_attention(crystal, features, weights[:, None])[:, :, 0]
        _, distances = seen_distances(crystal, features)
        assert expanded.shape == (len(distances), distances[0].size)
        np.testing.assert_allclose(expanded.sum(axis=1), 1)
        assert ((expanded > 0) == (distances.reshape(expanded.shape) <= 4.1)).all()
