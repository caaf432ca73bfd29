"""Lossless pair reduction: sites with indistinguishable surroundings, and pairs with equal distances."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sitenet.features.moments import Directions


@dataclass(frozen=True)
class Reduction:
    """Site classes and reduced pairs of one supercell; P primitive sites, R classes, E pairs, C clusters.

    Attributes:
        site_class: (P,) class of each primitive site, numbered by first occurrence.
        first_sites: (R,) first primitive site of each class.
        clusters: (P, P, n_images) distance cluster of each pair.
        cluster_distances: (C,) mean distance of each cluster in angstrom, ascending.
        keys: (E,) class, class at the far end and cluster of each reduced pair as one integer, ascending.
        pair_counts: (E,) supercell sites that share the pair.
        moments: (E, M) means of the spherical harmonics of the pair's directions; M is 0 without directions.
    """

    site_class: NDArray[np.int64]
    first_sites: NDArray[np.int64]
    clusters: NDArray[np.int64]
    cluster_distances: NDArray[np.float64]
    keys: NDArray[np.int64]
    pair_counts: NDArray[np.int64]
    moments: NDArray[np.float64]

    @cached_property
    def pair_ends(self) -> tuple[NDArray[np.integer], ...]:
        """The (E,) class, class at the far end and distance cluster of each reduced pair."""
        n_classes = len(self.first_sites)
        return np.unravel_index(self.keys, (n_classes, n_classes, len(self.cluster_distances)))

    @cached_property
    def pair_distances(self) -> NDArray[np.float64]:
        """(E,) distance of each reduced pair, in angstrom."""
        return self.cluster_distances[self.pair_ends[2]]

    @property
    def pair_index(self) -> NDArray[np.int64]:
        """(P, P, n_images) reduced pair that stands for each pair of the supercell."""
        rows = np.arange(len(self.site_class))
        keys = _pair_keys(self.site_class, self.clusters, len(self.cluster_distances), rows)
        return np.searchsorted(self.keys, keys)


def reduce_pairs(
    labels: NDArray[np.integer],
    distances: NDArray[np.float64],
    tolerance: float,
    directions: Directions | None = None,
) -> Reduction:
    """Merges all sites and pairs that the network cannot tell apart.

    Args:
        labels: (P,) atomic numbers, or other numbers by which the network tells sites apart.
        distances: (P, P, n_images) distances in angstrom.
        tolerance: Largest spread of distances that count as equal, in angstrom.
        directions: Directions that the network sees, too; without them, it sees distances alone.
    """
    clusters, means = cluster_distances(distances, tolerance)
    site_class, first = equitable_partition(labels, clusters)
    while directions is not None:
        finer = directions.split(site_class, clusters)
        if len(np.unique(finer)) == len(first):
            break
        site_class, first = equitable_partition(finer, clusters)
    keys, pair_counts = np.unique(_pair_keys(site_class, clusters, len(means), first), return_counts=True)
    moments = np.zeros((len(keys), 0))
    if directions is not None:
        sites, far, of_shells = directions.shells(site_class, clusters)
        rows = np.isin(sites, first)
        moments = np.zeros((len(keys), of_shells.shape[1]))
        places = site_class[sites[rows]] * len(first) * len(means) + far[rows]
        moments[np.searchsorted(keys, places)] = of_shells[rows]
    return Reduction(site_class, first, clusters, means, keys, pair_counts, moments)


def _pair_keys(
    site_class: NDArray[np.int64], clusters: NDArray[np.int64], n_clusters: int, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(len(rows), P, n_images) keys of all pairs of the primitive sites `rows`."""
    pair_of_classes = site_class[rows, None] * (site_class.max() + 1) + site_class
    return pair_of_classes[:, :, None] * n_clusters + clusters[rows]


def cluster_distances(
    distances: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Groups equal distances: merges neighbours, smallest gap first, as long as no group is wider than `tolerance`.

    Returns:
        The cluster of each distance, in the shape of `distances`, and the (C,) mean distances, ascending.
    """
    order = np.argsort(distances, axis=None)
    values = distances.ravel()[order]
    gaps = values[1:] - values[:-1]
    small = np.flatnonzero(gaps <= tolerance)
    starts = _cluster_starts(values, small[np.argsort(gaps[small], kind="stable")], tolerance)
    sorted_labels = np.cumsum(starts) - 1
    means = np.bincount(sorted_labels, values) / np.bincount(sorted_labels)
    labels = np.empty_like(sorted_labels)
    labels[order] = sorted_labels
    return labels.reshape(distances.shape), means


@njit(cache=True)
def _cluster_starts(values: NDArray[np.float64], gaps: NDArray[np.int64], tolerance: float) -> NDArray[np.bool_]:
    """Marks the first member of each cluster of ascending values; gap n lies between values n and n + 1."""
    starts = np.ones(len(values), dtype=np.bool_)
    # Only the entries at the ends of clusters are valid; gaps lie between such ends.
    first, last = np.arange(len(values)), np.arange(len(values))
    for gap in gaps:
        low, high = first[gap], last[gap + 1]
        if values[high] - values[low] <= tolerance:
            first[high], last[low] = low, high
            starts[gap + 1] = False
    return starts


def equitable_partition(
    labels: NDArray[np.integer], clusters: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Coarsest partition by label in which all sites of a class have equal surroundings.

    Classes are split by the multiset of (class, distance cluster) over all supercell sites until none
    splits any more: colour refinement, one-dimensional Weisfeiler-Leman.

    Args:
        labels: (P,) label of each site.
        clusters: (P, P, n_images) distance cluster of each pair.

    Returns:
        The (P,) class of each site, numbered by first occurrence, and the (R,) first site of each class.
    """
    classes, first = _number_by_first_occurrence(labels.astype(np.uint64))
    while True:
        refined, refined_first = _number_by_first_occurrence(_signatures(classes, clusters))
        if len(refined_first) == len(first):
            return classes, first
        classes, first = refined, refined_first


@njit(cache=True)
def _number_by_first_occurrence(values: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(P,) numbers of equal values in order of appearance, and the (R,) positions where they appear first."""
    numbers = np.empty(len(values), dtype=np.int64)
    first = np.empty(len(values), dtype=np.int64)
    n = 0
    for position in range(len(values)):
        number = 0
        while number < n and values[first[number]] != values[position]:
            number += 1
        if number == n:
            first[n] = position
            n += 1
        numbers[position] = number
    return numbers, first[:n]


@njit(cache=True)
def _mix(value: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a random-looking permutation."""
    value += np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True)
def _signatures(classes: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(P,) hash of each site's class and multiset of (class, cluster).

    The sum over mixed keys does not depend on their order. The probability that any two of P different multisets
    collide is about P^2 / 2^65, below 1e-13 for a thousand sites.
    """
    n_sites, _, n_images = clusters.shape
    signatures = np.empty(n_sites, dtype=np.uint64)
    for i in range(n_sites):
        total = np.uint64(0)
        for j in range(n_sites):
            key = np.uint64(classes[j]) << np.uint64(32)
            for t in range(n_images):
                total += _mix(key | np.uint64(clusters[i, j, t]))
        signatures[i] = _mix(total ^ _mix(np.uint64(classes[i])))
    return signatures
