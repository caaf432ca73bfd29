"""From a crystal to its point set: primitive cell, supercell, distances, reduction."""

import numpy as np
from numpy.typing import NDArray

from sitenet.config.features import FeatureSettings
from sitenet.data.crystal import BadCrystal, Crystal, check_crystal
from sitenet.features.pairs import pair_distances, relevant_vectors
from sitenet.features.point_set import PointSet
from sitenet.features.primitive import primitive_cell
from sitenet.features.reduction import reduce_pairs
from sitenet.features.supercell import supercell_matrix, translations

# The shortest bond there is, H-H in a hydrogen molecule, measures 0.74 angstrom; pymatgen's
# `Structure.is_valid` draws the same line.
MIN_DISTANCE = 0.5
# The P x P distances of one crystal must fit in memory, and counts in 16 bits.
MAX_PRIMITIVE_SITES = 2000


def featurize(crystal: Crystal, settings: FeatureSettings) -> PointSet:
    """Featurizes one crystal; distances are float64.

    Without reduction (`distance_tolerance` 0) every primitive site is its own class and the pairs of row i
    are all S supercell sites in pymatgen's order: copies of one primitive site stand next to each other.

    Sites of partial occupancy never come here: a `Crystal` cannot express them, so that the data sources
    list such structures as failures.

    Raises:
        BadCrystal: Empty, not finite, without volume, an unknown element, overlapping atoms or too large;
            the message is the reason.
    """
    cell, distances = supercell_distances(crystal, settings)
    if settings.distance_tolerance == 0:
        return _all_pairs(cell, distances)
    return _reduced_pairs(cell, distances, settings.distance_tolerance)


def expand_attention(
    crystal: Crystal, settings: FeatureSettings, attention: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Spreads the attention of reduced pairs over the supercell sites that share them.

    Args:
        crystal: The crystal as it was featurized.
        settings: The settings it was featurized with.
        attention: (E, H) weights of the pairs of `featurize(crystal, settings)`; they sum to 1 over each row.

    Returns:
        (P, S, H) weights of all pairs, supercell sites in pymatgen's order; they sum to 1 over S.
    """
    cell, distances = supercell_distances(crystal, settings)
    shape = (len(distances), -1, attention.shape[1])
    if settings.distance_tolerance == 0:
        return attention.reshape(shape)
    reduction = reduce_pairs(cell.atomic_numbers, distances, settings.distance_tolerance)
    shares = attention / reduction.pair_counts[:, None]
    return shares[reduction.pair_index].reshape(shape)


def supercell_distances(crystal: Crystal, settings: FeatureSettings) -> tuple[Crystal, NDArray[np.float64]]:
    """The primitive cell and its (P, P, n_images) minimum-image distances in the supercell, in angstrom.

    Raises:
        BadCrystal: The crystal cannot be used; the message is the reason.
    """
    check_crystal(crystal, max_sites=None)
    cell = primitive_cell(crystal)
    n_sites = len(cell.atomic_numbers)
    if n_sites > MAX_PRIMITIVE_SITES:
        raise BadCrystal(f"too large: {n_sites} primitive sites, the limit is {MAX_PRIMITIVE_SITES}")
    matrix = np.eye(3, dtype=np.int64)
    if settings.supercell:
        matrix = supercell_matrix(cell.lattice, n_sites, settings.max_sites)
    distances = pair_distances(cell.lattice, cell.frac_coords, matrix, translations(matrix))
    _check_overlap(cell, distances)
    return cell, distances


def _check_overlap(cell: Crystal, distances: NDArray[np.float64]) -> None:
    # A site may also meet its own copy in the next cell, which is no pair of a supercell of one cell.
    shortest_shift = np.linalg.norm(relevant_vectors(cell.lattice), axis=1).min()
    if shortest_shift < MIN_DISTANCE:
        raise BadCrystal(f"overlapping atoms: the lattice repeats after {shortest_shift:.3f} angstrom")
    close = distances < MIN_DISTANCE
    if np.count_nonzero(close) > len(distances):
        i, j = next((i, j) for i, j, _ in np.argwhere(close) if i != j)
        raise BadCrystal(
            f"overlapping atoms: {distances[i, j].min():.3f} angstrom between primitive sites {i} and {j}, "
            f"the limit is {MIN_DISTANCE}"
        )


def _all_pairs(cell: Crystal, distances: NDArray[np.float64]) -> PointSet:
    n_sites, _, n_images = distances.shape
    return PointSet(
        id=cell.id,
        n_images=n_images,
        site_class=np.arange(n_sites),
        atomic_numbers=cell.atomic_numbers,
        site_counts=np.ones(n_sites, dtype=np.int64),
        row_counts=np.full(n_sites, n_sites * n_images),
        pair_sites=np.tile(np.repeat(np.arange(n_sites), n_images), n_sites),
        pair_counts=np.ones(distances.size, dtype=np.int64),
        distances=distances.ravel(),
    )


def _reduced_pairs(cell: Crystal, distances: NDArray[np.float64], tolerance: float) -> PointSet:
    reduction = reduce_pairs(cell.atomic_numbers, distances, tolerance)
    rows, pair_sites, clusters = reduction.pair_ends
    return PointSet(
        id=cell.id,
        n_images=distances.shape[2],
        site_class=reduction.site_class,
        atomic_numbers=cell.atomic_numbers[reduction.first_sites],
        site_counts=np.bincount(reduction.site_class),
        row_counts=np.bincount(rows),
        pair_sites=pair_sites,
        pair_counts=reduction.pair_counts,
        distances=reduction.cluster_distances[clusters],
    )
