"""From a crystal to its point set: primitive cell, supercell or sphere, distances, reduction."""

import numpy as np
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal, check_crystal
from sitenet.features.descriptors.site_descriptors import SiteDescriptors, describe
from sitenet.features.harmonics import spherical_harmonics
from sitenet.features.moments import Directions
from sitenet.features.pairs import PADDING, pair_distances, relevant_vectors, sphere_distances, sphere_vectors
from sitenet.features.point_set import PointSet
from sitenet.features.primitive import distortion, primitive_cell
from sitenet.features.reduction import reduce_pairs
from sitenet.features.supercell import supercell_matrix, translations
from sitenet.settings.features import FeatureSettings

# Shortest allowed distance in angstrom. The shortest bond, H-H in a hydrogen molecule, has 0.74 angstrom; pymatgen's
# `Structure.is_valid` has the same limit.
MIN_DISTANCE = 0.5
# Added to a radius, in angstrom, so that it splits no shell: more than rounding errors, less than shells differ.
SHELL_MARGIN = 1e-6


def featurize(crystal: Crystal, settings: FeatureSettings, described: SiteDescriptors | None = None) -> PointSet:
    """Featurizes one crystal; distances are float64.

    Without reduction (`distance_tolerance` 0) every primitive site is its own class. The pairs of row i are then all
    S supercell sites in pymatgen's order, or all sites within the radius; copies of a primitive site are adjacent.

    A `Crystal` has no partial occupancies: data sources list disordered structures as failures.

    Args:
        crystal: The crystal.
        settings: Feature settings.
        described: Descriptors of its primitive cell; None computes them where the settings ask for them.

    Raises:
        BadCrystal: The crystal is empty, not finite, without volume or too large, or has an unknown element or
            overlapping atoms; the message is the reason.
    """
    cell, distances = neighbour_distances(crystal, settings)
    merged = distortion(crystal, cell)
    directions = _directions(cell, distances, settings)
    if described is None:
        described = _describe(cell, settings)
    if settings.distance_tolerance == 0:
        return _all_pairs(cell, distances, directions, described, _limit(settings), merged)
    return _reduced_pairs(cell, distances, directions, described, settings, merged)


