"""Sites within a radius instead of a supercell: against pymatgen, and independent of the choice of cell."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitenet.config.trial import Trial
from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.features.featurize import expand_attention, featurize, neighbour_distances
from sitenet.features.point_set import PointSet
from sitenet.features.store import FeatureStore, write_shard
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.settings.features import FeatureSettings
from sitenet.settings.training import TrainingSettings
from tests.real_crystals import crystals as real_crystals
from tests.unit.cells import to_structure

EVERY_40TH = list(real_crystals().values())[::40]
ONE_SITE, TRAINING = (np.array([6]), np.zeros((1, 3))), TrainingSettings()
SPHERE, ALL_PAIRS = (FeatureSettings(radius=4.1, distance_tolerance=tolerance) for tolerance in (1e-4, 0))


def shells(point_set: PointSet) -> list[tuple[int, float, list[tuple[int, float, int]]]]:
    """Each class of sites in some order of its own: element, share of all sites, and what it sees how often."""
    ends, classes = np.cumsum(point_set.row_counts)[:-1], []
    columns = (point_set.atomic_numbers[point_set.pair_sites], point_set.distances, point_set.pair_counts)
    shares = point_set.site_counts / point_set.site_counts.sum()
    split = (np.split(column, ends) for column in columns)
    for z, share, far_z, distances, counts in zip(point_set.atomic_numbers, shares, *split, strict=True):
        # Rounded up from a bit below, so that the distances of two-decimal cells are never on an edge.
        keys = zip(far_z.tolist(), np.floor(distances * 100 + 0.3).tolist(), counts.tolist(), strict=True)
        seen: Counter[tuple[int, float]] = Counter()
        for far, distance, count in keys:
            seen[far, distance] += count
        classes.append((int(z), float(share), [(*key, n) for key, n in sorted(seen.items())]))
    return sorted(classes)


def assert_same_shells(one: PointSet, other: PointSet) -> None:
    for (z, share, seen), (other_z, other_share, other_seen) in zip(shells(one), shells(other), strict=True):
        assert (z, seen) == (other_z, other_seen)
        assert share == pytest.approx(other_share)


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
    assert_same_shells(featurize(sheared, SPHERE), featurize(crystal, SPHERE))


@pytest.mark.parametrize("features", [SPHERE, ALL_PAIRS], ids=["reduced", "all pairs"])
def test_a_shell_at_the_radius_is_complete(features: FeatureSettings) -> None:
    hexagonal = np.array([[3.2, 0, 0], [-1.6, 1.6 * np.sqrt(3), 0], [0, 0, 20.0]])
    crystal = Crystal("", hexagonal @ np.linalg.qr(np.arange(9.0).reshape(3, 3) ** 1.5 + np.eye(3))[0], *ONE_SITE)
    # The six neighbours' distances differ by rounding errors.
    for radius, seen in ((3.2, 7), (3.2 - 1e-5, 1)):
        point_set = featurize(crystal, features.model_copy(update={"radius": radius}))
        assert point_set.pair_counts.sum() == seen


def test_a_shell_that_noise_spreads_over_the_radius_is_complete() -> None:
    zinc_blende = real_crystals()["mp-252"]
    nearest = featurize(zinc_blende, SPHERE).distances.reshape(2, -1)[0, 1:].min()
    noise = np.array([[0, 0, 0], [2e-5, 1e-5, -3e-5]]) @ np.linalg.inv(zinc_blende.lattice)
    noisy = replace(zinc_blende, frac_coords=zinc_blende.frac_coords + noise)
    spread = np.sort(featurize(noisy, ALL_PAIRS).distances)[2:10]
    assert spread.min() < nearest < spread.max() < spread.min() + SPHERE.distance_tolerance
    for radius, seen in ((spread.mean() + 1e-5, 5), (spread.mean() - 1e-5, 1)):
        point_set = featurize(noisy, FeatureSettings(radius=float(radius)))
        assert point_set.pair_counts.sum() == seen * len(point_set.row_counts)


@pytest.mark.parametrize(
    ("lattice", "radius", "reason"),
    [
        (0.1, 20.0, r"unphysical: two faces of the cell are 0\.1 angstrom apart"),
        (0.7, 20.0, r"too large: up to 9\d,\d{3} sites within 20"),
    ],
)
def test_a_cell_with_too_many_neighbours_is_a_failure(lattice: float, radius: float, reason: str) -> None:
    with pytest.raises(BadCrystal, match=reason):
        featurize(Crystal("", lattice * np.eye(3), *ONE_SITE), FeatureSettings(radius=radius))


@pytest.mark.parametrize("other", [{"max_sites": 50}, {"supercell": False}])
def test_a_radius_takes_the_place_of_a_supercell(other: dict) -> None:
    with pytest.raises(ValueError, match=f"radius 6 replaces the supercell: leave out {next(iter(other))}"):
        FeatureSettings(radius=6.0, **other)


def test_folder_names_of_feature_sets_are_those_the_workflow_knows() -> None:
    pattern = re.search(r'features="(.*)",', (Path(__file__).parents[2] / "rules" / "common.smk").read_text())
    assert pattern is not None
    for features in ({}, {"radius": 6.0}, {"radius": 6.25}, {"max_sites": 50}, {"supercell": False}):
        trial = Trial({"model": SiteNetSettings(), "features": FeatureSettings(**features), "training": TRAINING})
        assert re.fullmatch(pattern[1], trial.feature_id), trial.feature_id


def test_a_store_gives_back_what_a_radius_saw(tmp_path: Path) -> None:
    point_sets = [featurize(crystal, SPHERE) for crystal in EVERY_40TH]
    write_shard(tmp_path / "shard.arrow", point_sets)
    store = FeatureStore([tmp_path / "shard.arrow"])
    for stored, point_set in zip(map(store.__getitem__, range(len(store))), point_sets, strict=True):
        np.testing.assert_array_equal(stored.pair_counts, point_set.pair_counts)
        np.testing.assert_allclose(stored.distances, point_set.distances, rtol=1e-7)


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
        _, distances = neighbour_distances(crystal, features)
        assert expanded.shape == (len(distances), distances[0].size)
        np.testing.assert_allclose(expanded.sum(axis=1), 1)
        assert ((expanded > 0) == (distances.reshape(expanded.shape) <= 4.1)).all()
