"""From a crystal to its point set: primitive cell, supercell or sphere, distances, reduction."""

import numpy as np
from numpy.typing import NDArray

from sitenet.config.features import FeatureSettings
from sitenet.data.crystal import BadCrystal, Crystal, check_crystal
from sitenet.features.pairs import pair_distances, relevant_vectors, sphere_distances
from sitenet.features.point_set import PointSet
from sitenet.features.primitive import primitive_cell
from sitenet.features.reduction import reduce_pairs
from sitenet.features.supercell import supercell_matrix, translations

# The shortest bond there is, H-H in a hydrogen molecule, measures 0.74 angstrom; pymatgen's
# `Structure.is_valid` draws the same line.
MIN_DISTANCE = 0.5
# The P x P distances of one crystal must fit in memory, and counts in 16 bits.
MAX_PRIMITIVE_SITES = 2000
# More than rounding errors, less than two shells differ: what a radius adds so that it divides none.
SHELL_MARGIN = 1e-6


def featurize(crystal: Crystal, settings: FeatureSettings) -> PointSet:
    """Featurizes one crystal; distances are float64.

    Without reduction (`distance_tolerance` 0) every primitive site is its own class and the pairs of row i
    are all S supercell sites in pymatgen's order, or all within the radius: copies of one primitive site
    stand next to each other.

    Sites of partial occupancy never come here: a `Crystal` cannot express them, so that the data sources
    list such structures as failures.

    Raises:
        BadCrystal: Empty, not finite, without volume, an unknown element, overlapping atoms or too large;
            the message is the reason.
    """
    cell, distances = neighbour_distances(crystal, settings)
    if settings.distance_tolerance == 0:
        return _all_pairs(cell, distances, _limit(settings))
    return _reduced_pairs(cell, distances, settings)


def expand_attention(
    crystal: Crystal, settings: FeatureSettings, attention: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Spreads the attention of reduced pairs over the supercell sites that share them.

    Args:
        crystal: The crystal as it was featurized.
        settings: The settings it was featurized with.
        attention: (E, H) weights of the pairs of `featurize(crystal, settings)`; they sum to 1 over each row.

    Returns:
        (P, S, H) weights of all pairs in the order of `neighbour_distances`, which is pymatgen's for a supercell;
        they sum to 1 over S, and padding has 0.
    """
    cell, distances = neighbour_distances(crystal, settings)
    shape, limit = (len(distances), -1, attention.shape[1]), _limit(settings)
    if settings.distance_tolerance == 0:
        weights = np.zeros((distances.size, attention.shape[1]))
        weights[distances.ravel() <= limit] = attention
        return weights.reshape(shape)
    reduction = reduce_pairs(cell.atomic_numbers, distances, settings.distance_tolerance)
    weights = np.zeros((len(reduction.pair_counts), attention.shape[1]))
    weights[reduction.pair_distances <= limit] = attention
    return (weights / reduction.pair_counts[:, None])[reduction.pair_index].reshape(shape)


def _limit(settings: FeatureSettings) -> float:
    """Distance beyond which there are no pairs, only padding and sites of an incomplete shell."""
    return np.inf if settings.radius is None else settings.radius + SHELL_MARGIN


def neighbour_distances(crystal: Crystal, settings: FeatureSettings) -> tuple[Crystal, NDArray[np.float64]]:
    """The primitive cell and its (P, P, n_images) distances to the sites that it sees, in angstrom.

    They are minimum-image distances in the supercell, or those within the radius and a little more, so that no
    rounding error divides a shell, padded with what is farther.

    Raises:
        BadCrystal: The crystal cannot be used; the message is the reason.
    """
    check_crystal(crystal, max_sites=None)
    cell = primitive_cell(crystal)
    n_sites = len(cell.atomic_numbers)
    if n_sites > MAX_PRIMITIVE_SITES:
        raise BadCrystal(f"too large: {n_sites} primitive sites, the limit is {MAX_PRIMITIVE_SITES}")
    _check_lattice(cell)
    if settings.radius is not None:
        reach = _limit(settings) + settings.distance_tolerance
        distances = sphere_distances(cell.lattice, cell.frac_coords, reach)
    else:
        matrix = np.eye(3, dtype=np.int64)
        if settings.supercell:
            matrix = supercell_matrix(cell.lattice, n_sites, settings.max_sites)
        distances = pair_distances(cell.lattice, cell.frac_coords, matrix, translations(matrix))
    _check_overlap(cell, distances)
    return cell, distances


def _check_lattice(cell: Crystal) -> None:
    # A site may also meet its own copy in the next cell, which is no pair of a supercell of one cell.
    shortest_shift = np.linalg.norm(relevant_vectors(cell.lattice), axis=1).min()
    if shortest_shift < MIN_DISTANCE + 1e-9:  # of exactly 0.5, rounding errors would make an overlap of two sites
        raise BadCrystal(f"overlapping atoms: the lattice repeats after {shortest_shift:.3f} angstrom")


def _check_overlap(cell: Crystal, distances: NDArray[np.float64]) -> None:
    close = distances < MIN_DISTANCE
    if np.count_nonzero(close) > len(distances):
        i, j = next((i, j) for i, j, _ in np.argwhere(close) if i != j)
        raise BadCrystal(
            f"overlapping atoms: {distances[i, j].min():.3f} angstrom between primitive sites {i} and {j}, "
            f"the limit is {MIN_DISTANCE}"
        )


def _all_pairs(cell: Crystal, distances: NDArray[np.float64], limit: float) -> PointSet:
    n_sites, _, n_images = distances.shape
    rows, pair_sites, _ = np.nonzero(seen := distances <= limit)
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
    )


def _reduced_pairs(cell: Crystal, distances: NDArray[np.float64], settings: FeatureSettings) -> PointSet:
    reduction = reduce_pairs(cell.atomic_numbers, distances, settings.distance_tolerance)
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
    )
