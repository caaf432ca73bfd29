"""What training and prediction need of a network: its base classes and its last layer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sitenet.models.base.batch import Batch
from sitenet.tasks import CLASSIFICATION, REGRESSION, Task

LOSSES: dict[str, Callable[..., Tensor]] = {
    "l1": nn.functional.l1_loss,
    "huber": nn.functional.huber_loss,
    "mse": nn.functional.mse_loss,
}


def clamp_straight_through(values: Tensor) -> Tensor:
    """max(values, 0) whose gradient is that of the identity.

    A band gap is never negative, but a crystal predicted below 0 must still be able to learn.
    """
    return values + (values.clamp(min=0) - values).detach()


class TargetScale(nn.Module):
    """prediction = target_mean + target_std * raw, clamped at 0 for targets that cannot be negative.

    The training loop sets the buffers `target_mean` and `target_std`; they are saved with the weights.

    Args:
        non_negative: The target cannot be negative, e.g. a band gap; comes from the data set.
    """

    task: Task = REGRESSION
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, non_negative: bool):
        super().__init__()
        self.non_negative = non_negative
        self.register_buffer("target_mean", torch.tensor(0.0))
        self.register_buffer("target_std", torch.tensor(1.0))

    def fit(self, targets: NDArray[np.float64]) -> None:
        """Sets mean and standard deviation to those of (C,) targets, of which NaN are not known."""
        known = targets[~np.isnan(targets)]
        self.target_mean.fill_(known.mean())
        self.target_std.fill_(known.std() or 1.0)

    def forward(self, raw: Tensor) -> Tensor:
        """(C,) predictions of (C,) raw numbers, in the precision of the buffers."""
        scaled = self.target_mean + self.target_std * raw.to(self.target_std.dtype)
        return clamp_straight_through(scaled) if self.non_negative else scaled

    def losses(self, loss: str, outputs: Tensor, targets: Tensor) -> Tensor:
        """(C,) losses of (C,) outputs, in units of the targets' standard deviation."""
        return LOSSES[loss](outputs / self.target_std, targets / self.target_std, reduction="none")

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(C,) errors of (C,) outputs, whose mean is the task's `error`."""
        return (outputs - targets).abs()


class ClassScale(TargetScale):
    """The last layer of a classification: a logit while the network learns, the probability of class 1 otherwise.

    The cross-entropy is computed from logits, since that of probabilities loses all digits near 0 and 1.
    """

    task = CLASSIFICATION

    def __init__(self) -> None:
        super().__init__(non_negative=False)

    def forward(self, raw: Tensor) -> Tensor:
        """(C,) logits in training, otherwise (C,) probabilities, in the precision of the buffers."""
        logits = raw.to(self.target_std.dtype)
        return logits if self.training else logits.sigmoid()

    def losses(self, loss: str, outputs: Tensor, targets: Tensor) -> Tensor:
        """(C,) binary cross-entropies of (C,) logits, whatever loss a regression would have."""
        return self.errors(outputs, targets)

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(C,) binary cross-entropies of (C,) logits."""
        return nn.functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")


class Network(nn.Module):
    """Base of all networks.

    Attributes:
        scale: The last layer, whose buffers training sets.
    """

    scale: TargetScale

    def forward(self, batch: Batch) -> Tensor:
        """(C,) predictions in the unit of the target; in the training of a classification, logits."""
        raise NotImplementedError

    def attention(self, batch: Batch) -> list[Tensor]:
        """Attention of each block, (E, H) each; empty for a network without attention."""
        return []

    def readout(self) -> list[nn.Module]:
        """The layers after the pooling of sites, which begin anew for another target; none if they are not known."""
        return []

    def computed_by(self) -> str:
        """What computes the work on pairs on the present device and in the present precision, autocast included.

        "torch", or compiler and instruction set of kernels, whose results differ by rounding.
        """
        return "torch"


N = TypeVar("N", bound=Network)


def for_task(network: N, task: Task) -> N:
    """The network with the last layer of a task; networks themselves are built for a regression."""
    if task is CLASSIFICATION:
        network.scale = ClassScale()
    return network


class PairNetwork(Network):
    """Base of networks in which a site sees all sites, or those within a cut-off.

    Attributes:
        settings: Hyperparameters, `cutoff` (angstrom or None) among them.
    """

    settings: Any

    def forward(self, batch: Batch) -> Tensor:
        """(C,) predictions in the unit of the target."""
        sites_NF = self.site_states(batch)
        return self.predict_pooled(sites_NF, batch.site_counts, batch.site_crystal, batch.n_crystals)

    def site_states(self, batch: Batch) -> Tensor:
        """(N, F) states of the site classes, from which the prediction is pooled."""
        raise NotImplementedError

    def predict_pooled(self, sites_NF: Tensor, site_counts: Tensor, site_crystal: Tensor, n_crystals: int) -> Tensor:
        """(C,) predictions from states of sites.

        Args:
            sites_NF: (N, F) states, whatever crystals they come from.
            site_counts: (N,) how often each of them occurs.
            site_crystal: (N,) the crystal that it is pooled into; each has at least one.
            n_crystals: Number of crystals.
        """
        raise NotImplementedError

    def without_sites(self) -> Self:
        """The network with nothing but what `predict_pooled` needs, the read-out; it reads the sites of another one."""
        kept = [*self.readout(), self.scale]
        for name, layer in list(self.named_children()):
            if layer not in kept:
                delattr(self, name)
        return self

    def pair_weights(self, distances: Tensor) -> Tensor | None:
        """(E,) how much each pair counts at its distance; a pair with 0 is not seen. None: all count as they are."""
        return None if self.settings.cutoff is None else distances <= self.settings.cutoff

    def seen(self, batch: Batch) -> Tensor:
        """(E,) which pairs of a batch the network sees."""
        weights_E = self.pair_weights(batch.distances)
        return torch.ones_like(batch.distances, dtype=torch.bool) if weights_E is None else weights_E > 0

    def within_cutoff(self, batch: Batch) -> Batch:
        """The batch with the pairs that are seen, as often as they count; on a GPU the others stay and count 0."""
        weights_E = self.pair_weights(batch.distances)
        if weights_E is None:
            return batch
        weighted = replace(batch, pair_counts=batch.pair_counts * weights_E)
        if batch.distances.is_cuda:  # to drop pairs would wait for their number
            return weighted
        return weighted.select_pairs(weights_E > 0)


class AttentionNetwork(PairNetwork):
    """Base of networks that attend to the sites that they see."""

    def run_blocks(self, batch: Batch) -> tuple[Any, list[Tensor]]:
        """What the blocks make of the sites, and the attention of each, (E, H), over the pairs of `batch`."""
        raise NotImplementedError

    @torch.no_grad()
    def attention(self, batch: Batch) -> list[Tensor]:
        """Attention of each block, (E, H) each; all `pair_counts` sites of a pair together.

        The weights of one site class sum to 1; pairs beyond the cut-off have 0.
        """
        seen_E, within = self.seen(batch), self.within_cutoff(batch)
        _, weights = self.run_blocks(within)
        if len(within.pair_i) == len(batch.pair_i):
            return weights
        zeros_EH = weights[0].new_zeros(len(seen_E), weights[0].shape[1])
        return [zeros_EH.masked_scatter(seen_E[:, None], alpha_EH) for alpha_EH in weights]
