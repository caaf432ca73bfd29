"""Crystals of one training step as flat tensors, without padding."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from sitenet.features.elements import N_ELEMENTS
from sitenet.features.point_set import PointSet


@dataclass(frozen=True)
class Batch:
    """Point sets of C crystals laid end to end: N site classes, E reduced pairs.

    Attributes:
        ids: Identifiers of the C crystals.
        atomic_numbers: (N,) atomic number Z of each site class.
        site_counts: (N,) primitive sites in each class.
        site_crystal: (N,) crystal of each class, ascending.
        row_starts: (N + 1,) the pairs of class i are row_starts[i]..row_starts[i + 1] - 1.
        pair_i: (E,) class at the near end of each pair, ascending.
        pair_j: (E,) class at its far end.
        pair_counts: (E,) supercell sites that share the pair; fractions of them where an envelope fades it.
        distances: (E,) in angstrom, 0 only where a site meets itself; their dtype is the batch's.
        moments: (E, M) mean spherical harmonics of each pair; M is 0 where the features have none.
        descriptors: (N, F) features of each class by a pretrained network; F is 0 where the features have none.
    """

    ids: tuple[str, ...]
    atomic_numbers: Tensor
    site_counts: Tensor
    site_crystal: Tensor
    row_starts: Tensor
    pair_i: Tensor
    pair_j: Tensor
    pair_counts: Tensor
    distances: Tensor
    moments: Tensor
    descriptors: Tensor

    @property
    def n_crystals(self) -> int:
        """Number of crystals C."""
        return len(self.ids)

    @property
    def n_sites(self) -> int:
        """Number of site classes N."""
        return len(self.atomic_numbers)

    def to(self, device: torch.device | str) -> Self:
        """The same batch with its tensors on `device`."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ids"}
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}
        return replace(self, **moved)

    # Backward, `index_select` adds rows up; plain indexing sorts them first, which takes far longer on a GPU.

    def near(self, sites: Tensor) -> Tensor:
        """(E, ...) what `sites` (N, ...) has for the near end of each pair."""
        return sites.index_select(0, self.pair_i)

    def far(self, sites: Tensor) -> Tensor:
        """(E, ...) what `sites` (N, ...) has for the far end of each pair."""
        return sites.index_select(0, self.pair_j)

    def select_pairs(self, kept: Tensor) -> Self:
        """The same batch with only the pairs where the (E,) mask `kept` is true."""
        before = torch.cat([kept.new_zeros(1, dtype=torch.long), kept.cumsum(0)])
        return replace(
            self,
            row_starts=before[self.row_starts],
            pair_i=self.pair_i[kept],
            pair_j=self.pair_j[kept],
            pair_counts=self.pair_counts[kept],
            distances=self.distances[kept],
            moments=self.moments[kept],
        )


def collate(point_sets: Sequence[PointSet], dtype: torch.dtype = torch.float32) -> Batch:
    """Lays point sets end to end.

    Raises:
        ValueError: No crystal is given, one has an atomic number outside 1..118, or its pairs do not fit its sites.
    """
    if not point_sets:
        raise ValueError("a batch needs at least one crystal")
    n_sites = np.array([len(point_set.atomic_numbers) for point_set in point_sets])
    n_pairs = np.array([len(point_set.distances) for point_set in point_sets])
    first_site = np.cumsum(n_sites) - n_sites
    row_counts = _joined(point_sets, "row_counts")
    pair_sites = _checked_pairs(point_sets, n_sites, n_pairs, np.add.reduceat(row_counts, first_site))
    return Batch(
        ids=tuple(point_set.id for point_set in point_sets),
        atomic_numbers=torch.from_numpy(_checked_elements(point_sets)),
        site_counts=torch.from_numpy(_joined(point_sets, "site_counts")),
        site_crystal=torch.from_numpy(np.repeat(np.arange(len(point_sets)), n_sites)),
        row_starts=torch.from_numpy(np.concatenate([[0], np.cumsum(row_counts)])),
        pair_i=torch.from_numpy(np.repeat(np.arange(len(row_counts)), row_counts)),
        pair_j=torch.from_numpy(pair_sites + np.repeat(first_site, n_pairs)),
        pair_counts=torch.from_numpy(_joined(point_sets, "pair_counts")),
        distances=torch.from_numpy(np.concatenate([p.distances for p in point_sets])).to(dtype),
        moments=torch.from_numpy(np.concatenate([p.moments for p in point_sets])).to(dtype),
        descriptors=torch.from_numpy(np.concatenate([p.descriptors for p in point_sets])).to(dtype),
    )


def _joined(point_sets: Sequence[PointSet], name: str) -> np.ndarray:
    return np.concatenate([getattr(point_set, name) for point_set in point_sets]).astype(np.int64)


def _checked_pairs(
    point_sets: Sequence[PointSet], n_sites: np.ndarray, n_pairs: np.ndarray, in_rows: np.ndarray
) -> np.ndarray:
    """(E,) far site of each pair within its crystal; kernels go there without looking."""
    if (in_rows != n_pairs).any():
        bad = np.flatnonzero(in_rows != n_pairs)[0]
        raise ValueError(f"crystal {point_sets[bad].id} has {n_pairs[bad]} pairs and {in_rows[bad]} in its rows")
    pair_sites = _joined(point_sets, "pair_sites")
    outside = pair_sites.view(np.uint64) >= np.repeat(n_sites, n_pairs).view(np.uint64)  # negative ones too
    if outside.any():
        bad = np.repeat(np.arange(len(point_sets)), n_pairs)[outside][0]
        found = f"pairs with site {pair_sites[outside][0]}"
        raise ValueError(f"crystal {point_sets[bad].id} has {found}, but its sites are 0..{n_sites[bad] - 1}")
    return pair_sites


def _checked_elements(point_sets: Sequence[PointSet]) -> np.ndarray:
    atomic_numbers = _joined(point_sets, "atomic_numbers")
    if atomic_numbers.min() < 1 or atomic_numbers.max() > N_ELEMENTS:
        bad = next(p for p in point_sets if p.atomic_numbers.min() < 1 or p.atomic_numbers.max() > N_ELEMENTS)
        raise ValueError(f"crystal {bad.id} has atomic numbers outside 1..{N_ELEMENTS}: {bad.atomic_numbers}")
    return atomic_numbers
