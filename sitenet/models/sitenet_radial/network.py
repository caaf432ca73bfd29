r"""Site-Net with radial attention: the same point sets and global attention, with far less work on pairs.

In the paper every pair passes through multilayer maps (`sitenet.models.sitenet.network`). Here learnt maps act on
sites alone. A pair contributes learnt functions of its distance d_ij:

- a bias of its attention logit, as in Graphormer (Ying et al., NeurIPS 2021, arXiv:2106.05234);
- two filters as in SchNet (Schuett et al., NeurIPS 2017, arXiv:1706.08566), one of the values and one of the keys.

The attention to a site thus depends on both its features and its distance. Site-Net's reductions apply unchanged:
site classes, and pairs with a multiplicity m_ij. With an `envelope` c, which is zero at the cut-off, a pair stands for
m_ij c(d_ij) sites.

Shape suffixes, one letter per axis:
    C crystals in the batch         D width of a site
    N site classes in the batch     H attention heads; W = D / H channels per head
    E reduced pairs                 K knots of the radial functions
"""

import math

import torch
from torch import Tensor, nn

from sitenet.models.base import gate_kernels, kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.network import AttentionNetwork
from sitenet.models.base.radial_functions import Places, RadialFunctions
from sitenet.models.base.radial_network import RadialNetwork
from sitenet.models.base.segments import segment_max, segment_mean, segment_softmax, segment_sum
from sitenet.models.sitenet_radial import gpu, moment_kernels
from sitenet.models.sitenet_radial import kernels as radial_kernels
from sitenet.models.sitenet_radial.gate import Gate
from sitenet.models.sitenet_radial.moments import Moments
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings


