"""The supercell, its distances and the primitive cell, against pymatgen and plain searches."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pymatgen.core import Lattice, Structure

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.features.featurize import featurize
from sitenet.features.pairs import pair_distances, relevant_vectors
from sitenet.features.primitive import may_have_smaller_cell, primitive_cell
from sitenet.features.store import CHANGED
from sitenet.features.supercell import supercell_matrix, translations
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import crystals as real_crystals
from tests.reference.values import arrays as reference_arrays
from tests.reference.values import cases
from tests.unit.cells import crystals, lattices, to_crystal, to_structure

EVERY_40TH = list(real_crystals().values())[::40]
# Distances in angstrom between the sites that a tolerance of 0.5 angstrom makes one.
DISTORTED = {
    "mp-9064": 0.497,
    "mp-1554": 0.416,
    "mp-31040": 0.414,
    "mp-562100": 0.359,
    "mp-4651": 0.330,
    "mp-864746": 0.269,
    "mp-23312": 0.263,
    "mp-545820": 0.145,
    "mp-558852": 0.045,
    "mp-558134": 0.032,
}


def test_distances_and_order_of_the_reference() -> None:
    for case in cases():
        expected = reference_arrays(case["case"])
        all_pairs = FeatureSettings(max_sites=case["max_sites"], distance_tolerance=0)
        point_set = featurize(real_crystals()[case["material_id"]], all_pairs)
        distances = point_set.distances.reshape(case["n_primitive"], -1)
        assert point_set.n_images == case["n_images"]
        np.testing.assert_array_equal(point_set.atomic_numbers, expected["atomic_numbers"])
        # The reference is rounded to float32.
        np.testing.assert_allclose(distances, expected["pair_features"][:, :, 0], rtol=6e-8, atol=0)


@pytest.mark.parametrize("max_sites", [20, 100])
def test_all_pairs_are_those_of_pymatgens_supercell(max_sites: int) -> None:
    for crystal in EVERY_40TH:
        primitive = to_structure(crystal).get_primitive_structure(0.5)
        matrix = supercell_matrix(np.array(primitive.lattice.matrix), len(primitive), max_sites)
        supercell = primitive.make_supercell(matrix, in_place=False)
        point_set = featurize(crystal, FeatureSettings(max_sites=max_sites, distance_tolerance=0))
        n_sites, n_images = len(primitive), round(np.linalg.det(matrix))
        assert point_set.n_images == n_images
        expected = supercell.distance_matrix[::n_images]
        np.testing.assert_allclose(point_set.distances.reshape(expected.shape), expected, atol=1e-9)
        far = point_set.atomic_numbers[point_set.pair_sites].reshape(n_sites, -1)
        assert (far == supercell.atomic_numbers).all()


@settings(deadline=None)
@given(lattice=lattices(), n_sites=st.integers(1, 30), max_sites=st.integers(1, 200))
def test_supercell_matrix(lattice: np.ndarray, n_sites: int, max_sites: int) -> None:
    matrix = supercell_matrix(lattice, n_sites, max_sites)
    steps = np.diag(matrix)
    assert (np.tril(matrix, -1) == 0).all()
    assert (steps >= 1).all()
    assert steps.prod() * n_sites <= max(max_sites, n_sites)
    shortest = min(range(3), key=lambda axis: steps[axis] * _orthogonal_lengths(lattice)[axis])
    longer = steps.prod() // steps[shortest] * (steps[shortest] + 1)
    # With ties another axis may be the next to grow, by a step that is no smaller.
    assert longer * n_sites > max_sites or _has_tie(steps * _orthogonal_lengths(lattice))


def _orthogonal_lengths(lattice: np.ndarray) -> np.ndarray:
    """|R_ii| of the RQ decomposition, from the volumes of the leading sublattices."""
    c, bc, abc = (np.sqrt(np.linalg.det(rows @ rows.T)) for rows in (lattice[2:], lattice[1:], lattice))
    return np.array([abc / bc, bc / c, c])


def _has_tie(lengths: np.ndarray) -> bool:
    return bool(np.sort(lengths)[1] <= np.sort(lengths)[0] * (1 + 1e-6))


def test_halves_round_to_even_whatever_the_rounding_error() -> None:
    for noise in (-1e-14, 0.0, 1e-14):
        hexagonal = np.array([[4.0, 0, 0], [-2.0 + noise, 2 * np.sqrt(3), 0], [0, 0, 4.0]])
        rotation, _ = np.linalg.qr(np.arange(9).reshape(3, 3) ** 1.5 + np.eye(3))
        assert supercell_matrix(hexagonal[[1, 0, 2]] @ rotation, 1, 27).tolist() == [
            [3, 2, 0],
            [0, 3, 0],
            [0, 0, 3],
        ]


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 4)] * 3), st.tuples(*[st.integers(-5, 5)] * 3))
def test_translations_are_all_cosets_in_pymatgens_order(
    diagonal: tuple[int, int, int], shear: tuple[int, int, int]
) -> None:
    matrix = np.diag(diagonal)
    matrix[[0, 0, 1], [1, 2, 2]] = shear
    points = translations(matrix)
    fractions = points @ np.linalg.inv(matrix)
    assert len(points) == matrix.diagonal().prod()
    assert (fractions > -1e-9).all()
    assert (fractions < 1 - 1e-9).all()
    assert points.tolist() == sorted(points.tolist())


@settings(deadline=None)
@given(lattices(), arrays(np.float64, (2, 3), elements=st.floats(0, 1)))
def test_distances_are_shortest(lattice: np.ndarray, frac_coords: np.ndarray) -> None:
    identity = np.eye(3, dtype=np.int64)
    distance = pair_distances(lattice, frac_coords, identity, translations(identity))[0, 1, 0]
    assert distance == pytest.approx(_shortest_by_search(lattice, frac_coords[1] - frac_coords[0]), abs=1e-9)


def _shortest_by_search(lattice: np.ndarray, vector: np.ndarray) -> float:
    """Searches every image that a vector no longer than half the reduced cell's diagonal can reach."""
    basis = relevant_vectors(lattice)[:3]
    vector = vector @ lattice @ np.linalg.inv(basis)
    vector -= np.rint(vector)
    reach = np.linalg.norm(basis, axis=1).sum() / 2
    limits = np.ceil(0.5 + reach * np.linalg.norm(np.linalg.inv(basis), axis=0)).astype(int)
    images = np.array(list(product(*(range(-n, n + 1) for n in limits))))
    return float(np.linalg.norm((vector + images) @ basis, axis=1).min())


