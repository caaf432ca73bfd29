"""The networks as one would write them down: every pair formed, rows padded to the longest of the batch.

The yardsticks of training.py: the same formulas and weights without pair reduction or kernels, written with batched
torch operations throughout; Site-Net with its pair features concatenated, as its authors lay it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from sitenet.features.point_set import PointSet
from sitenet.models.base.radial_functions import KNOTS, Places
from sitenet.models.base.segments import segment_mean
from sitenet.models.sitenet.network import BOHR_PER_ANGSTROM, AttentionBlock, Dense, SiteNet
from sitenet.models.sitenet_radial.network import RadialBlock, RadialSiteNet, pool


@dataclass(frozen=True)
class DenseBatch:
    """C crystals: N primitive sites, each with a row of S supercell sites, padded to the longest.

    Attributes:
        atomic_numbers: (N,) atomic numbers.
        site_counts: (N,) ones: every site stands for itself.
        site_crystal: (N,) crystal of each site.
        far_sites: (N, S) primitive site of which each supercell site is a copy.
        pair_features: (N, S, 2) distance in angstrom and log Coulomb interaction.
        real: (N, S) false for padding.
        n_crystals: C.
    """

    atomic_numbers: Tensor
    site_counts: Tensor
    site_crystal: Tensor
    far_sites: Tensor
    pair_features: Tensor
    real: Tensor
    n_crystals: int


def collate_dense(point_sets: Sequence[PointSet]) -> DenseBatch:
    """Pads unreduced point sets (`distance_tolerance` 0); pair features are made here, once."""
    n_sites = [len(sites.atomic_numbers) for sites in point_sets]
    rows = [np.concatenate([np.arange(r) for r in sites.row_counts]) for sites in point_sets]
    first = np.cumsum([0, *n_sites[:-1]])
    shape = (sum(n_sites), max(int(sites.row_counts.max()) for sites in point_sets))
    far, distances, real = np.zeros(shape, np.int64), np.ones(shape), np.zeros(shape, bool)
    for sites, columns, offset in zip(point_sets, rows, first, strict=True):
        place = (offset + np.repeat(np.arange(len(sites.row_counts)), sites.row_counts), columns)
        far[place], distances[place], real[place] = sites.pair_sites + offset, sites.distances, True
    z = np.concatenate([sites.atomic_numbers for sites in point_sets]).astype(np.int64)
    return DenseBatch(
        atomic_numbers=torch.from_numpy(z),
        site_counts=torch.ones(len(z)),
        site_crystal=torch.from_numpy(np.repeat(np.arange(len(point_sets)), n_sites)),
        far_sites=torch.from_numpy(far),
        pair_features=torch.from_numpy(pair_features(z, far, distances)).float(),
        real=torch.from_numpy(real),
        n_crystals=len(point_sets),
    )


def pair_features(z: np.ndarray, far: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """(N, S, 2) distance in angstrom and log Coulomb interaction."""
    itself = distances == 0
    bohr = np.where(itself, 1.0, distances * BOHR_PER_ANGSTROM)
    coulomb = np.where(itself, 0.5 * z[:, None] ** 2.4, z[:, None] * z[far] / bohr)
    return np.stack([distances, np.log(coulomb + 1e-8).clip(-10, 10)], axis=2)


def predict_sitenet(model: SiteNet, batch: DenseBatch) -> Tensor:
    """(C,) predictions with the weights of `model`, which must have the paper's options."""
    embedding = model.embedding
    assert embedding.element is not None
    properties = embedding.properties[batch.atomic_numbers].float()
    x = embedding.site(torch.cat([embedding.element(batch.atomic_numbers), properties], dim=1))
    e = embedding.pair(batch.pair_features)
    levels = []
    for number, block in enumerate(cast(list[AttentionBlock], list(model.blocks)), start=1):
        b = torch.cat([x[:, None].expand(-1, e.shape[1], -1), x[batch.far_sites], e], dim=2)
        logits = block.logit_out(_dense(block.logit_first, b))
        alpha = logits.masked_fill(~batch.real[:, :, None], -torch.inf).softmax(dim=1)
        mixed = _dense(block.value, b).transpose(1, 2) @ alpha
        if number < len(model.blocks):
            e = _dense(block.pair_update, b)
        x = block.site_update(mixed.flatten(1))
        levels.append(x)
    sites = model.pre_pool(torch.cat(levels, dim=1))
    pooled = segment_mean(sites, batch.site_counts, batch.site_crystal, batch.n_crystals)
    return model.scale(model.output(model.post_pool(pooled)).squeeze(1))


def _dense(layer: Dense, b: Tensor) -> Tensor:
    return layer.norm(layer.activation(layer.linear(b)))


def predict_radial(model: RadialSiteNet, batch: DenseBatch) -> Tensor:
    """(C,) predictions with the weights of `model`, which must have its default options."""
    x = model.element(batch.atomic_numbers) + model.describe(model.properties[batch.atomic_numbers].float())
    u = torch.exp(-batch.pair_features[:, :, 0] / model.settings.radial_length)
    places = Places.between(KNOTS, u.flatten())
    for block in cast(list[RadialBlock], list(model.blocks)):
        x = x + block.attention.out(_attend(block, x, places, batch))
        x = x + block.feed_forward(x)
    pooled = pool(model.norm(x), batch.site_counts, batch.site_crystal, batch.n_crystals)
    return model.scale(model.read_out(pooled).squeeze(1))


def _attend(block: RadialBlock, x: Tensor, places: Places, batch: DenseBatch) -> Tensor:
    width, heads = x.shape[1], block.attention.heads
    functions = places.of(block.attention.radial()).unflatten(0, batch.real.shape)
    q, k, v = (part.unflatten(1, (-1, heads)) for part in block.attention.project(block.norm(x)).chunk(3, dim=1))
    values, keys = (
        (1 + filters).unflatten(2, (-1, heads)) * sites[batch.far_sites]
        for filters, sites in zip(functions[:, :, : 2 * width].chunk(2, dim=2), (v, k), strict=True)
    )
    logits = torch.einsum("nwh,nswh->nsh", q, keys) / (width / heads) ** 0.5 + functions[:, :, 2 * width :]
    alpha = logits.masked_fill(~batch.real[:, :, None], -torch.inf).softmax(dim=1)
    return torch.einsum("nsh,nswh->nwh", alpha, values).flatten(1)
