r"""Directions, as sums over a site's pairs of spherical harmonics, and products of them that no rotation changes.

With the moments M_ij,lm of the features (means of the real spherical harmonics of degree l over the sites of a pair) a
site forms, in K channels and for each degree l,

$$ A_{i,lm} = \sum_j m_{ij} \, w_l(d_{ij}) \odot v_j \, M_{ij,lm}, \qquad
   s_{i,l} = \sum_m (A_{i,lm} W_l) \odot (A_{i,lm} V_l) , $$

where w_l are radial functions and v_j is linear in the features of site j. A is linear in the harmonics, so pairs of
one class and distance stay merged. A rotation or reflection acts on the 2l + 1 components of each degree by an
orthogonal matrix, which leaves s as it is. These are the atomic base functions of the cluster expansion (Drautz, Phys.
Rev. B 99, 014104 (2019)) and their invariants of second order, with learnt weights.
"""

import math

import torch
from torch import Tensor, nn

from sitenet.features.harmonics import n_moments
from sitenet.models.base.batch import Batch
from sitenet.models.base.radial_functions import Places, RadialFunctions
from sitenet.models.base.segments import segment_sum
from sitenet.models.sitenet_radial import gpu, moment_kernels
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings


class Moments(nn.Module):
    """What the directions of a site's pairs add to it; see the equations above."""

    def __init__(self, settings: RadialSiteNetSettings):
        super().__init__()
        L, K, n = settings.moments, settings.moment_channels, settings.moment_invariants
        self.value = nn.Linear(settings.width, K)
        self.radial = RadialFunctions(settings.radial_functions, L * K)
        self.mix = nn.Parameter(torch.randn(L, K, 2 * n) / K**0.5)  # W and V of each degree, side by side
        self.norm, self.out = nn.LayerNorm(L * n), nn.Linear(L * n, settings.width)

    def forward(self, x_ND: Tensor, places: Places, batch: Batch) -> Tensor:
        """(N, D) of site features (N, D)."""
        v_NK = self.value(x_ND)
        L = len(self.mix)
        if batch.moments.shape[1] < n_moments(L):
            there = math.isqrt(batch.moments.shape[1] + 1) - 1
            raise ValueError(f"the network needs moments of degree {L}, the features have {there or 'none'}")
        moments = batch.moments[:, : n_moments(L)]
        if moment_kernels.supports(v_NK.shape[1], v_NK):
            sums_NMK = moment_kernels.moment_sums(v_NK, self.radial(), moments, places, batch)
        else:
            sums = gpu.moment_sums if gpu.supports(v_NK, v_NK.shape[1]) else plain_moment_sums
            sums_NMK = sums(v_NK, self.radial.at(places), moments, batch)
        return self.out(self.norm(self._invariants(sums_NMK)))

    def _invariants(self, sums_NMK: Tensor) -> Tensor:
        """(N, L n) products, in full precision even under autocast, which would let them change with a rotation."""
        with torch.autocast(sums_NMK.device.type, enabled=False):
            by_degree = sums_NMK.to(self.mix.dtype).split([3 + 2 * n for n in range(len(self.mix))], dim=1)
            found = []
            for part_NmK, mix in zip(by_degree, self.mix, strict=True):
                left_Nmn, right_Nmn = (part_NmK @ mix).chunk(2, dim=2)
                found.append((left_Nmn * right_Nmn).sum(1))
            return torch.cat(found, dim=1)


def plain_moment_sums(v_NK: Tensor, w_EF: Tensor, moments_EM: Tensor, batch: Batch) -> Tensor:
    """(N, M, K) sums A; `moment_kernels.moment_sums` is faster on CPUs.

    Args:
        v_NK: Values of the far sites.
        w_EF: Radial functions of the pairs, K for each degree.
        moments_EM: Moments of the pairs.
        batch: The pairs.
    """
    w_ELK = w_EF.unflatten(1, (-1, v_NK.shape[1])) * batch.pair_counts[:, None, None]
    sums = []
    for l in range(1, w_ELK.shape[1] + 1):  # noqa: E741
        terms_EK = w_ELK[:, l - 1] * batch.far(v_NK)
        terms_EmK = terms_EK[:, None, :] * moments_EM[:, n_moments(l - 1) : n_moments(l), None]
        sums.append(segment_sum(terms_EmK, batch.pair_i, batch.n_sites))
    return torch.cat(sums, dim=1)
