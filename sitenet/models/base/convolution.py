"""Base of networks whose sites add up messages from their neighbours."""

from torch import Tensor, nn

from sitenet.models.base.batch import Batch
from sitenet.models.base.radial_network import RadialNetwork


class ConvolutionNetwork(RadialNetwork):
    """Blocks that change the sites, one after the other. A site is no neighbour of itself; its images are.

    Attributes:
        blocks: Modules of (N, D) sites, the places of the pairs and the batch, which return new sites.
    """

    blocks: nn.ModuleList

    def site_states(self, batch: Batch) -> Tensor:
        """(N, D) sites after the last block; see `PairNetwork.site_states`."""
        batch = self.within_cutoff(batch)
        x_ND, places = self.site_inputs(batch), self.places(batch)
        for block in self.blocks:
            x_ND = block(x_ND, places, batch)
        return x_ND

    def pair_weights(self, distances: Tensor) -> Tensor:
        """(E,) as of `RadialNetwork.pair_weights`, and 0 where a site meets itself."""
        apart_E, weights_E = distances != 0, super().pair_weights(distances)  # NaN is seen, and spreads
        return apart_E if weights_E is None else apart_E * weights_E
