r"""Messages that depend on both sites of a pair and their distance together.

$$ x'_i = \sum_j m_{ij} \, \sigma(p_i + p_j + t(d_{ij})) \odot \mathrm{SiLU}(q_i + q_j + u(d_{ij})) $$

This is the convolution of CGCNN (Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018)), with SiLU in place of
softplus. Its linear map of the two sites and the distance is split: p and q are linear in the features of a site, t and
u are radial functions. A pair costs no matrix product.
"""

from torch import Tensor, nn

from sitenet.models.base.batch import Batch
from sitenet.models.base.segments import segment_sum
from sitenet.models.sitenet_radial import gate_kernels, gpu
from sitenet.models.sitenet_radial.radial_functions import Places, RadialFunctions
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings


class Gate(nn.Module):
    """What gated messages add to a site; see the equation above."""

    def __init__(self, settings: RadialSiteNetSettings):
        super().__init__()
        D, G = settings.width, settings.gate_channels
        self.project = nn.Linear(D, 4 * G, bias=False)  # the radial functions have a bias
        self.radial = RadialFunctions(settings, 2 * G)
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


def plain_gated_sums(near_NF: Tensor, far_NF: Tensor, radial_EF: Tensor, batch: Batch) -> Tensor:
    """(N, G) sums of messages; `gate_kernels.gated_sums` is faster on CPUs.

    Args:
        near_NF: p_i and q_i, side by side.
        far_NF: p_j and q_j.
        radial_EF: t and u.
        batch: The pairs.
    """
    gate_EG, message_EG = (batch.near(near_NF) + batch.far(far_NF) + radial_EF).chunk(2, dim=1)
    messages_EG = gate_EG.sigmoid() * nn.functional.silu(message_EG)
    return segment_sum(messages_EG * batch.pair_counts[:, None], batch.pair_i, batch.n_sites)
