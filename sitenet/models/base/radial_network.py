"""What networks share in which a pair contributes functions of its distance."""

from typing import Any

import torch
from torch import Tensor, nn

from sitenet.features.elements import N_ELEMENTS, standardised_properties
from sitenet.models.base.batch import Batch
from sitenet.models.base.descriptors import DescriptorInput
from sitenet.models.base.network import PairNetwork, TargetScale
from sitenet.models.base.radial_functions import KNOTS, Places


class RadialNetwork(PairNetwork):
    """Base of networks with radial functions, whose pairs an envelope may fade.

    Args:
        settings: Hyperparameters, among them `width`, `elemental_properties`, `radial_length`, `cutoff`,
            `envelope` and `descriptor`.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
    """

    properties: Tensor

    def __init__(self, settings: Any, non_negative: bool):
        super().__init__()
        self.settings = settings
        properties = torch.tensor(standardised_properties(settings.elemental_properties))
        self.register_buffer("properties", properties, persistent=False)
        self.element = nn.Embedding(N_ELEMENTS + 1, settings.width)
        self.describe = nn.Linear(properties.shape[1], settings.width)
        self.descriptor = DescriptorInput(settings.descriptor, settings.width) if settings.descriptor else None
        self.scale = TargetScale(non_negative)

    def site_inputs(self, batch: Batch) -> Tensor:
        """(N, D) what the first block gets: an embedding of the element, maps of its properties and of descriptors."""
        properties_NF = self.properties[batch.atomic_numbers].to(batch.distances.dtype)
        x_ND = self.element(batch.atomic_numbers) + self.describe(properties_NF)
        return x_ND if self.descriptor is None else x_ND + self.descriptor(batch)

    def places(self, batch: Batch) -> Places:
        """Where the pairs lie among the knots of the radial functions."""
        return Places.between(KNOTS, torch.exp(-batch.distances / self.settings.radial_length))

    def pair_weights(self, distances: Tensor) -> Tensor | None:
        """(E,) as of `PairNetwork.pair_weights`, or the envelope, which is 0 exactly at the cut-off."""
        if self.settings.envelope:
            return envelope(distances, self.settings.cutoff)
        return super().pair_weights(distances)


def envelope(distances: Tensor, cutoff: float) -> Tensor:
    r"""(E,) weights $(1 - (d / r)^2)^2$: from 1 at d = 0 to 0 at the cut-off r, where the derivative is 0, too."""
    return (1 - (distances / cutoff).clamp(max=1) ** 2) ** 2
