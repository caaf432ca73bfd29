"""Site-Net as the paper writes it, for one crystal, site by site: slow, plain and without any reduction.

The fast network must agree with it, forward and backward. `w` holds the network's parameters by name.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from sitenet.features.elements import elemental_properties
from sitenet.models.sitenet.settings import SiteNetSettings

ACT = {"mish": lambda x: x * torch.tanh(softplus(x)), "silu": lambda x: x * torch.sigmoid(x), "relu": relu}


def dense(w: dict[str, Tensor], name: str, x: Tensor, s: SiteNetSettings) -> Tensor:
    """LN(act(W x + b))."""
    x = ACT[s.activation](x @ w[f"{name}.linear.weight"].T + w[f"{name}.linear.bias"])
    if not s.normalisation:
        return x
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred**2).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * w[f"{name}.norm.weight"] + w[f"{name}.norm.bias"]


def pair_features(z: Tensor, far: Tensor, d: Tensor) -> Tensor:
    """(P, S, 2) distance in angstrom and log of the Coulomb interaction, Z_i Z_j / d in atomic units."""
    coulomb = z[:, None] * z[far] / (1.8897543773133647 * d)
    coulomb[d == 0] = 0.5 * z.double() ** 2.4  # a site with itself
    return torch.stack([d, (coulomb + 1e-8).log().clamp(-10, 10)], dim=2)


def site_features(w: dict[str, Tensor], z: Tensor, s: SiteNetSettings) -> Tensor:
    """(P, .) element vector, elemental properties and oxidation state 0."""
    if s.element_input == "one_hot":
        element = torch.eye(200, dtype=torch.float64)[z]
    else:
        row = w["embedding.element.weight"][z]
        norm = row.norm(dim=1, keepdim=True)
        element = torch.where(norm > 1, row / (norm + 1e-7), row)
    properties = torch.tensor(elemental_properties(s.elemental_properties))
    if s.elemental_scaling == "standardised":
        elements = properties[1:]
        properties = (properties - elements.mean(0)) / elements.std(0)
    properties = properties[z]
    return torch.cat([element, properties, torch.zeros(len(z), 1)], dim=1)


def softmax_of_seen(logits: Tensor, d: Tensor, s: SiteNetSettings) -> Tensor:
    """(S, H) attention over the sites within the cut-off, the `top_k` largest logits of each head."""
    logits = torch.where(d[:, None] <= (s.cutoff or math.inf), logits, -math.inf)
    if s.top_k is not None:
        chosen = logits.argsort(dim=0, descending=True, stable=True)[: s.top_k]
        logits = torch.full_like(logits, -math.inf).scatter(0, chosen, logits.gather(0, chosen))
    return logits.exp() / logits.exp().sum(0)


def predict(w: dict[str, Tensor], s: SiteNetSettings, z: Tensor, far: Tensor, d: Tensor) -> Tensor:
    """Unclamped prediction for P primitive sites, S supercell sites (copies of `far`), distances d (P, S)."""
    x = dense(w, "embedding.site", site_features(w, z, s), s)
    e = dense(w, "embedding.pair", pair_features(z, far, d), s)
    levels = []
    for block in (f"blocks.{number}" for number in range(s.blocks)):
        sites, pairs = [], []
        for i in range(len(z)):
            b = torch.cat([x[i].expand(len(far), -1), x[far], e[i]], dim=1)
            hidden = dense(w, f"{block}.logit_first", b, s)
            for number in range(len(s.attention_hidden) - 1):
                hidden = dense(w, f"{block}.logit_hidden.{number}", hidden, s)
            logits = hidden @ w[f"{block}.logit_out.weight"].T + w[f"{block}.logit_out.bias"]
            mixed = dense(w, f"{block}.value", b, s).T @ softmax_of_seen(logits, d[i], s)
            sites.append(dense(w, f"{block}.site_update", mixed.flatten(), s))
            pairs.append(dense(w, f"{block}.pair_update", b, s))
        x, e = torch.stack(sites), torch.stack(pairs)
        levels.append(x)
    h = dense(w, "pre_pool", torch.cat(levels, dim=1), s)
    h = h.mean(0) if s.pooling == "mean" else h.max(0).values
    for number in range(len(s.head_hidden)):
        h = dense(w, f"post_pool.{number}", h, s)
    return h @ w["output.weight"][0] + w["output.bias"][0]
