"""A crystal as the network sees it: site classes and their reduced pairs.

A supercell holds S = P * n_images sites, where P is the number of primitive sites. Only primitive sites
are unique, so only their P rows of pairs are formed. Sites with indistinguishable surroundings share one
row (a *site class*), and within a row all supercell sites of one class at one distance share one pair.

With a radius instead of a supercell, a row has all periodic images within the radius.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PointSet:
    """One featurized crystal; R site classes, E reduced pairs, P primitive sites.

    Attributes:
        id: Identifier of the crystal, unique within its data set.
        n_images: Copies of the primitive cell in the supercell, S = P * n_images. With a radius, the largest number
            of images of one site within the radius of another.
        site_class: (P,) index of each primitive site's class, in 0..R-1.
        atomic_numbers: (R,) atomic number Z of each class.
        site_counts: (R,) primitive sites in each class; sums to P.
        row_counts: (R,) reduced pairs of each class; sums to E. Pairs are stored row after row.
        pair_sites: (E,) class at the far end of each pair.
        pair_counts: (E,) supercell sites that share the pair; sums to S in each row of a supercell.
        distances: (E,) minimum-image distance in angstrom, or that within the radius; 0 only from a site to itself.
        moments: (E, M) means over the sites of a pair of the real spherical harmonics of its direction, of degree 1 to
            `features.moments`; 0 for a site and itself. M is 0 where the features have none.
        descriptors: (R, F) features of each class by a pretrained network; F is 0 where `features.descriptor` is null.
        distortion: Largest distance between sites that the primitive cell averages to one, in angstrom; 0 where it has
            as many sites as were given.
    """

    id: str
    n_images: int
    site_class: NDArray[np.integer]
    atomic_numbers: NDArray[np.integer]
    site_counts: NDArray[np.integer]
    row_counts: NDArray[np.integer]
    pair_sites: NDArray[np.integer]
    pair_counts: NDArray[np.integer]
    distances: NDArray[np.floating]
    moments: NDArray[np.floating]
    descriptors: NDArray[np.floating]
    distortion: float
