"""Batches bounded by reduced pairs, in an order that depends on seed and epoch alone."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sitenet.features.point_set import PointSet
from sitenet.model.batch import Batch, collate

Indices = NDArray[np.int64]
PREFETCHED = 2


class PointSets(Protocol):
    """Point sets that batches are made of; a `FeatureStore` is one.

    Attributes:
        ids: Identifiers of the crystals.
        n_pairs: Reduced pairs of each crystal.
    """

    ids: list[str]
    n_pairs: NDArray[np.int64]

    def __getitem__(self, index: int) -> PointSet:
        """The point set at `index`."""


def shuffled(n: int, seed: int, stream: int) -> Indices:
    """Permutation of 0..n-1 from a counter-based generator, so that it needs no earlier state.

    Args:
        n: Number of items.
        seed: Seed of the run.
        stream: Number of the permutation within the run, such as the epoch.
    """
    key = np.array([seed, stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)


def pair_batches(n_pairs: NDArray[np.integer], limit: int) -> list[Indices]:
    """Splits crystals 0..C-1 into consecutive batches of at most `limit` pairs.

    Args:
        n_pairs: (C,) reduced pairs of each crystal, in the order of the batches.
        limit: Most pairs in a batch; a single crystal with more forms its own batch.
    """
    starts, filled = list[int](), limit
    for position, pairs in enumerate(n_pairs.tolist()):
        if filled + pairs > limit:
            starts.append(position)
            filled = 0
        filled += pairs
    return np.split(np.arange(len(n_pairs)), starts)[1:]


def load_batches(store: PointSets, batches: Sequence[Indices]) -> Iterator[Batch]:
    """Yields the collated crystals of each batch of store indices, prepared in a thread ahead of use."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as pool:
        waiting = iter(batches)
        ready: deque[Future[Batch]] = deque()
        ready.extend(pool.submit(_load, store, batch) for batch in islice(waiting, PREFETCHED))
        while ready:
            loaded = ready.popleft().result()
            ready.extend(pool.submit(_load, store, batch) for batch in islice(waiting, 1))
            yield loaded


def _load(store: PointSets, indices: Indices) -> Batch:
    return collate([store[int(index)] for index in indices], torch.float32)