def expand_attention(
    crystal: Crystal, settings: FeatureSettings, attention: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Distributes the attention of reduced pairs over the supercell sites that share them.

    Args:
        crystal: The featurized crystal.
        settings: Its feature settings.
        attention: (E, H) weights of the pairs of `featurize(crystal, settings)`; they sum to 1 over each row.

    Returns:
        (P, S, H) weights of all pairs in the order of `neighbour_distances`, which is pymatgen's for a supercell.
        They sum to 1 over S, and padding has weight 0.
    """
    cell, distances = neighbour_distances(crystal, settings)
    shape, limit = (len(distances), -1, attention.shape[1]), _limit(settings)
    if settings.distance_tolerance == 0:
        weights = np.zeros((distances.size, attention.shape[1]))
        weights[distances.ravel() <= limit] = attention
        return weights.reshape(shape)
    directions = _directions(cell, distances, settings)
    labels = _labels(cell, _describe(cell, settings))
    reduction = reduce_pairs(labels, distances, settings.distance_tolerance, directions)
    weights = np.zeros((len(reduction.pair_counts), attention.shape[1]))
    weights[reduction.pair_distances <= limit] = attention
    return (weights / reduction.pair_counts[:, None])[reduction.pair_index].reshape(shape)


def _limit(settings: FeatureSettings) -> float:
    """Longest distance of a pair in angstrom; beyond it are only padding and sites of an incomplete shell."""
    return np.inf if settings.radius is None else settings.radius + SHELL_MARGIN


def _reach(settings: FeatureSettings) -> float:
    """Longest distance that is listed, so that shells at the limit are complete, in angstrom."""
    return _limit(settings) + settings.distance_tolerance


def _directions(cell: Crystal, distances: NDArray[np.float64], settings: FeatureSettings) -> Directions | None:
    """Harmonics of all listed pairs, where the settings ask for them."""
    if settings.moments == 0:
        return None
    vectors = sphere_vectors(cell.lattice, cell.frac_coords, _reach(settings))
    return Directions(distances < PADDING, spherical_harmonics(vectors, settings.moments))


def _describe(cell: Crystal, settings: FeatureSettings) -> SiteDescriptors:
    """Descriptors of the cell, of no features where the settings ask for none."""
    if settings.descriptor is None:
        return SiteDescriptors(np.zeros((1, 0), np.float32), np.zeros(len(cell.atomic_numbers), np.int64))
    return describe(cell, settings.descriptor)


def _labels(cell: Crystal, described: SiteDescriptors) -> NDArray[np.int64]:
    """(P,) numbers by which sites of other elements or descriptors differ."""
    return cell.atomic_numbers.astype(np.int64) + 256 * described.of_site.astype(np.int64)


def neighbour_distances(crystal: Crystal, settings: FeatureSettings) -> tuple[Crystal, NDArray[np.float64]]:
    """The primitive cell, and the (P, P, n_images) distances from its sites to their neighbours, in angstrom.

    With a supercell they are minimum-image distances to all its sites. With a radius they are the distances up to a
    little more than the radius, so that no rounding error splits a shell, padded with larger values.

    Raises:
        BadCrystal: The crystal cannot be used; the message is the reason.
    """
    check_crystal(crystal, max_sites=None)
    cell = primitive_cell(crystal, settings.cell_tolerance)
    _check_lattice(cell)
    if settings.radius is not None:
        distances = sphere_distances(cell.lattice, cell.frac_coords, _reach(settings))
    else:
        matrix = np.eye(3, dtype=np.int64)
        if settings.supercell:
            matrix = supercell_matrix(cell.lattice, len(cell.atomic_numbers), settings.max_sites)
        distances = pair_distances(cell.lattice, cell.frac_coords, matrix, translations(matrix))
    _check_overlap(cell, distances)
    return cell, distances


def _check_lattice(cell: Crystal) -> None:
    # A site can overlap with its own copy in the next cell, even where the supercell is a single cell.
    shortest_shift = np.linalg.norm(relevant_vectors(cell.lattice), axis=1).min()
    if shortest_shift < MIN_DISTANCE + 1e-9:  # of exactly 0.5, rounding errors would make an overlap of two sites
        raise BadCrystal(
            f"overlapping atoms: {shortest_shift:.3f} angstrom between a site and its periodic image, "
            f"the limit is {MIN_DISTANCE}"
        )


def _check_overlap(cell: Crystal, distances: NDArray[np.float64]) -> None:
    close = distances < MIN_DISTANCE
    if np.count_nonzero(close) > len(distances):
        i, j = next((i, j) for i, j, _ in np.argwhere(close) if i != j)
        raise BadCrystal(
            f"overlapping atoms: {distances[i, j].min():.3f} angstrom between primitive sites {i} and {j}, "
            f"the limit is {MIN_DISTANCE}"
        )


def _all_pairs(
    cell: Crystal,
    distances: NDArray[np.float64],
    directions: Directions | None,
    described: SiteDescriptors,
    limit: float,
    merged: float,
) -> PointSet:
    n_sites, _, n_images = distances.shape
    seen = distances <= limit
    rows, pair_sites, _ = np.nonzero(seen)
    return PointSet(
        id=cell.id,
        n_images=n_images,
        site_class=np.arange(n_sites),
        atomic_numbers=cell.atomic_numbers,
        site_counts=np.ones(n_sites, dtype=np.int64),
        row_counts=np.bincount(rows),
        pair_sites=pair_sites,
        pair_counts=np.ones(len(rows), dtype=np.int64),
        distances=distances[seen],
        moments=np.zeros((len(rows), 0)) if directions is None else directions.harmonics[seen[directions.seen]],
        descriptors=described.values[described.of_site],
        distortion=merged,
    )


def _reduced_pairs(
    cell: Crystal,
    distances: NDArray[np.float64],
    directions: Directions | None,
    described: SiteDescriptors,
    settings: FeatureSettings,
    merged: float,
) -> PointSet:
    reduction = reduce_pairs(_labels(cell, described), distances, settings.distance_tolerance, directions)
    seen = reduction.pair_distances <= _limit(settings)
    rows, pair_sites, _ = reduction.pair_ends
    return PointSet(
        id=cell.id,
        n_images=distances.shape[2],
        site_class=reduction.site_class,
        atomic_numbers=cell.atomic_numbers[reduction.first_sites],
        site_counts=np.bincount(reduction.site_class),
        row_counts=np.bincount(rows[seen]),
        pair_sites=pair_sites[seen],
        pair_counts=reduction.pair_counts[seen],
        distances=reduction.pair_distances[seen],
        moments=reduction.moments[seen],
        descriptors=described.values[described.of_site[reduction.first_sites]],
        distortion=merged,
    )
