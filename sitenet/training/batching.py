"""Batches with a limited number of reduced pairs: their order, their loading, and prediction batch by batch."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sitenet.errors import UserError
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import Batch, collate

Indices = NDArray[np.int64]
PREFETCHED = 2
LARGER = 8  # batches of a prediction on a GPU over those of training, which keeps what the backward pass needs


class DivergedError(UserError):
    """Numbers of a network are not finite: its loss or gradient in too many batches, or a prediction."""


class PointSets(Protocol):
    """Point sets by index, from which batches are made; a `FeatureStore` for example.

    Attributes:
        ids: Identifiers of the crystals.
        n_pairs: Reduced pairs of each crystal.
    """

    ids: list[str]
    n_pairs: NDArray[np.int64]

    def __getitem__(self, index: int) -> PointSet:
        """The point set at `index`."""


def shuffled(n: int, seed: int, stream: int) -> Indices:
    """Random permutation of 0..n-1 that depends on the arguments alone (counter-based generator).

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
        limit: Largest number of pairs in a batch; a single crystal with more forms its own batch.
    """
    batches: list[list[int]] = []
    filled = 0
    for position, pairs in enumerate(n_pairs.tolist()):
        if not batches or filled + pairs > limit:
            batches.append([])
            filled = 0
        batches[-1].append(position)
        filled += pairs
    return [np.array(batch, dtype=np.int64) for batch in batches]


@runtime_checkable
class BatchSource(PointSets, Protocol):
    """Point sets that make their batches themselves, such as `ResidentPointSets`."""

    def batch(self, indices: Indices) -> Batch:
        """The batch of the crystals at `indices`."""


def load_batches(store: PointSets | BatchSource, batches: Sequence[Indices]) -> Iterator[Batch]:
    """Yields the crystals of each batch of indices.

    Where the store does not make batches itself, they are collated, and a thread loads them ahead of use.
    """
    if isinstance(store, BatchSource):
        yield from (store.batch(indices) for indices in batches)
        return
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


@torch.inference_mode()
def infer(
    model: nn.Module, store: PointSets | BatchSource, indices: Indices, batch_pairs: int, device: torch.device
) -> NDArray[np.float64]:
    """(C,) predictions in the unit of the target, in the order of `indices`, always in float32.

    Args:
        model: Network on `device`.
        store: Features of the crystals.
        indices: (C,) crystals of the store.
        batch_pairs: Largest number of reduced pairs in a training batch.
        device: Where to compute.

    Raises:
        DivergedError: A prediction is not finite.
    """
    by_size = np.argsort(store.n_pairs[indices], kind="stable")
    ordered = indices[by_size]
    limit = batch_pairs if device.type == "cpu" else batch_pairs * LARGER
    batches = [ordered[batch] for batch in pair_batches(store.n_pairs[ordered], limit)]
    training = model.training
    model.eval()
    outputs = [model(batch.to(device)).double() for batch in load_batches(store, batches)]
    model.train(training)
    predictions = np.empty(len(indices))
    if outputs:
        predictions[by_size] = torch.cat(outputs).cpu().numpy()
    if not np.isfinite(predictions).all():
        bad = indices[~np.isfinite(predictions)]
        raise DivergedError(
            f"predictions of {len(bad)} crystals are not finite, {store.ids[int(bad[0])]} among them: "
            "train again with a lower training.learning_rate"
        )
    return predictions
