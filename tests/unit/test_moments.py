"""Moments of shells: harmonics against scipy, pairs against pymatgen, and what the reduction keeps of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import sph_harm_y

from sitenet.config.trial import Trial
from sitenet.features import moments
from sitenet.features.featurize import expand_attention, featurize, neighbour_distances
from sitenet.features.harmonics import n_moments, spherical_harmonics
from sitenet.features.point_set import PointSet
from sitenet.features.store import FeatureStore, write_shard
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.settings.features import FeatureSettings
from sitenet.settings.training import TrainingSettings
from tests.real_crystals import crystals
from tests.unit.cells import close_packing, to_structure

EVERY_40TH = list(crystals().values())[::40]
DEGREE = 4
REDUCED, ALL_PAIRS = (FeatureSettings(radius=4.1, distance_tolerance=t, moments=DEGREE) for t in (1e-4, 0))
NOISE = 1e-3  # of moments whose pairs have distances that differ by up to the tolerance


def degrees() -> list[slice]:
    return [slice(n_moments(degree - 1), n_moments(degree)) for degree in range(1, DEGREE + 1)]


def rows_of(point_set: PointSet) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(point_set.row_counts)), point_set.row_counts)


def products(shells: NDArray[np.floating]) -> NDArray[np.floating]:
    """(degrees, S, S) what a rotation does not change."""
    return np.stack([shells[:, part] @ shells[:, part].T for part in degrees()])


def test_harmonics_are_those_of_scipy() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 3))
    x, y, z = vectors.T
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    values = spherical_harmonics(vectors, DEGREE)
    for degree, part in enumerate(degrees(), start=1):
        for m, ours in zip(range(-degree, degree + 1), values[:, part].T, strict=True):
            complex_ = sph_harm_y(degree, abs(m), polar, azimuth) * np.sqrt(4 * np.pi) * (-1.0) ** m
            theirs = complex_.real if m == 0 else np.sqrt(2) * (complex_.imag if m < 0 else complex_.real)
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_products_depend_on_the_angle_alone() -> None:
    """The addition theorem; a vector of length 0 has no direction."""
    vectors = np.random.default_rng(1).normal(size=(50, 3))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for degree, found in enumerate(products(spherical_harmonics(vectors, DEGREE)), start=1):
        legendre = np.polynomial.legendre.Legendre.basis(degree)
        np.testing.assert_allclose(found, (2 * degree + 1) * legendre(units @ units.T), atol=1e-12)
    assert not spherical_harmonics(np.zeros((1, 3)), DEGREE).any()


def test_directions_are_those_of_pymatgen() -> None:
    for crystal in EVERY_40TH:
        structure = to_structure(crystal).get_primitive_structure(0.01)
        near, far, images, distances = structure.get_neighbor_list(4.1)
        vectors = structure.cart_coords[far] - structure.cart_coords[near] + images @ structure.lattice.matrix
        theirs = np.column_stack([near, far, distances, spherical_harmonics(vectors, DEGREE)])
        point_set = featurize(crystal, ALL_PAIRS)
        others = point_set.distances > 0
        columns = (rows_of(point_set), point_set.pair_sites, point_set.distances, point_set.moments)
        ours = np.column_stack([column[others] for column in columns])
        assert ours.shape == theirs.shape
        found, places = cKDTree(theirs).query(ours)
        assert found.max() < 1e-6
        assert len(set(places.tolist())) == len(ours)


def test_moments_of_reduced_pairs_are_means_over_the_full_sphere() -> None:
    for crystal in EVERY_40TH:
        reduced, full = featurize(crystal, REDUCED), featurize(crystal, ALL_PAIRS)
        rows, full_rows, far = rows_of(reduced), rows_of(full), reduced.site_class[full.pair_sites]
        for site, own_class in enumerate(reduced.site_class):
            own, seen = np.flatnonzero(rows == own_class), full_rows == site
            expected = np.zeros((len(own), n_moments(DEGREE)))
            for number, pair in enumerate(own):
                merged = seen & (far == reduced.pair_sites[pair])
                merged &= abs(full.distances - reduced.distances[pair]) <= REDUCED.distance_tolerance
                assert np.count_nonzero(merged) == reduced.pair_counts[pair]
                expected[number] = full.moments[merged].mean(axis=0)
            if site == np.flatnonzero(reduced.site_class == own_class)[0]:
                np.testing.assert_allclose(reduced.moments[own], expected, atol=1e-12)
            assert abs(products(reduced.moments[own]) - products(expected)).max() < moments.TOLERANCE


@pytest.mark.parametrize(("layers", "classes"), [("ABC", 1), ("AB", 1), ("ABAC", 2), ("ABCACB", 2)])
def test_sites_with_equal_distances_and_other_angles_are_told_apart(layers: str, classes: int) -> None:
    """In close packings of spheres, all sites have 12 and 6 neighbours at the same distances.

    They are the corners of a cuboctahedron where the layers below and above differ, and of a twisted one otherwise.
    """
    by_distance, by_direction = (
        featurize(close_packing(layers), FeatureSettings(radius=4.2, moments=degree)) for degree in (0, 3)
    )
    assert by_distance.pair_counts.tolist() == [1, 12, 6]
    assert len(by_direction.row_counts) == classes


def test_noise_does_not_split_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    features = FeatureSettings(radius=4.0, moments=3)
    counts = [len(featurize(crystal, features).row_counts) for crystal in EVERY_40TH]
    monkeypatch.setattr(moments, "TOLERANCE", 0.1)
    assert counts == [len(featurize(crystal, features).row_counts) for crystal in EVERY_40TH]


def test_moments_do_not_depend_on_how_the_crystal_is_described() -> None:
    rng = np.random.default_rng(2)
    for crystal in EVERY_40TH:
        turned = replace(crystal, lattice=crystal.lattice @ np.linalg.qr(rng.normal(size=(3, 3)))[0])
        one, other = featurize(crystal, REDUCED), featurize(turned, REDUCED)
        np.testing.assert_array_equal(one.pair_counts, other.pair_counts)
        for row in range(len(one.row_counts)):
            ours, theirs = (products(p.moments[rows_of(p) == row]) for p in (one, other))
            np.testing.assert_allclose(ours, theirs, atol=NOISE)


def test_a_store_gives_back_the_moments(tmp_path: Path) -> None:
    point_sets = [featurize(crystal, REDUCED) for crystal in EVERY_40TH]
    write_shard(tmp_path / "shard.arrow", point_sets, FeatureSettings(radius=4.1, moments=3))
    store = FeatureStore([tmp_path / "shard.arrow"])
    for index, point_set in enumerate(point_sets):
        assert store[index].moments.dtype == np.float32
        np.testing.assert_array_equal(store[index].moments, point_set.moments.astype(np.float32))


def test_a_store_without_moments_is_as_it_was(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard.arrow", [featurize(EVERY_40TH[0], FeatureSettings(radius=4.1))])
    names = pa.ipc.open_file(str(tmp_path / "shard.arrow")).schema.names
    assert names == [
        *("id", "n_images", "distortion", "site_class", "atomic_numbers", "site_counts", "row_counts"),
        *("pair_sites", "pair_counts", "distances"),
    ]
    stored = FeatureStore([tmp_path / "shard.arrow"])[0]
    assert stored.moments.shape == (len(stored.distances), 0)


def test_a_feature_set_without_moments_keeps_its_name() -> None:
    sections = {"model": RadialSiteNetSettings(), "training": TrainingSettings()}
    assert Trial({**sections, "features": FeatureSettings(radius=4.0)}).feature_id == "sphere4-2a6b1380"
    assert Trial({**sections, "features": FeatureSettings(radius=4.0, moments=3)}).feature_id != "sphere4-2a6b1380"


def test_moments_without_a_radius_are_refused() -> None:
    with pytest.raises(ValueError, match="moments 3 need a radius"):
        FeatureSettings(moments=3)


@pytest.mark.parametrize("features", [REDUCED, ALL_PAIRS], ids=["reduced", "all pairs"])
def test_expanded_attention_belongs_to_the_right_pairs(features: FeatureSettings) -> None:
    for crystal in (close_packing("ABAC"), *EVERY_40TH[:5]):
        point_set = featurize(crystal, features)
        weights = np.stack([point_set.pair_counts, point_set.pair_counts * point_set.distances], axis=1)
        _, distances = neighbour_distances(crystal, features)
        expanded = expand_attention(crystal, features, weights)
        seen = distances.reshape(expanded.shape[:2]) <= 4.1
        np.testing.assert_array_equal(expanded[:, :, 0], seen)
        np.testing.assert_allclose(expanded[:, :, 1], np.where(seen, distances.reshape(seen.shape), 0), atol=1e-4)
