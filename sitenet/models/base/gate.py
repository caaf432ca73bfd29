r"""Sums of gated messages, the convolution of CGCNN (Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018)).

$$ g_i = \sum_j m_{ij} \, \sigma(p_i + p_j + t(d_{ij})) \odot h(q_i + q_j + u(d_{ij})) $$

Its linear map of the two sites and the distance is split: p and q are linear in the features of a site, t and u are
radial functions. A pair costs no matrix product. h is SiLU or softplus.
"""

from torch import Tensor
from torch.nn.functional import silu, softplus

from sitenet.models.base.batch import Batch
from sitenet.models.base.segments import segment_sum


def plain_gated_sums(near_NF: Tensor, far_NF: Tensor, radial_EF: Tensor, batch: Batch, soft: bool = False) -> Tensor:
    """(N, G) sums of messages; `gate_kernels.gated_sums` is faster on CPUs.

    Args:
        near_NF: p_i and q_i, side by side.
        far_NF: p_j and q_j.
        radial_EF: t and u.
        batch: The pairs.
        soft: Whether h is softplus in place of SiLU.
    """
    gate_EG, message_EG = (batch.near(near_NF) + batch.far(far_NF) + radial_EF).chunk(2, dim=1)
    messages_EG = gate_EG.sigmoid() * (softplus(message_EG) if soft else silu(message_EG))
    return segment_sum(messages_EG * batch.pair_counts[:, None], batch.pair_i, batch.n_sites)
