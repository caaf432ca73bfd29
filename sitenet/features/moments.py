r"""Moments of shells: the mean of the spherical harmonics over the sites of a reduced pair.

A network that sums them over a site's pairs, weighted by functions of class and distance, and takes products of such
sums that do not change when the crystal is turned, sees the products

$$ \sum_m M_{p,lm} M_{q,lm} $$

of any two pairs p and q of the site, for each degree l, and nothing else. Sites that agree in all of them are the same
to it.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Largest difference of two products that count as equal; harmonics have a mean square of 1. Sites that are equivalent
# by symmetry differ by the noise of their coordinates. Splitting a class too many costs time and changes no result.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Directions:
    """Harmonics of the K pairs of primitive sites that lie within a radius.

    Attributes:
        seen: (P, P, n_images) which pairs these are; they are listed in this order.
        harmonics: (K, M) real spherical harmonics of their directions, degree by degree.
    """

    seen: NDArray[np.bool_]
    harmonics: NDArray[np.float64]

    def shells(
        self, site_class: NDArray[np.int64], clusters: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Pairs of one site that share class and distance, in the order of sites, classes and clusters.

        Args:
            site_class: (P,) class of each primitive site.
            clusters: (P, P, n_images) distance cluster of each pair.

        Returns:
            The (S,) sites, the (S,) keys (class at the far end times the number of clusters, plus the cluster) and the
            (S, M) moments.
        """
        near, far, _ = np.nonzero(self.seen)
        n_clusters = clusters.max() + 1
        n_keys = (site_class.max() + 1) * n_clusters
        keys = near * n_keys + site_class[far] * n_clusters + clusters[self.seen]
        found, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
        sums = [np.bincount(place, column) for column in self.harmonics.T]
        return found // n_keys, found % n_keys, np.stack(sums, axis=1) / counts[:, None]

    def split(self, site_class: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.int64]:
        """(P,) finer classes of an equitable partition, in which sites agree in all products of moments."""
        sites, _, moments = self.shells(site_class, clusters)
        return _split(site_class, np.searchsorted(sites, np.arange(len(site_class) + 1)), moments, TOLERANCE)


@njit(cache=True)
def _split(
    site_class: NDArray[np.int64], starts: NDArray[np.int64], moments: NDArray[np.float64], tolerance: float
) -> NDArray[np.int64]:
    """(P,) the first site of its class with which each agrees; site i has the shells starts[i]..starts[i + 1] - 1."""
    first = np.arange(len(site_class))
    for i in range(len(site_class)):
        for j in range(i):
            ours, theirs = moments[starts[i] : starts[i + 1]], moments[starts[j] : starts[j + 1]]
            if first[j] == j and site_class[j] == site_class[i] and _agree(ours, theirs, tolerance):
                first[i] = j
                break
    return first


@njit(cache=True)
def _agree(ours: NDArray[np.float64], theirs: NDArray[np.float64], tolerance: float) -> bool:
    """Whether the products of all two shells are equal for each degree."""
    n_shells, n_moments = ours.shape
    for p in range(n_shells):
        for q in range(p + 1):
            start, length = 0, 3
            while start < n_moments:
                difference = 0.0
                for k in range(start, start + length):
                    difference += ours[p, k] * ours[q, k] - theirs[p, k] * theirs[q, k]
                if abs(difference) > tolerance:
                    return False
                start, length = start + length, length + 2
    return True