@settings(deadline=None)
@given(lattices())
def test_reduced_basis_spans_the_same_lattice(lattice: np.ndarray) -> None:
    change = relevant_vectors(lattice)[:3] @ np.linalg.inv(lattice)
    np.testing.assert_allclose(change, np.rint(change), atol=1e-6)
    assert abs(np.linalg.det(change)) == pytest.approx(1)


def test_primitive_cell_is_pymatgens() -> None:
    rng = np.random.default_rng(0)
    for crystal in EVERY_40TH:
        for scaling in ((1, 1, 1), (1, 2, 1), (3, 1, 1), [[1, 1, 0], [1, -1, 0], [0, 0, 1]]):
            repeated = to_crystal(to_structure(crystal).make_supercell(scaling, in_place=False))
            noise = rng.uniform(-0.02, 0.02, repeated.frac_coords.shape) @ np.linalg.inv(repeated.lattice)
            noisy = replace(repeated, frac_coords=repeated.frac_coords + noise)
            expected = to_structure(noisy).get_primitive_structure(0.5)
            cell = primitive_cell(noisy, 0.5)
            np.testing.assert_array_equal(cell.lattice, expected.lattice.matrix)
            np.testing.assert_array_equal(cell.frac_coords, expected.frac_coords)
            assert cell.atomic_numbers.tolist() == list(expected.atomic_numbers)


@settings(deadline=None)
@given(crystals(max_sites=8))
def test_no_smaller_cell_is_overlooked(crystal: Crystal) -> None:
    structure = to_structure(crystal)
    for tolerance in (0.5, 0.01):
        found = structure.get_primitive_structure(tolerance)
        assert may_have_smaller_cell(crystal, tolerance) or len(found) == len(structure)


def test_only_crystals_with_a_smaller_cell_are_searched() -> None:
    """What pymatgen's search alone finds in the bundled crystals, recorded before the test that spares the search."""
    searched = {id_ for id_, crystal in real_crystals().items() if may_have_smaller_cell(crystal, 0.5)}
    assert searched == DISTORTED.keys() | {"mp-714882", "mp-715434", "mp-715460", "mp-19372", "mp-19308"}
    for id_ in searched:
        found = to_structure(real_crystals()[id_]).get_primitive_structure(0.5)
        assert len(found) < len(real_crystals()[id_].atomic_numbers)


