"""Descriptors of sites as an input of networks."""

from torch import Tensor, nn

from sitenet.models.base.batch import Batch
from sitenet.settings.descriptors import DESCRIPTORS, DescriptorName


class DescriptorInput(nn.Module):
    """A layer of two maps from the descriptors of sites to their features.

    Args:
        name: Name of the descriptor.
        width: Width D of a site.
    """

    def __init__(self, name: DescriptorName, width: int):
        super().__init__()
        self.name = name
        self.layers = nn.Sequential(nn.Linear(DESCRIPTORS[name].width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, batch: Batch) -> Tensor:
        """(N, D) of the sites of a batch.

        Raises:
            ValueError: The batch has other descriptors or none.
        """
        wanted, found = DESCRIPTORS[self.name].width, batch.descriptors.shape[1]
        if found != wanted:
            raise ValueError(f"the network needs {wanted} features of sites by {self.name}, the features have {found}")
        return self.layers(batch.descriptors)