class RadialAttention(nn.Module):
    r"""Multi-head attention of each site class to all sites of its supercell.

    $$ \alpha_{ij} = m_{ij} e^{a_{ij}} / \sum_k m_{ik} e^{a_{ik}}, \quad
       a_{ij} = q_i \cdot (1 + g(d_{ij})) k_j / \sqrt{W} + b(d_{ij}) $$
    $$ x'_i = \sum_j \alpha_{ij} (1 + f(d_{ij})) v_j $$

    q, k and v are linear maps of the site features. b has one radial function per head, f and g one per channel.
    """

    def __init__(self, settings: RadialSiteNetSettings):
        super().__init__()
        D, self.heads = settings.width, settings.heads
        self.project = nn.Linear(D, 3 * D)
        # Numbers of radial functions: filters of values and of keys, one per channel, and biases, one per head.
        self.functions = [D, D if settings.filter_keys else 0, self.heads]
        self.radial = RadialFunctions(settings.radial_functions, sum(self.functions))
        self.out = nn.Linear(D, D)

    def forward(self, x_ND: Tensor, places: Places, batch: Batch) -> tuple[Tensor, Tensor]:
        """New features (N, D) and weights alpha (E, H)."""
        qkv_NF = self.project(x_ND)
        if gpu.supports(qkv_NF, x_ND.shape[1], self.heads):
            functions_EF = self.radial.at(places)
            mixed_ND, alpha_EH = gpu.radial_attention(qkv_NF, functions_EF, self.heads, self.functions[1] > 0, batch)
            return self.out(mixed_ND), alpha_EH
        q_ND, k_ND, v_ND = qkv_NF.chunk(3, dim=1)
        q_ND = q_ND / math.sqrt(q_ND.shape[1] / self.heads)
        if radial_kernels.supports(self.heads, q_ND):
            f_KD, g_KD, b_KH = self._filters(self.radial())
            mixed_ND, alpha_EH = radial_kernels.radial_attention(q_ND, k_ND, v_ND, f_KD, g_KD, b_KH, places, batch)
        else:
            filters = self._filters(self.radial.at(places))
            mixed_ND, alpha_EH = plain_radial_attention(q_ND, k_ND, v_ND, *filters, batch)
        return self.out(mixed_ND), alpha_EH

    def _filters(self, functions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Filters of values and of keys, and biases, of radial functions in rows."""
        f, g, b = functions.split(self.functions, dim=1)
        return 1 + f, 1 + g if self.functions[1] else torch.ones_like(f), b


def plain_radial_attention(
    q_ND: Tensor, k_ND: Tensor, v_ND: Tensor, f_ED: Tensor, g_ED: Tensor, b_EH: Tensor, batch: Batch
) -> tuple[Tensor, Tensor]:
    """Sums over each site's pairs (N, D) and weights (E, H); `radial_kernels.radial_attention` is faster on CPUs.

    f and g are whole filters, the 1 included. Heads vary fastest in D: channel c belongs to head c mod H.
    """
    by_head = (-1, b_EH.shape[1])
    f_ED, g_ED, b_EH = (values.to(q_ND.dtype) for values in (f_ED, g_ED, b_EH))
    products_EWH = (batch.near(q_ND) * batch.far(k_ND) * g_ED).unflatten(1, by_head)
    alpha_EH = segment_softmax(products_EWH.sum(1) + b_EH, batch.pair_counts[:, None], batch.pair_i, batch.n_sites)
    filtered_EWH = (batch.far(v_ND) * f_ED).unflatten(1, by_head)
    mixed_NWH = segment_sum(filtered_EWH * alpha_EH[:, None, :], batch.pair_i, batch.n_sites)
    return mixed_NWH.flatten(1), alpha_EH


class RadialBlock(nn.Module):
    """A residual block: attention, then a feed-forward layer on each site, both preceded by layer normalisation.

    Gated messages and what the moments say, if there are any, are added to the attention.
    """

    def __init__(self, settings: RadialSiteNetSettings):
        super().__init__()
        D, hidden = settings.width, settings.hidden_width
        self.norm, self.attention = nn.LayerNorm(D), RadialAttention(settings)
        self.gate = Gate(settings) if settings.gate_channels else None
        self.moments = Moments(settings) if settings.moments else None
        self.feed_forward = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, hidden), nn.SiLU(), nn.Linear(hidden, D))
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x_ND: Tensor, places: Places, batch: Batch) -> tuple[Tensor, Tensor]:
        """New sites (N, D) and weights alpha (E, H)."""
        normed_ND = self.norm(x_ND)
        mixed_ND, alpha_EH = self.attention(normed_ND, places, batch)
        for added in (self.gate, self.moments):
            if added is not None:
                mixed_ND = mixed_ND + added(normed_ND, places, batch)
        x_ND = x_ND + self.dropout(mixed_ND)
        return x_ND + self.dropout(self.feed_forward(x_ND)), alpha_EH


class RadialSiteNet(RadialNetwork, AttentionNetwork):
    """The whole network.

    Args:
        settings: Hyperparameters.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
    """

    def __init__(self, settings: RadialSiteNetSettings, non_negative: bool = False):
        super().__init__(settings, non_negative)
        D = settings.width
        self.blocks = nn.ModuleList(RadialBlock(settings) for _ in range(settings.blocks))
        self.norm = nn.LayerNorm(D)
        self.read_out = nn.Sequential(nn.Linear(3 * D, D), nn.SiLU(), nn.Linear(D, 1))

    def site_states(self, batch: Batch) -> Tensor:
        """(N, D) states that are pooled; see `AttentionNetwork.site_states`."""
        x_ND, _ = self.run_blocks(self.within_cutoff(batch))
        return self.norm(x_ND)

    def predict_pooled(self, sites_NF: Tensor, site_counts: Tensor, site_crystal: Tensor, n_crystals: int) -> Tensor:
        """(C,) predictions; see `AttentionNetwork.predict_pooled`."""
        pooled_CF = pool(sites_NF, site_counts, site_crystal, n_crystals)
        return self.scale(self.read_out(pooled_CF).squeeze(1))

    def run_blocks(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Sites (N, D) after the last block, and the attention (E, H) of each."""
        x_ND, places = self.site_inputs(batch), self.places(batch)
        weights = []
        for block in self.blocks:
            x_ND, alpha_EH = block(x_ND, places, batch)
            weights.append(alpha_EH)
        return x_ND, weights

    def readout(self) -> list[nn.Module]:
        """The layers after the pooling of sites."""
        return [self.read_out]

    def computed_by(self) -> str:
        """Compiler and instruction set of the kernels, or torch; see `Network.computed_by`."""
        settings, like_sites, torch_alone = self.settings, self.norm.weight[None], super().computed_by()

        def by(kernels_in_c: str, on_cpu: bool, *widths: int) -> str:
            if on_cpu:
                return kernels.built_by(kernels_in_c)
            return "triton" if gpu.supports(like_sites, *widths) else torch_alone

        width, heads, channels, gate = settings.width, settings.heads, settings.moment_channels, settings.gate_channels
        found = {by("sitenet_radial/kernels", radial_kernels.supports(heads, like_sites), width, heads)}
        if settings.moments:
            found.add(by(moment_kernels.NAME, moment_kernels.supports(channels, like_sites), channels))
        if gate:
            found.add(by(gate_kernels.NAME, gate_kernels.supports(gate, like_sites), gate))
        return " and ".join(sorted(found))


def pool(x_ND: Tensor, site_counts: Tensor, site_crystal: Tensor, n_crystals: int) -> Tensor:
    """(C, 3D) mean, maximum and minimum over the sites of each crystal."""
    mean_CD = segment_mean(x_ND, site_counts, site_crystal, n_crystals)
    highest_CD = segment_max(x_ND, site_crystal, n_crystals)
    lowest_CD = -segment_max(-x_ND, site_crystal, n_crystals)
    return torch.cat([mean_CD, highest_CD, lowest_CD], dim=1)
