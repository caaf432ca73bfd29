"""Messages that depend on both sites of a pair and their distance together.

These are the sums of `sitenet.models.base.gate` with SiLU.
"""

from torch import Tensor, nn

from sitenet.models.base import gate_kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.gate import plain_gated_sums
from sitenet.models.base.radial_functions import Places, RadialFunctions
from sitenet.models.sitenet_radial import gpu
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings


class Gate(nn.Module):
    """What gated messages add to a site; normalised and mapped to its width."""

    def __init__(self, settings: RadialSiteNetSettings):
        super().__init__()
        D, G = settings.width, settings.gate_channels
        self.project = nn.Linear(D, 4 * G, bias=False)  # the radial functions have a bias
        self.radial = RadialFunctions(settings.radial_functions, 2 * G)
        self.norm, self.out = nn.LayerNorm(G), nn.Linear(G, D)

    def forward(self, x_ND: Tensor, places: Places, batch: Batch) -> Tensor:
        """(N, D) of site features (N, D)."""
        sites_NF = self.project(x_ND)
        near_NF, far_NF = sites_NF.chunk(2, dim=1)
        if gpu.supports(sites_NF, sites_NF.shape[1] // 4):
            sums_NG = gpu.gated_sums(sites_NF, self.radial.at(places), batch)
        elif gate_kernels.supports(near_NF.shape[1] // 2, near_NF):
            sums_NG = gate_kernels.gated_sums(near_NF, far_NF, self.radial(), places, batch)
        else:
            sums_NG = plain_gated_sums(near_NF, far_NF, self.radial.at(places), batch)
        return self.out(self.norm(sums_NG))