def test_distortions_that_the_paper_averages_away_are_measured_and_kept_with_a_radius() -> None:
    for id_, crystal in real_crystals().items():
        if id_ in DISTORTED:
            assert featurize(crystal, FeatureSettings()).distortion == pytest.approx(DISTORTED[id_], abs=1e-3)
            kept = featurize(crystal, FeatureSettings(radius=4.0))
            assert (kept.distortion, len(kept.site_class)) == (0, len(crystal.atomic_numbers))
    few = [crystal for id_, crystal in real_crystals().items() if id_ not in DISTORTED][::20]
    assert max(featurize(crystal, FeatureSettings()).distortion for crystal in few) < CHANGED


@pytest.mark.parametrize(("copies", "radius", "kept"), [(1, None, 1), (1, 4.0, 2), (4, None, 1), (4, 4.0, 2)])
def test_bismuth_keeps_its_two_sites_with_a_radius(copies: int, radius: float | None, kept: int) -> None:
    """Hexagonal bismuth (Schiferl and Barrett, J. Appl. Cryst. 2, 30 (1969)): layers in pairs, 0.07 of c apart."""
    lattice = Lattice.hexagonal(4.546, 11.862)
    bismuth = Structure.from_spacegroup("R-3m", lattice, ["Bi"], [[0, 0, 0.23389]]).get_primitive_structure(0.01)
    assert len(bismuth) == 2
    crystal = to_crystal(bismuth.make_supercell((1, 1, copies), in_place=False))
    settings = FeatureSettings(radius=radius)
    assert len(primitive_cell(crystal, settings.cell_tolerance).atomic_numbers) == kept


def random_atoms(numbers: list[int], spacing: float = 1.6, volume: float = 20.0) -> Crystal:
    """Atoms at random places of a cube, none nearer to another than `spacing`: what amorphous cells look like."""
    rng, edge = np.random.default_rng(0), (volume * len(numbers)) ** (1 / 3)
    sites = np.empty((0, 3))
    while len(sites) < len(numbers):
        new = rng.random(3) * edge
        apart = new - sites - edge * np.rint((new - sites) / edge)
        if (np.linalg.norm(apart, axis=1) > spacing).all():
            sites = np.vstack([sites, new])
    return Crystal("amorphous", np.eye(3) * edge, np.array(numbers), sites / edge)


@pytest.mark.parametrize("numbers", [[14] * 48, [31] * 24 + [33] * 24], ids=["Si", "GaAs"])
def test_an_amorphous_cell_is_its_own_primitive_cell(numbers: list[int]) -> None:
    crystal = random_atoms(numbers)
    assert len(to_structure(crystal).get_primitive_structure(0.5)) == len(numbers)
    assert not may_have_smaller_cell(crystal, 0.5)


def test_an_amorphous_cell_needs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """pymatgen takes half a minute for 500 atoms without symmetry; the proof that there is none takes milliseconds."""

    def search(*_: object) -> None:
        raise AssertionError("pymatgen's search was called")

    monkeypatch.setattr(Structure, "get_primitive_structure", search)
    assert len(primitive_cell(random_atoms([14] * 500), 0.5).atomic_numbers) == 500


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ([14] * 2001 + [8], "too large: 2002 primitive sites, the limit is 2000"),
        ([14] * 4004 + [8] * 2, "too large: 2003 or more primitive sites, the limit is 2000"),
        ([14] * 4002, "too large: 4002 sites, the limit is 4000; give the primitive cell instead"),
        ([14] * 2002, "too large: 2002 primitive sites, the limit is 2000"),
    ],
)
def test_cells_that_are_too_large_are_refused_before_the_search(numbers: list[int], reason: str) -> None:
    with pytest.raises(BadCrystal, match=reason):
        primitive_cell(random_atoms(numbers, spacing=0), 0.5)


@pytest.mark.parametrize("cell", [[0.5, 0.6, 0.7], [0.5, 4.0, 4.0], [4.0, 4.0, 0.5]])
@pytest.mark.parametrize("features", [FeatureSettings(), FeatureSettings(radius=4.0)])
def test_a_lattice_vector_of_half_an_angstrom_is_an_overlap(cell: list[float], features: FeatureSettings) -> None:
    crystal = Crystal("short", np.diag(cell), np.array([84]), np.zeros((1, 3)))
    with pytest.raises(BadCrystal, match=r"overlapping atoms: 0\.500 angstrom between a site and its periodic image"):
        featurize(crystal, features)
