"""Descriptors of the sites of a primitive cell, with sites that share one merged."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sitenet.data.crystal import Crystal
from sitenet.settings.descriptors import DescriptorName

# Largest difference, in any feature, of sites of one element that count as the same. Those of CHGNet and
# SevenNet have standard deviations of 1 to 7; sites that are equivalent by symmetry differ by the noise of coordinates.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class SiteDescriptors:
    """Descriptors of a primitive cell with P sites, U of which differ.

    Attributes:
        values: (U, F) descriptors that occur; of sites that count as the same, the mean.
        of_site: (P,) which of them each site has. Sites that share one are of the same element.
    """

    values: NDArray[np.float32]
    of_site: NDArray[np.integer]

    @classmethod
    def merged(cls, atomic_numbers: NDArray[np.integer], values: NDArray[np.floating]) -> "SiteDescriptors":
        """Merges sites (P,) of one element whose descriptors (P, F) agree within `TOLERANCE`."""
        first = _first_alike(np.ascontiguousarray(atomic_numbers, dtype=np.int64), values.astype(np.float64), TOLERANCE)
        _, of_site = np.unique(first, return_inverse=True)
        sums = np.zeros((of_site.max() + 1, values.shape[1]))
        np.add.at(sums, of_site, values)
        return cls((sums / np.bincount(of_site)[:, None]).astype(np.float32), of_site)


class Describe(Protocol):
    """A pretrained network that describes sites."""

    def __call__(self, cells: Sequence[Crystal]) -> list[NDArray[np.float32]]:
        """Features (P, F) of the sites of each cell, which no rotation, origin or choice of cell changes."""


@cache
def descriptor(name: DescriptorName, device: str = "cpu") -> Describe:
    """A descriptor by name, loaded once in a process."""
    # Either package is imported only where it is asked for.
    if name == "chgnet":
        from sitenet.features.descriptors.chgnet import ChgnetSites

        return ChgnetSites(device)
    from sitenet.features.descriptors.sevennet import SevennetSites

    return SevennetSites(device)


def describe(cell: Crystal, name: DescriptorName) -> SiteDescriptors:
    """The descriptors of a primitive cell."""
    return SiteDescriptors.merged(cell.atomic_numbers, descriptor(name)([cell])[0])


@njit(cache=True)
def _first_alike(atomic_numbers: NDArray[np.int64], values: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """(P,) for each site the first site of its element with which it agrees, itself if there is none."""
    first = np.arange(len(atomic_numbers))
    for i in range(len(atomic_numbers)):
        for j in range(i):
            if first[j] != j or atomic_numbers[i] != atomic_numbers[j]:
                continue
            same = True
            for k in range(values.shape[1]):
                if abs(values[i, k] - values[j, k]) > tolerance:
                    same = False
                    break
            if same:
                first[i] = j
                break
    return first
