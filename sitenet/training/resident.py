"""Point sets in the memory of a device, from which batches are gathered there.

On a GPU a step takes a few milliseconds. Collating its batch on the host and copying it would take longer.
"""

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

    A pair takes 10 bytes, and 4 more for each of its moments; a site 4 for each of its descriptors.

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
        self.n_sites = np.zeros(len(store.ids), dtype=np.int64)
        self.n_sites[indices] = [len(store[int(i)].atomic_numbers) for i in indices]
        self._sites_of, self._pairs_of = (
            torch.from_numpy(numbers[indices]).to(device) for numbers in (self.n_sites, self.n_pairs)
        )
        self._first_site, self._first_pair = (n.cumsum(0) - n for n in (self._sites_of, self._pairs_of))
        # Each chunk goes to the device at once: all of them, not packed, would take several times the memory here.
        chunks = [
            [tensor.to(device) for tensor in _stored(collate([store[int(i)] for i in some]))]
            for some in _chunks(indices)
        ]
        (
            self._atomic_numbers,
            self._site_counts,
            self._row_counts,
            self._pair_sites,
            self._pair_counts,
            self._distances,
            self._moments,
            self._descriptors,
        ) = (torch.cat(column) for column in zip(*chunks, strict=True))

    def __getitem__(self, index: int) -> PointSet:
        """The point set at `index` of the store."""
        return self._store[index]

    def places(self, indices: Indices) -> NDArray[np.int64]:
        """(C,) places on the device of crystals of the store.

        Raises:
            IndexError: A crystal is not on the device.
        """
        places = self._place[indices]
        if (places < 0).any():
            raise IndexError(f"crystal {indices[places < 0][0]} is not on the device")
        return places

    def batch(self, indices: Indices) -> Batch:
        """The batch of these crystals of the store, as `collate` makes it; nothing waits for the device."""
        places = torch.from_numpy(self.places(indices)).to(self._device, non_blocking=True)
        ids = tuple(self.ids[int(index)] for index in indices)
        return self.gather(places, ids, int(self.n_sites[indices].sum()), int(self.n_pairs[indices].sum()))

    def gather(self, places: Tensor, ids: tuple[str, ...], n_sites: int, n_pairs: int) -> Batch:
        """A batch of a given size, whatever crystals it has: what a CUDA graph needs.

        Args:
            places: (C,) places of crystals on the device; -1 at the end for padding, crystals of made-up sites.
            ids: Their identifiers.
            n_sites: Number of site classes. Those that the crystals leave over are the padding's, one each at least.
            n_pairs: Number of pairs. Those left over are pairs of these sites with themselves, one each at least.
        """
        # Sizes must not be asked of the device. So every site looks up whose it is, and then every pair.
        real_C, at_C = places >= 0, places.clamp(min=0)
        sites_of_C, pairs_of_C = self._sites_of[at_C] * real_C, self._pairs_of[at_C] * real_C
        site_ends_C, pair_ends_C = sites_of_C.cumsum(0), pairs_of_C.cumsum(0)
        sites_N, pairs_E = (torch.arange(n, device=self._device) for n in (n_sites, n_pairs))
        real_N, real_E = sites_N < site_ends_C[-1], pairs_E < pair_ends_C[-1]

        spare_N = (real_C.sum() + sites_N - site_ends_C[-1]).clamp(max=len(places) - 1)
        site_crystal_N = torch.where(real_N, torch.searchsorted(site_ends_C, sites_N, right=True), spare_N)
        first_C = site_ends_C - sites_of_C
        at_N = torch.where(real_N, sites_N + (self._first_site[at_C] - first_C)[site_crystal_N], 0)

        row_ends_N = (_unpacked(self._row_counts[at_N]) * real_N).cumsum(0)
        spare_sites, spare_pairs = n_sites - site_ends_C[-1], (n_pairs - pair_ends_C[-1]).clamp(min=1)
        spare_E = site_ends_C[-1] + (pairs_E - pair_ends_C[-1]) * spare_sites // spare_pairs
        pair_i_E = torch.where(real_E, torch.searchsorted(row_ends_N, pairs_E, right=True), spare_E)
        crystal_E = site_crystal_N[pair_i_E]
        at_E = torch.where(real_E, pairs_E + (self._first_pair[at_C] - pair_ends_C + pairs_of_C)[crystal_E], 0)
        return Batch(
            ids=ids,
            atomic_numbers=torch.where(real_N, self._atomic_numbers[at_N].long(), 1),
            site_counts=torch.where(real_N, _unpacked(self._site_counts[at_N]), 1),
            site_crystal=site_crystal_N,
            row_starts=torch.searchsorted(pair_i_E, torch.arange(n_sites + 1, device=self._device)),
            pair_i=pair_i_E,
            pair_j=torch.where(real_E, _unpacked(self._pair_sites[at_E]) + first_C[crystal_E], pair_i_E),
            pair_counts=torch.where(real_E, _unpacked(self._pair_counts[at_E]), 1),
            distances=torch.where(real_E, self._distances[at_E], 0),
            moments=torch.where(real_E[:, None], self._moments[at_E], 0),
            descriptors=torch.where(real_N[:, None], self._descriptors[at_N], 0),
        )


def _chunks(indices: Indices) -> list[NDArray[np.int64]]:
    return np.array_split(indices, max(1, -(-len(indices) // _CHECKED)))


def _stored(part: Batch) -> tuple[Tensor, ...]:
    """What is kept of some crystals, packed."""
    return (
        part.atomic_numbers.to(torch.uint8),
        _packed(part.site_counts),
        _packed(part.row_starts.diff()),
        _packed(_within_crystals(part)),
        _packed(part.pair_counts),
        part.distances,
        part.moments,
        part.descriptors,
    )


def _within_crystals(batch: Batch) -> Tensor:
    """(E,) far site of each pair within its crystal."""
    first = torch.searchsorted(batch.site_crystal, torch.arange(batch.n_crystals))
    return batch.pair_j - first[batch.site_crystal[batch.pair_i]]


def _packed(values: Tensor) -> Tensor:
    """Whole numbers below 65,536 in 16 bits, which torch knows with a sign only."""
    return torch.where(values < 2**15, values, values - 2**16).to(torch.int16)


def _unpacked(values: Tensor) -> Tensor:
    return values.long() & 0xFFFF
