r"""Site-Net: attention between all sites of a supercell.

Moran, Gaultois, Gusev, Rosseinsky, Digital Discovery 2023, 2, 1297, doi 10.1039/D3DD00005B. A crystal is a
set of sites x_i with pair features e_ij. Attention blocks mix them over all sites j of a supercell, and the
prediction is made from the mean over the primitive sites i. Copies of a primitive site share its x_i. Supercell
sites that look the same from i share one pair with a multiplicity m_ij (`PointSet`). This changes no result.

Every learnt layer is LN(act(W . + b)) ("dense layer"): LN is layer normalisation, act the activation (mish).
The pairs e_ij are the authors' interaction features, and b_ij = [x_i, x_j, e_ij] are their bond features. The
networks on bond features are g^W (`logit_first` to `logit_out`: attention
weights), g^A (`value`), g^S (`site_update`) and g^I (`pair_update`).

Shape suffixes, one letter per axis:
    C crystals in the batch         D width of a site
    N site classes in the batch     P width of a pair
    E reduced pairs                 V width of a value
    H attention heads               F width of a hidden layer
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (torch's customary name)
from torch import Tensor, nn

from sitenet.features.elements import elemental_properties, standardised_properties
from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.descriptors import DescriptorInput
from sitenet.models.base.gpu import supports
from sitenet.models.base.network import AttentionNetwork, TargetScale
from sitenet.models.base.segments import segment_max, segment_mean, segment_softmax, segment_sum, top_k_counts
from sitenet.models.sitenet import gpu
from sitenet.models.sitenet import kernels as fused
from sitenet.models.sitenet.settings import SiteNetSettings

EMBEDDED_ELEMENTS = 200
BOHR_PER_ANGSTROM = 1.8897543773133647  # matminer's conversion, which the published weights expect
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"mish": F.mish, "relu": F.relu, "silu": F.silu}


def pair_features(batch: Batch) -> Tensor:
    r"""(E, 2) distance d_ij in angstrom and log Coulomb interaction of each pair.

    $$ \log(c_{ij} + 10^{-8}) \in [-10, 10], \quad c_{ij} = Z_i Z_j / d_{ij}, \quad c_{ii} = Z_i^{2.4} / 2 $$

    with the distance d in bohr: the entries of a Coulomb matrix (Rupp et al., PRL 2012, 108, 058301).
    """
    z_N = batch.atomic_numbers.to(batch.distances.dtype)
    z_i_E, z_j_E = batch.near(z_N), batch.far(z_N)
    itself_E = batch.distances == 0
    distance_E = torch.where(itself_E, 1.0, batch.distances * BOHR_PER_ANGSTROM)
    coulomb_E = torch.where(itself_E, 0.5 * z_i_E**2.4, z_i_E * z_j_E / distance_E)
    return torch.stack([batch.distances, (coulomb_E + 1e-8).log().clamp(-10, 10)], dim=1)


class Dense(nn.Module):
    """LN(act(W x + b)), or act(W x + b) with normalisation off."""

    def __init__(self, n_in: int, n_out: int, settings: SiteNetSettings):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.activation = ACTIVATIONS[settings.activation]
        self.norm = nn.LayerNorm(n_out) if settings.normalisation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(..., n_out) from (..., n_in)."""
        return self.norm(self.activation(self.linear(x)))


class PairDense(Dense):
    """The dense layer on b_ij = [x_i, x_j, e_ij].

    W b_ij = W_1 x_i + W_2 x_j + W_3 e_ij, so the first two terms are computed once per site, and b_ij is never formed.
    """

    def forward(self, x_ND: Tensor, e_EP: Tensor, batch: Batch) -> Tensor:  # type: ignore[override]
        """(E, n_out) from the sites and pairs."""
        D, P = x_ND.shape[1], e_EP.shape[1]
        w_i, w_j, w_e = self.linear.weight.split([D, D, P], dim=1)
        near_NF, far_NF = F.linear(x_ND, w_i, self.linear.bias), F.linear(x_ND, w_j)
        pairs_EF = F.linear(e_EP, w_e)
        norm = self.norm
        if supports(x_ND) and self.activation is F.mish and isinstance(norm, nn.LayerNorm):
            return gpu.dense(near_NF, far_NF, pairs_EF, norm.weight, norm.bias, norm.eps, batch)
        return norm(self.activation(batch.near(near_NF) + batch.far(far_NF) + pairs_EF))


