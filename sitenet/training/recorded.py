"""Training steps as a CUDA graph: launched as one, whatever their number of operations.

A step consists of about a thousand small operations. Launching them one by one takes several times as long as computing
them. A graph is recorded once and launched as a whole, but repeats exactly what was recorded: every batch must have the
same numbers of crystals, sites and pairs, and no operation may ask the device for a size. So batches are padded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sitenet.training.batching import Indices
from sitenet.training.gradients import Gradients, Step
from sitenet.training.resident import ResidentPointSets

WARM_UP = 3  # steps before the recording, in which libraries set themselves up
ROOM = 1.03  # sizes of the recorded batch over the largest of a sample; a larger batch takes the slow way


@dataclass(frozen=True)
class Size:
    """Size of a recorded batch, padding included."""

    crystals: int
    sites: int
    pairs: int

    @classmethod
    def for_batches(cls, batches: Sequence[Indices], store: ResidentPointSets) -> "Size":
        """A size that holds these batches and nearly all like them, single crystals apart: one may be huge."""
        sizes = [cls.of(batch, store) for batch in batches if len(batch) > 1]
        sizes = sizes or [cls.of(batch, store) for batch in batches]
        crystals = int(max(size.crystals for size in sizes) * ROOM) + 1
        sites = int(max(size.sites for size in sizes) * ROOM) + crystals
        pairs = int(max(size.pairs + sites - size.sites for size in sizes) * ROOM)
        return cls(crystals, sites, pairs)

    @classmethod
    def of(cls, batch: Indices, store: ResidentPointSets) -> "Size":
        """The size of a batch without padding."""
        return cls(len(batch), int(store.n_sites[batch].sum()), int(store.n_pairs[batch].sum()))

    def holds(self, other: "Size") -> bool:
        """Whether a batch can be padded to this size: each crystal of the padding has a site, each site a pair."""
        crystals, sites = self.crystals - other.crystals, self.sites - other.sites
        return sites >= crystals >= 1 and self.pairs - other.pairs >= sites


class RecordedGradients:
    """Gradients of batches of crystals on a GPU; on a CPU, the same computation without a graph.

    Args:
        gradients: Computes them.
        store: Crystals on the device.
        targets: (places, T) targets of each place on the device.
        size: Size of the recorded batch.
    """

    def __init__(
        self,
        gradients: Gradients,
        store: ResidentPointSets,
        targets: NDArray[np.float64],
        size: Size,
    ):
        device = gradients.model.scale.target_std.device
        self._gradients, self._store, self._size = gradients, store, size
        self._targets = torch.as_tensor(
            np.pad(targets, ((0, 1), (0, 0)), constant_values=np.nan), dtype=torch.float32, device=device
        )
        self._places = torch.full((size.crystals,), -1, device=device)
        self._places[0] = 0  # the graph is recorded with one crystal
        self._launch: Callable[[], object] = self._compute
        self._figures = torch.empty(0)
        if device.type == "cuda":
            self._launch = self._record()

    def fits(self, indices: Indices) -> bool:
        """Whether a batch of these crystals of the store fits in the recorded size."""
        return self._size.holds(Size.of(indices, self._store))

    def __call__(self, indices: Indices) -> Step:
        """Computes the gradients of a batch that fits."""
        padded = np.full(self._size.crystals, -1)
        padded[: len(indices)] = self._store.places(indices)
        self._places.copy_(torch.from_numpy(padded), non_blocking=True)
        self._launch()
        return Step(tuple(self._store.ids[int(index)] for index in indices), self._figures.clone())

    def _compute(self) -> None:
        size = self._size
        self._gradients.learnt.zero_grad()  # a graph writes its own gradients anew
        batch = self._store.gather(self._places, ("",) * size.crystals, size.sites, size.pairs)
        self._figures = self._gradients(batch, self._targets[self._places])

    def _record(self) -> Callable[[], object]:
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                self._compute()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._compute()
        return graph.replay
