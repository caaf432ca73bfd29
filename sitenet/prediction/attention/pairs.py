"""The pairs of a batch as arrays, for the analysis of attention."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sitenet.evaluation.attention.record import STEP
from sitenet.models.base.batch import Batch

N_STEPS = 400  # bins of distance; what is farther stands in the last one
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """The pairs of a batch that a network sees, as arrays; E of them.

    Attributes:
        distances: (E,) in angstrom.
        counts: (E,) sites that share the pair.
        rows: (E,) sites of the crystal whose pair this is.
        row_share: (E,) the same as a share of the crystal's sites.
        itself: (E,) whether a site meets itself.
        crystals: (E,) crystal in the batch.
        steps: (E,) bin of distance.
        near: (E,) class of the site in the batch.
        n_crystals: Number of crystals.
    """

    distances: Floats
    counts: Floats
    rows: Floats
    row_share: Floats
    itself: NDArray[np.bool_]
    crystals: NDArray[np.int64]
    steps: NDArray[np.int64]
    near: NDArray[np.int64]
    n_crystals: int

    @classmethod
    def of(cls, batch: Batch) -> "Pairs":
        """Those of a batch."""
        distances = batch.distances.double().cpu().numpy()
        near, site_crystal = batch.pair_i.cpu().numpy(), batch.site_crystal.cpu().numpy()
        site_counts = batch.site_counts.double().cpu().numpy()
        n_sites = np.bincount(site_crystal, site_counts)
        return cls(
            distances=distances,
            counts=batch.pair_counts.double().cpu().numpy(),
            rows=site_counts[near],
            row_share=(site_counts / n_sites[site_crystal])[near],
            itself=distances == 0,
            crystals=site_crystal[near],
            steps=np.minimum(distances / STEP, N_STEPS - 1).astype(np.int64),
            near=near,
            n_crystals=batch.n_crystals,
        )

    def uniform(self) -> Floats:
        """(E, 1) weights of a network that gives every site that it sees the same."""
        return (self.counts / np.bincount(self.near, self.counts)[self.near])[:, None]
