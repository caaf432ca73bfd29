r"""CGCNN (Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018)) on point sets.

A convolution changes the features x of a site i by those of its neighbours j,

$$ x'_i = \mathrm{softplus}(x_i + \mathrm{LN}(\sum_j m_{ij} \, \sigma(z_{ij} W + b) \odot
   \mathrm{softplus}(z_{ij} V + c))), \qquad z_{ij} = [x_i, x_j, e(d_{ij})] . $$

The linear maps of z are split into maps of x_i, of x_j and of the distance's Gaussians e, so that a pair costs no
matrix product. m_ij is the multiplicity of a reduced pair, times the envelope if there is one. The published code
normalises over the batch, before the gate and after the sum. A prediction must not depend on other crystals, so here
the sums are layer-normalised, and what enters the gate is not normalised. docs/models.md lists what else differs.

Shape suffixes, one letter per axis:
    C crystals in the batch         D width of a site
    N site classes in the batch
"""

from torch import Tensor, nn
from torch.nn.functional import softplus

from sitenet.models.base import gate_kernels, kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.convolution import ConvolutionNetwork
from sitenet.models.base.gate import plain_gated_sums
from sitenet.models.base.radial_functions import Places, RadialFunctions
from sitenet.models.base.segments import segment_mean
from sitenet.models.cgcnn.settings import CGCNNSettings


class Convolution(nn.Module):
    """One gated convolution; see the equation above."""

    def __init__(self, settings: CGCNNSettings):
        super().__init__()
        D = settings.width
        self.project = nn.Linear(D, 4 * D, bias=False)  # the radial functions have a bias
        self.radial = RadialFunctions(settings.radial_functions, 2 * D)
        self.norm = nn.LayerNorm(D)

    def forward(self, x_ND: Tensor, places: Places, batch: Batch) -> Tensor:
        """New site features (N, D)."""
        near_NF, far_NF = self.project(x_ND).chunk(2, dim=1)
        if gate_kernels.supports(x_ND.shape[1], near_NF):
            sums_ND = gate_kernels.gated_sums(near_NF, far_NF, self.radial(), places, batch, soft=True)
        else:
            sums_ND = plain_gated_sums(near_NF, far_NF, self.radial.at(places), batch, soft=True)
        return softplus(x_ND + self.norm(sums_ND))


class CGCNN(ConvolutionNetwork):
    """The whole network: convolutions, the mean over the sites, and a hidden layer.

    Args:
        settings: Hyperparameters.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
    """

    def __init__(self, settings: CGCNNSettings, non_negative: bool = False):
        super().__init__(settings, non_negative)
        D, hidden = settings.width, settings.hidden_width
        self.blocks = nn.ModuleList(Convolution(settings) for _ in range(settings.blocks))
        self.read_out = nn.Sequential(nn.Softplus(), nn.Linear(D, hidden), nn.Softplus(), nn.Linear(hidden, 1))

    def predict_pooled(self, sites_NF: Tensor, site_counts: Tensor, site_crystal: Tensor, n_crystals: int) -> Tensor:
        """(C,) predictions; see `PairNetwork.predict_pooled`."""
        pooled_CD = segment_mean(sites_NF, site_counts, site_crystal, n_crystals)
        return self.scale(self.read_out(pooled_CD).squeeze(1))

    def readout(self) -> list[nn.Module]:
        """The layers after the pooling of sites."""
        return [self.read_out]

    def computed_by(self) -> str:
        """Compiler and instruction set of the kernels, or torch; see `Network.computed_by`."""
        if gate_kernels.supports(self.settings.width, self.element.weight):
            return kernels.built_by(gate_kernels.NAME)
        return super().computed_by()
