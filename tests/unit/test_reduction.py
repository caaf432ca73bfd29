"""The pair reduction loses nothing, and bad crystals say what is wrong with them."""

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.features.featurize import expand_attention, featurize
from sitenet.features.point_set import PointSet
from sitenet.features.reduction import cluster_distances, equitable_partition
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import crystals as real_crystals
from tests.unit.cells import crystals

REDUCED, ALL_PAIRS = FeatureSettings(max_sites=60), FeatureSettings(max_sites=60, distance_tolerance=0)
EVERY_40TH = list(real_crystals().values())[::40]
ROCKSALT = real_crystals()["mp-252"]


def assert_lossless(crystal: Crystal, reduced: PointSet, full: PointSet) -> None:
    """Every pair is counted once, in the row of its site's class, at its own distance."""
    n_sites, ends = len(full.site_class), np.cumsum(full.row_counts)[:-1]
    all_far, all_distances = np.split(full.pair_sites, ends), np.split(full.distances, ends)
    assert reduced.site_counts.tolist() == np.bincount(reduced.site_class).tolist()
    rows = np.repeat(np.arange(len(reduced.row_counts)), reduced.row_counts)
    for i in range(n_sites):
        assert reduced.atomic_numbers[reduced.site_class[i]] == full.atomic_numbers[i]
        row = rows == reduced.site_class[i]
        far = np.repeat(reduced.pair_sites[row], reduced.pair_counts[row])
        distances = np.repeat(reduced.distances[row], reduced.pair_counts[row])
        expected_far, expected = reduced.site_class[all_far[i]], all_distances[i]
        assert Counter(far.tolist()) == Counter(expected_far.tolist())
        for other in set(far.tolist()):
            ours, theirs = np.sort(distances[far == other]), np.sort(expected[expected_far == other])
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=REDUCED.distance_tolerance)
            assert (ours == 0).sum() == (theirs == 0).sum()


@pytest.mark.parametrize("radius", [None, 4.3])
def test_reduction_of_real_crystals_is_lossless(radius: float | None) -> None:
    reduced, all_pairs = (s.model_copy(update={"radius": radius}) for s in (REDUCED, ALL_PAIRS))
    for crystal in EVERY_40TH:
        assert_lossless(crystal, featurize(crystal, reduced), featurize(crystal, all_pairs))


@settings(deadline=None)
@given(crystals())
def test_reduction_of_generated_crystals_is_lossless(crystal: Crystal) -> None:
    try:
        reduced = featurize(crystal, REDUCED)
    except BadCrystal as reason:
        assume(not str(reason).startswith(("overlapping", "unphysical")))
        raise
    assert_lossless(crystal, reduced, featurize(crystal, ALL_PAIRS))


def test_rocksalt_has_one_row_an_element() -> None:
    point_set = featurize(ROCKSALT, REDUCED)
    assert len(point_set.row_counts) == 2
    assert len(point_set.distances) < len(featurize(ROCKSALT, ALL_PAIRS).distances) / 5


def test_order_of_sites_makes_no_difference() -> None:
    rng = np.random.default_rng(0)
    for crystal in EVERY_40TH:
        order = rng.permutation(len(crystal.atomic_numbers))
        shuffled = Crystal("", crystal.lattice, crystal.atomic_numbers[order], crystal.frac_coords[order])
        assert class_rows(featurize(crystal, REDUCED)) == class_rows(featurize(shuffled, REDUCED))


def class_rows(point_set: PointSet) -> Counter:
    """Each class as element, sites and multiset of (element, distance, count): independent of numbering."""
    ends = np.cumsum(point_set.row_counts)
    rows: Counter = Counter()
    for number, (end, length) in enumerate(zip(ends, point_set.row_counts, strict=True)):
        pairs = slice(end - length, end)
        far = point_set.atomic_numbers[point_set.pair_sites[pairs]].tolist()
        distances, counts = (
            point_set.distances[pairs].round(6).tolist(),
            point_set.pair_counts[pairs].tolist(),
        )
        row = tuple(sorted(zip(far, distances, counts, strict=True)))
        rows[point_set.atomic_numbers[number], point_set.site_counts[number], row] += 1
    return rows


