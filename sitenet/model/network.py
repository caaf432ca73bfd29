"""What training and prediction need of a network."""

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
