"""Point sets in the memory of a device, from which batches are gathered there.

On a GPU a step takes a few milliseconds. Collating its batch on the host and copying it would take longer.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import Batch, collate
from sitenet.training.batching import Indices, PointSets

_CHECKED = 256  # crystals that are collated at a time, which checks them


class ResidentPointSets:
    """Point sets of some crystals of a store, on a device.

    A pair takes 10 bytes, and 4 more for each of its moments.

    Attributes:
        ids: Identifiers of all crystals of the store.
        n_pairs: Reduced pairs of each of them.
    """

    def __init__(self, store: PointSets, indices: Indices, device: torch.device):
        """Copies the crystals at `indices`, (C,) without repetition, to the device.

        Raises:
            ValueError: A crystal has pairs or elements that do not fit; see `collate`.
        """
        self.ids, self.n_pairs = store.ids, store.n_pairs
        self._store, self._device = store, device
        self._place = np.full(len(store.ids), -1)
        self._place[indices] = np.arange(len(indices))
        parts = [collate([store[int(i)] for i in some]) for some in _chunks(indices)]
        self._n_sites = np.array([len(store[int(i)].atomic_numbers) for i in indices])
        self._site_starts = np.cumsum(self._n_sites) - self._n_sites
        self._pair_starts = np.cumsum(self.n_pairs[indices]) - self.n_pairs[indices]
        self._atomic_numbers = self._joined([part.atomic_numbers.to(torch.uint8) for part in parts])
        self._site_counts = self._joined([_packed(part.site_counts) for part in parts])
        self._row_counts = self._joined([_packed(part.row_starts.diff()) for part in parts])
        self._pair_sites = self._joined([_packed(_within_crystals(part)) for part in parts])
        self._pair_counts = self._joined([_packed(part.pair_counts) for part in parts])
        self._distances = self._joined([part.distances for part in parts])
        self._moments = self._joined([part.moments for part in parts])

    def __getitem__(self, index: int) -> PointSet:
        """The point set at `index` of the store."""
        return self._store[index]

    def batch(self, indices: Indices) -> Batch:
        """The batch of these crystals of the store, as `collate` makes it; nothing waits for the device."""
        places = self._place[indices]
        if (places < 0).any():
            raise IndexError(f"crystal {indices[places < 0][0]} is not on the device")
        n_sites, n_pairs = self._n_sites[places], self.n_pairs[indices]
        N, E, C = int(n_sites.sum()), int(n_pairs.sum()), len(indices)
        first_site, first_pair = np.cumsum(n_sites) - n_sites, np.cumsum(n_pairs) - n_pairs
        shifts = self._site_starts[places] - first_site, self._pair_starts[places] - first_pair
        small = torch.from_numpy(np.stack([n_sites, n_pairs, first_site, *shifts])).to(self._device, non_blocking=True)
        sites_of, pairs_of, first, site_shift, pair_shift = small
        crystals, sites, pairs = (torch.arange(n, device=self._device) for n in (C, N, E))
        site_crystal = torch.repeat_interleave(crystals, sites_of, output_size=N)
        pair_crystal = torch.repeat_interleave(crystals, pairs_of, output_size=E)
        at_site, at_pair = sites + site_shift[site_crystal], pairs + pair_shift[pair_crystal]
        row_counts = _unpacked(self._row_counts[at_site])
        return Batch(
            ids=tuple(self.ids[int(index)] for index in indices),
            atomic_numbers=self._atomic_numbers[at_site].long(),
            site_counts=_unpacked(self._site_counts[at_site]),
            site_crystal=site_crystal,
            row_starts=torch.cat([row_counts.new_zeros(1), row_counts.cumsum(0)]),
            pair_i=torch.repeat_interleave(sites, row_counts, output_size=E),
            pair_j=_unpacked(self._pair_sites[at_pair]) + first[pair_crystal],
            pair_counts=_unpacked(self._pair_counts[at_pair]),
            distances=self._distances[at_pair],
            moments=self._moments[at_pair],
        )

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts)).to(self._device)


def _chunks(indices: Indices) -> list[NDArray[np.int64]]:
    return np.array_split(indices, max(1, -(-len(indices) // _CHECKED)))


def _within_crystals(batch: Batch) -> Tensor:
    """(E,) far site of each pair within its crystal."""
    first = torch.searchsorted(batch.site_crystal, torch.arange(batch.n_crystals))
    return batch.pair_j - first[batch.site_crystal[batch.pair_i]]


def _packed(values: Tensor) -> Tensor:
    """Whole numbers below 65,536 in 16 bits, which torch knows with a sign only."""
    return torch.where(values < 2**15, values, values - 2**16).to(torch.int16)


def _unpacked(values: Tensor) -> Tensor:
    return values.long() & 0xFFFF