class Embedding(nn.Module):
    r"""x_i = LN(act(W_s [t(Z_i), properties(Z_i), 0])), e_ij = LN(act(W_p [d_ij, log c_ij])).

    t is the learnt embedding of an element, with norm at most 1, or its one-hot vector. The zero stands for the
    oxidation state, which the data sets do not have. Computed in full precision even under autocast: bfloat16
    cannot resolve raw distances and densities.
    """

    properties: Tensor

    def __init__(self, settings: SiteNetSettings):
        super().__init__()
        self.settings = settings
        learnt = settings.element_input == "learnt"
        width = settings.embedding_width if learnt else EMBEDDED_ELEMENTS
        self.element = nn.Embedding(EMBEDDED_ELEMENTS, width) if learnt else None
        # Float64, so that a network converted to float64 does not use rounded properties.
        read = {"raw": elemental_properties, "standardised": standardised_properties}[settings.elemental_scaling]
        table = F.pad(torch.tensor(read(settings.elemental_properties)), (0, 1))
        self.register_buffer("properties", table, persistent=False)
        self.descriptor = None
        if settings.descriptor:
            self.descriptor = DescriptorInput(settings.descriptor, settings.embedding_width)
            width += settings.embedding_width
        self.site = Dense(width + table.shape[1], settings.heads * settings.site_width_per_head, settings)
        self.pair = Dense(2, settings.heads * settings.pair_width_per_head, settings)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sites x_ND and pairs e_EP."""
        with torch.autocast(batch.distances.device.type, enabled=False):
            properties = self.properties[batch.atomic_numbers].to(batch.distances.dtype)
            described = [] if self.descriptor is None else [self.descriptor(batch)]
            x_ND = self.site(torch.cat([self._elements(batch), *described, properties], dim=1))
            features = pair_features(batch)
            if fused.supports(self.settings, features):
                return x_ND, fused.embed_pairs(self.pair, features, batch)
            return x_ND, self.pair(features)

    def _elements(self, batch: Batch) -> Tensor:
        if self.element is None:
            return F.one_hot(batch.atomic_numbers, EMBEDDED_ELEMENTS).to(batch.distances.dtype)
        limit_norms(self.element.weight, batch.atomic_numbers)
        return self.element(batch.atomic_numbers)


@torch.no_grad()
def limit_norms(table: Tensor, used: Tensor) -> None:
    """Shortens the rows that are used to norm 1, as `nn.Embedding` does with `max_norm`, but asks for no number."""
    norms = table.norm(dim=1)
    too_long = torch.zeros_like(norms, dtype=torch.bool).index_fill(0, used, True) & (norms > 1)
    table.mul_(torch.where(too_long, 1 / (norms + 1e-7), 1)[:, None])


class AttentionBlock(nn.Module):
    r"""One attention block.

    With b_ij = [x_i, x_j, e_ij] and the multiplicity m_ij of a pair,

    $$ a_{ij} = g^W(b_{ij}), \quad v_{ij} = g^A(b_{ij}), \quad e'_{ij} = g^I(b_{ij}) $$
    $$ \alpha_{ij} = m_{ij} e^{a_{ij}} / \sum_k m_{ik} e^{a_{ik}}, \quad
       x'_i = g^S(\sum_j v_{ij} \otimes \alpha_{ij}) $$

    a and alpha have one component per head. g^W ends in a linear layer, and the other maps are dense layers.
    """

    def __init__(self, settings: SiteNetSettings):
        super().__init__()
        D, P = settings.heads * settings.site_width_per_head, settings.heads * settings.pair_width_per_head
        widths = settings.attention_hidden
        self.settings = settings
        self.logit_first = PairDense(2 * D + P, widths[0], settings)
        self.logit_hidden = nn.Sequential(*(Dense(n_in, n_out, settings) for n_in, n_out in pairwise(widths)))
        self.logit_out = nn.Linear(widths[-1], settings.heads)
        self.value = PairDense(2 * D + P, settings.value_width, settings)
        self.site_update = Dense(settings.value_width * settings.heads, D, settings)
        self.pair_update = PairDense(2 * D + P, P, settings)

    def forward(self, x_ND: Tensor, e_EP: Tensor, batch: Batch, update_pairs: bool) -> tuple[Tensor, Tensor, Tensor]:
        """New sites x'_ND, new pairs e'_EP (the old ones unless `update_pairs`) and weights alpha_EH."""
        layers = [self.logit_first, self.value, *([self.pair_update] if update_pairs else [])]
        if fused.supports(self.settings, x_ND):
            mixed_NVH, pairs_EP, alpha_EH = fused.pair_layers(layers, self.logit_out, x_ND, e_EP, batch)
        else:
            mixed_NVH, pairs_EP, alpha_EH = self.plain_pair_layers(x_ND, e_EP, batch, update_pairs)
        # As in the reference, the feature index varies slowest in the H sums and the head fastest.
        return self.site_update(mixed_NVH.flatten(1)), pairs_EP, alpha_EH

    def plain_pair_layers(
        self, x_ND: Tensor, e_EP: Tensor, batch: Batch, update_pairs: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed values (N, V, H), new pairs and weights; `fused.pair_layers` gives the same, faster on CPUs."""
        logits_EH = self.logit_out(self.logit_hidden(self.logit_first(x_ND, e_EP, batch)))
        v_EV = self.value(x_ND, e_EP, batch)
        mix = gpu.mix if supports(x_ND) and self.settings.top_k is None else self._mix
        mixed_NVH, alpha_EH = mix(logits_EH, v_EV, batch)
        pairs_EP = self.pair_update(x_ND, e_EP, batch) if update_pairs else e_EP
        return mixed_NVH, pairs_EP, alpha_EH

    def _mix(self, logits_EH: Tensor, v_EV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        counts = batch.pair_counts[:, None]
        top_k = self.settings.top_k
        if top_k is not None:
            counts = top_k_counts(logits_EH, batch.pair_counts, batch.row_starts, batch.pair_i, top_k)
        alpha_EH = segment_softmax(logits_EH, counts, batch.pair_i, batch.n_sites)
        return segment_sum(v_EV[:, :, None] * alpha_EH[:, None, :], batch.pair_i, batch.n_sites), alpha_EH


class SiteNet(AttentionNetwork):
    """The whole network.

    Args:
        settings: Hyperparameters; the defaults are the paper's.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
    """

    def __init__(self, settings: SiteNetSettings, non_negative: bool = False):
        super().__init__()
        self.settings = settings
        D = settings.heads * settings.site_width_per_head
        widths = (settings.pooled_width, *settings.head_hidden)
        self.embedding = Embedding(settings)
        self.blocks = nn.ModuleList(AttentionBlock(settings) for _ in range(settings.blocks))
        self.pre_pool = Dense(settings.blocks * D, settings.pooled_width, settings)
        self.post_pool = nn.Sequential(*(Dense(n_in, n_out, settings) for n_in, n_out in pairwise(widths)))
        self.output = nn.Linear(widths[-1], 1)
        self.scale = TargetScale(non_negative)

    def site_states(self, batch: Batch) -> Tensor:
        """(N, F) states that are pooled; see `AttentionNetwork.site_states`."""
        levels, _ = self.run_blocks(self.within_cutoff(batch))
        return self.pre_pool(torch.cat(levels, dim=1))

    def predict_pooled(self, sites_NF: Tensor, site_counts: Tensor, site_crystal: Tensor, n_crystals: int) -> Tensor:
        """(C,) predictions; see `AttentionNetwork.predict_pooled`."""
        if self.settings.pooling == "max":
            pooled_CF = segment_max(sites_NF, site_crystal, n_crystals)
        else:
            pooled_CF = segment_mean(sites_NF, site_counts, site_crystal, n_crystals)
        return self.scale(self.output(self.post_pool(pooled_CF)).squeeze(1))

    def run_blocks(self, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Sites (N, D) after each block, and its attention (E, H)."""
        x_ND, e_EP = self.embedding(batch)
        levels, weights = [], []
        for number, block in enumerate(self.blocks, start=1):
            # Nothing reads the pairs of the last block.
            x_ND, e_EP, alpha_EH = block(x_ND, e_EP, batch, update_pairs=number < len(self.blocks))
            levels.append(x_ND)
            weights.append(alpha_EH)
        return levels, weights

    def readout(self) -> list[nn.Module]:
        """The layers after the pooling of sites."""
        return [self.post_pool, self.output]

    def computed_by(self) -> str:
        """Compiler and instruction set of the kernels, or torch; see `Network.computed_by`."""
        if fused.supports(self.settings, self.output.weight):
            return kernels.built_by("sitenet/kernels")
        return "triton" if supports(self.output.weight) else super().computed_by()
