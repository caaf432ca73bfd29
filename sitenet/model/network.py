"""What training and prediction need of a network."""

from typing import Any

import torch
from torch import Tensor, nn

from sitenet.model.batch import Batch
from sitenet.model.output import TargetScale


class Network(nn.Module):
    """Base of all networks.

    Attributes:
        scale: The last layer, whose buffers training sets.
    """

    scale: TargetScale

    def forward(self, batch: Batch) -> Tensor:
        """(C,) predictions in the unit of the target."""
        raise NotImplementedError

    def attention(self, batch: Batch) -> list[Tensor]:
        """Attention of each block, (E, H) each; empty for a network without attention."""
        return []

    def computed_by(self) -> str:
        """What computes the work on pairs on the present device and in the present precision, autocast included.

        "torch", or compiler and instruction set of kernels, whose results differ by rounding.
        """
        return "torch"


class AttentionNetwork(Network):
    """Base of networks that attend to all sites, or to those within a cut-off.

    Attributes:
        settings: Hyperparameters, `cutoff` (angstrom or None) among them.
    """

    settings: Any

    def run_blocks(self, batch: Batch) -> tuple[Any, list[Tensor]]:
        """What the blocks make of the sites, and the attention of each, (E, H), over the pairs of `batch`."""
        raise NotImplementedError

    @torch.no_grad()
    def attention(self, batch: Batch) -> list[Tensor]:
        """Attention of each block, (E, H) each; all `pair_counts` sites of a pair together.

        The weights of one site class sum to 1; pairs beyond the cut-off have 0.
        """
        seen_E = self._seen(batch)
        _, weights = self.run_blocks(self.within_cutoff(batch))
        zeros_EH = weights[0].new_zeros(len(seen_E), weights[0].shape[1])
        return [zeros_EH.masked_scatter(seen_E[:, None], alpha_EH) for alpha_EH in weights]

    def within_cutoff(self, batch: Batch) -> Batch:
        """The batch without the pairs beyond the cut-off."""
        return batch if self.settings.cutoff is None else batch.select_pairs(self._seen(batch))

    def _seen(self, batch: Batch) -> Tensor:
        cutoff = torch.inf if self.settings.cutoff is None else self.settings.cutoff
        return batch.distances <= cutoff
