r"""SchNet (Schuett et al., NeurIPS 2017, arXiv:1706.08566) on point sets.

A block changes the features x of a site i by those of its neighbours j, each filtered by a function of the distance,

$$ x'_i = x_i + f(\sum_j m_{ij} \, (x_j U) \odot w(d_{ij})), $$

where f and the filter w are two dense layers. w reads Gaussians of the distance. The activation is the shifted
softplus, ssp(x) = log(e^x / 2 + 1 / 2). m_ij is the multiplicity of a reduced pair, times the envelope if there is one.
The filter is a function of the distance alone: it is computed at the knots of a table and linear in between.
docs/models.md lists what differs from the published network.

Shape suffixes, one letter per axis:
    C crystals in the batch         D width of a site
    N site classes in the batch     K knots of the radial functions
    E reduced pairs
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sitenet.models.base.batch import Batch
from sitenet.models.base.convolution import ConvolutionNetwork
from sitenet.models.base.radial_functions import Places, gaussians_at_knots
from sitenet.models.base.segments import segment_mean, segment_sum
from sitenet.models.schnet.settings import SchNetSettings


class ShiftedSoftplus(nn.Module):
    """log(e^x / 2 + 1 / 2), which is 0 at 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Of each element."""
        return softplus(x) - math.log(2)


class Filter(nn.Module):
    """The filter w, D functions of the distance.

    Args:
        n_gaussians: Number of Gaussians that it reads.
        width: Number of functions D.
    """

    gaussians: Tensor

    def __init__(self, n_gaussians: int, width: int):
        super().__init__()
        self.register_buffer("gaussians", gaussians_at_knots(n_gaussians), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(n_gaussians, width), ShiftedSoftplus(), nn.Linear(width, width), ShiftedSoftplus()
        )

    def forward(self) -> Tensor:
        """(K, D) values at the knots, in full precision even under autocast: small products, once a block."""
        with torch.autocast(self.gaussians.device.type, enabled=False):
            return self.layers(self.gaussians)


class Interaction(nn.Module):
    """One block; see the equation above."""

    def __init__(self, settings: SchNetSettings):
        super().__init__()
        D = settings.width
        self.project = nn.Linear(D, D, bias=False)
        self.filter = Filter(settings.radial_functions, D)
        self.out = nn.Sequential(nn.Linear(D, D), ShiftedSoftplus(), nn.Linear(D, D))

    def forward(self, x_ND: Tensor, places: Places, batch: Batch) -> Tensor:
        """New site features (N, D)."""
        return x_ND + self.out(plain_filtered_sums(self.project(x_ND), self.filter(), places, batch))


def plain_filtered_sums(v_ND: Tensor, filter_KD: Tensor, places: Places, batch: Batch) -> Tensor:
    """(N, D) sums over each site's pairs of what the far site has, times the filter at the distance."""
    filtered_ED = batch.far(v_ND) * places.of(filter_KD)
    return segment_sum(filtered_ED * batch.pair_counts[:, None], batch.pair_i, batch.n_sites)


class SchNet(ConvolutionNetwork):
    """The whole network: blocks, a hidden layer on each site, and the mean over the sites.

    Args:
        settings: Hyperparameters.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
    """

    def __init__(self, settings: SchNetSettings, non_negative: bool = False):
        super().__init__(settings, non_negative)
        D, hidden = settings.width, settings.hidden_width
        self.blocks = nn.ModuleList(Interaction(settings) for _ in range(settings.blocks))
        self.read_out = nn.Sequential(nn.Linear(D, hidden), ShiftedSoftplus(), nn.Linear(hidden, 1))

    def predict_pooled(self, sites_NF: Tensor, site_counts: Tensor, site_crystal: Tensor, n_crystals: int) -> Tensor:
        """(C,) predictions; see `PairNetwork.predict_pooled`."""
        shares_N1 = self.read_out(sites_NF)
        return self.scale(segment_mean(shares_N1, site_counts, site_crystal, n_crystals).squeeze(1))

    def readout(self) -> list[nn.Module]:
        """The last layers: they read single sites, before the mean, but say what a site adds to the target."""
        return [self.read_out]