@settings(deadline=None)
@given(st.lists(st.integers(0, 400).map(lambda k: k / 10_000), min_size=1), st.sampled_from([1e-4, 1e-3, 0.02]))
def test_clusters_are_narrow_and_not_finer_than_gaps(values: list[float], tolerance: float) -> None:
    labels, means = cluster_distances(np.array(values), tolerance)
    for label, mean in enumerate(means):
        members = np.array(values)[labels == label]
        assert np.ptp(members) <= tolerance
        assert mean == pytest.approx(members.mean())
    assert (np.diff(means) > 0).all()
    # Values whose whole neighbourhood is narrower than the tolerance stay together.
    ordered = np.sort(values)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > tolerance) + 1)
    assert len(means) == len(groups) or any(np.ptp(group) > tolerance for group in groups)


def test_noise_does_not_split_equal_distances() -> None:
    # A window opened by the first value would end between the last two.
    labels, _ = cluster_distances(np.array([1.0, 1.00008, 1.00012]), 1e-4)
    assert labels.tolist() == [0, 1, 1]


def test_partition_is_equitable_and_coarsest() -> None:
    # A path of five equal atoms: ends, their neighbours, the middle.
    steps = np.abs(np.subtract.outer(range(5), range(5)))
    nearest = np.minimum(steps, 2)[:, :, None]
    classes, first = equitable_partition(np.full(5, 6), nearest)
    assert classes.tolist() == [0, 1, 2, 1, 0]
    assert first.tolist() == [0, 1, 2]
    assert equitable_partition(np.array([6, 6, 6, 6, 7]), nearest)[0].tolist() == [0, 1, 2, 3, 4]


def test_expanded_attention_belongs_to_the_right_pairs() -> None:
    for crystal in EVERY_40TH:
        reduced, full = featurize(crystal, REDUCED), featurize(crystal, ALL_PAIRS)
        rows = np.repeat(np.arange(len(reduced.row_counts)), reduced.row_counts)
        weights = np.exp(-reduced.distances) * reduced.pair_counts
        weights = np.stack([weights / np.bincount(rows, weights)[rows], reduced.distances * reduced.pair_counts], 1)
        n_sites = len(full.site_class)
        expanded = expand_attention(crystal, REDUCED, weights)
        assert expanded.shape == (n_sites, n_sites * full.n_images, 2)
        np.testing.assert_allclose(expanded[:, :, 0].sum(axis=1), 1)
        np.testing.assert_allclose(expanded[:, :, 1], full.distances.reshape(n_sites, -1), rtol=0, atol=1e-4)
        unreduced = np.arange(2.0 * len(full.distances)).reshape(-1, 2)
        np.testing.assert_array_equal(expand_attention(crystal, ALL_PAIRS, unreduced).reshape(-1, 2), unreduced)


def test_primitive_cell_alone() -> None:
    point_set = featurize(ROCKSALT, FeatureSettings(supercell=False, distance_tolerance=0))
    assert point_set.n_images == 1
    assert len(point_set.distances) == 4


def test_same_crystal_same_numbers() -> None:
    crystal = EVERY_40TH[3]
    read_only = replace(crystal, frac_coords=np.asfortranarray(crystal.frac_coords))
    for field in fields(PointSet):
        left, right = (getattr(featurize(c, REDUCED), field.name) for c in (crystal, read_only))
        np.testing.assert_array_equal(left, right)


BAD = {
    "empty: the structure has no sites": replace(
        ROCKSALT, atomic_numbers=np.array([], int), frac_coords=np.empty((0, 3))
    ),
    "not finite": replace(ROCKSALT, frac_coords=np.array([[0, 0, np.nan], [0.5, 0.5, 0.5]])),
    "no volume": replace(ROCKSALT, lattice=np.array([[3.0, 0, 0], [0, 3, 0], [3, 3, 0]])),
    "unknown element: atomic number 0 is": replace(ROCKSALT, atomic_numbers=np.array([0, 8], np.uint8)),
    "unknown element: atomic number 119 is": replace(ROCKSALT, atomic_numbers=np.array([119, 8])),
    "overlapping atoms: 0.000 angstrom between primitive sites 0 and 1": replace(
        ROCKSALT, frac_coords=np.array([[0.1, 0.2, 0.3], [1.1, 0.2, -0.7]])
    ),
    "overlapping atoms: 0.400 angstrom between a site and its periodic image": replace(
        ROCKSALT, lattice=np.diag([0.4, 9.0, 9.0])
    ),
    "too large: 2001 primitive sites, the limit is 2000": Crystal(
        "", np.diag([1.0, 1.0, 2001.0]), np.append(np.full(2000, 6), 7), np.zeros((2001, 3))
    ),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_crystals_say_why(reason: str) -> None:
    with pytest.raises(BadCrystal, match=reason):
        featurize(BAD[reason], REDUCED)
